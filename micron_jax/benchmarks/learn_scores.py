"""Scores of motion maps.

- *auc*: the area under the ROC curve of a clip's moved against its unmoved patches; the mean over
  clips with an expression. A prior of the places where faces mostly move does well here.
- *stratified*: at each place, clips that moved there against clips that did not (motionless ones
  and others of that amplitude): the share of these pairs in which the moved one has the larger
  value. A prior of places has 0.5.
- *false positives*: the share of the patches of motionless clips at or above the threshold that
  finds 70 % of the patches that moved by 1 px (whose mean displacement is nearest to 1 px, in
  ratio, of `AMPLITUDES`; if there are none, of all moved patches), one threshold for all clips.

Intervals (95 %) are a bootstrap over people, see `learn_people`.
"""

import numpy as np
from scipy.stats import rankdata

from micron_jax.benchmarks import learn_people
from micron_jax.benchmarks.learn_flow import lengths
from micron_jax.benchmarks.learn_levels import AMPLITUDES
from micron_jax.benchmarks.learn_people import RESAMPLES, Figures, apart, interval, ratio, value
from micron_jax.benchmarks.learn_truth import Truth

RECALL = 0.7
_THRESHOLDS = 4000  # at most: recall is exact to 1/4000


def evaluate(maps: np.ndarray, truth: Truth, *, resamples: int = RESAMPLES) -> dict:
    """Returns all scores of a method's maps.

    Args:
      maps: larger where more moved, float [C, 28, 28]; or [S, C, 28, 28] of S seeds, whose figures
        are averaged, also in the intervals.

    Returns:
      {"0.25" | "0.5" | ...: {"auc", "auc_low", "auc_high", "stratified", "low", "high" (of
      `stratified`), "clips", "seen": {"auc", "stratified", "low", "high", "clips"}, "unseen"},
      "stratified", "stratified_low", "stratified_high": {"0.25" | ...} once more,
      "false_positives", "false_positives_low", "false_positives_high", "false_positives_by":
      {"picture" | "still" | ...}, "false_positives_at": {"0.25": ...} at thresholds that find 70 %
      of the moved patches of one amplitude, "calm": {"0.5" | ...: {"auc", "stratified",
      "low", "high", "clips"}, "false_positives"} without the patches that a blink or a turn of the
      head moves, "disturbed": the same of the clips with a blink or a turn}. A value is None if
      there are no such clips, or, of an interval, fewer than two people.

    Raises:
      ValueError: maps of another shape, or not finite.
    """
    return summary(figures(maps, truth, resamples=resamples), truth)


def figures(maps: np.ndarray, truth: Truth, *, resamples: int = RESAMPLES) -> Figures:
    """Returns the figures in each resample; all maps of the same people have the same resamples."""
    maps = np.asarray(maps, np.float32)
    expected = (len(truth), *truth.moved.shape[1:])
    if maps.ndim not in (3, 4) or maps.shape[-3:] != expected:
        raise ValueError(f"maps are {maps.shape}; expected [C, 28, 28] = {expected}, seeds before")
    if not np.isfinite(maps).all():
        raise ValueError("maps hold NaN or infinite values")
    times = learn_people.draw(truth.person, resamples)
    seeds = maps if maps.ndim == 4 else maps[None]
    every = [_of_one_seed(values.reshape(len(truth), -1), truth, times) for values in seeds]
    return {name: np.mean([one[name] for one in every], axis=0) for name in every[0]}


def merit(values: np.ndarray, truth: Truth) -> float:
    """Returns how well maps [C, 28, 28] rank: mean of all `auc` and `stratified`, less false ones.

    It is for a choice between settings, hence without any resample.
    """
    values, still = values.reshape(len(truth), -1), truth.amplitude == 0
    moved, unmoved = (x.reshape(len(truth), -1) for x in (truth.moved, truth.unmoved))
    together, ranks = np.zeros(len(truth), int), []
    for amplitude in AMPLITUDES:
        of = truth.amplitude == amplitude
        parts = _parts(values, moved, unmoved, of, of | still, together)
        ranks += [ratio(*part, np.ones((1, 1)))[0] for part in parts.values()]
    motionless = unmoved & (still & truth.known)[:, None]
    false = _false_positives(values, _hits(moved, truth), motionless, together, np.ones((1, 1)))
    ranks = [rank for rank in ranks if np.isfinite(rank)]
    return float(np.mean(ranks or [0.0]) - np.nan_to_num(false[0]))


def summary(figures: Figures, truth: Truth) -> dict:
    """Returns the scores of `evaluate` from the figures of `figures`."""

    def group(name: str, clips: np.ndarray) -> dict:
        low, high = interval(figures[f"{name} stratified"])
        values = {kind: value(figures[f"{name} {kind}"]) for kind in ("auc", "stratified")}
        return values | {"low": low, "high": high, "clips": int(clips.sum())}

    def part(name: str, clips: np.ndarray) -> dict:
        groups = {
            f"{amplitude:g}": group(f"{name} {amplitude:g}", clips & (truth.amplitude == amplitude))
            for amplitude in AMPLITUDES
        }
        return groups | {"false_positives": value(figures[f"{name} false_positives"])}

    scores = {}
    for amplitude in AMPLITUDES:
        name, clips = f"{amplitude:g}", truth.amplitude == amplitude
        scores[name] = group(name, clips)
        scores[name]["auc_low"], scores[name]["auc_high"] = interval(figures[f"{name} auc"])
        scores[name]["seen"] = group(f"{name} seen", clips & truth.seen)
        scores[name]["unseen"] = group(f"{name} unseen", clips & truth.unseen)
    low, high = interval(figures["false_positives"])
    names = [f"{amplitude:g}" for amplitude in AMPLITUDES]
    stratified = {
        key: {name: scores[name][of] for name in names}
        for key, of in (("", "stratified"), ("_low", "low"), ("_high", "high"))
    }
    return scores | {
        **{f"stratified{key}": values for key, values in stratified.items()},
        "false_positives": value(figures["false_positives"]),
        "false_positives_low": low,
        "false_positives_high": high,
        "false_positives_at": {name: value(figures[f"{name} false_positives"]) for name in names},
        "false_positives_by": {
            kind: value(figures[f"kind {kind} false_positives"]) for kind in np.unique(truth.kind)
        },
        "calm": part("calm", np.ones(len(truth), bool)),
        "disturbed": part("disturbed", _disturbed(truth)),
    }


def difference(figures: Figures, other: Figures) -> dict:
    """Returns the difference of two methods' `stratified`, in the same resamples of people.

    Returns:
      {"0.25" | "0.5" | ...: {"difference", "low", "high"}, "false_positives": the same, "calm": all
      of that without the patches that a blink or a turn moves}.
    """

    def every(prefix: str) -> dict:
        names = {f"{a:g}": f"{prefix}{a:g} stratified" for a in AMPLITUDES}
        names["false_positives"] = f"{prefix}false_positives"
        return {key: apart(figures[name], other[name]) for key, name in names.items()}

    return every("") | {"calm": every("calm ")}


def _of_one_seed(values: np.ndarray, truth: Truth, times: np.ndarray) -> Figures:
    moved, unmoved, distracted = (
        x.reshape(len(truth), -1) for x in (truth.moved, truth.unmoved, truth.distracted)
    )
    still = truth.amplitude == 0
    motionless = still & truth.known  # a face that talks moves, though not by an expression
    everything, calm = (moved, unmoved), (moved & ~distracted, unmoved & ~distracted)
    parts_of = {
        "calm": (calm, np.ones(len(truth), bool)),
        "disturbed": (everything, _disturbed(truth)),
    }
    figures: Figures = {}

    def ratios(name: str, parts: dict) -> None:
        figures.update({f"{name} {kind}": ratio(*part, times) for kind, part in parts.items()})

    for amplitude in AMPLITUDES:
        name, of = f"{amplitude:g}", truth.amplitude == amplitude
        seen, unseen = (
            _parts(values, *everything, of & family, of | still, truth.person)
            for family in (truth.seen, truth.unseen)
        )
        ratios(f"{name} seen", seen)
        ratios(f"{name} unseen", unseen)
        ratios(name, {kind: np.add(seen[kind], unseen[kind]) for kind in seen})
        for which, (patches, rows) in parts_of.items():
            parts = _parts(values, *patches, of & rows, (of | still) & rows, truth.person)
            ratios(f"{which} {name}", parts)
        figures[f"{name} false_positives"] = _false_positives(
            values, moved & of[:, None], unmoved & motionless[:, None], truth.person, times
        )
    hits = _hits(moved, truth)
    # All at the same threshold.
    others = {name: patches[1] & rows[:, None] for name, (patches, rows) in parts_of.items()}
    others |= {f"kind {x}": unmoved & (truth.kind == x)[:, None] for x in np.unique(truth.kind)}
    for which, patches in ({"": unmoved} | others).items():
        figures[f"{which} false_positives".strip()] = _false_positives(
            values, hits, patches & motionless[:, None], truth.person, times
        )
    return figures


def _hits(moved: np.ndarray, truth: Truth) -> np.ndarray:
    """Returns the moved patches [C, N] that set the threshold: by 1 px, or, without any, all."""
    levels = np.array(AMPLITUDES)
    middles = np.sqrt(levels[1:] * levels[:-1])
    level = levels[np.searchsorted(middles, lengths(truth.displacement))]
    hits = moved & (level.reshape(moved.shape) == 1)
    return hits if hits.any() else moved


def _disturbed(truth: Truth) -> np.ndarray:
    """bool [C]: a blink or a turn moves something in the clip."""
    return truth.distracted.any(axis=(1, 2))


def _parts(values, moved, unmoved, group, pool, person) -> dict[str, tuple]:
    """Returns sums over the clips of `group`, and for `stratified` over their pairs with `pool`."""
    own = _per_clip(values[group], moved[group], unmoved[group], person[group], person.max() + 1)
    others = values[pool], unmoved[pool], person[pool]
    pairs = _pairs((values[group], moved[group], person[group]), others, person.max() + 1)
    return {"auc": own, "stratified": pairs}


def _per_clip(values, moved, unmoved, person, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns each person's sum of areas and number of clips, [P] each."""
    total, clips = np.zeros(people), np.zeros(people)
    for n in np.flatnonzero(moved.any(axis=1) & unmoved.any(axis=1)):
        total[person[n]] += auc(values[n, moved[n]], values[n, unmoved[n]])
        clips[person[n]] += 1
    return total, clips


def auc(moved: np.ndarray, unmoved: np.ndarray) -> float:
    """The share of pairs in which the moved one is larger; of equal ones, half."""
    ranks = rankdata(np.concatenate([moved, unmoved]))[: len(moved)]
    return float((ranks.mean() - (len(moved) + 1) / 2) / len(unmoved))


def _pairs(moved, unmoved, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of clips at the same place, by whose clips they are.

    Args:
      moved, unmoved: (values [C, N], whether each counts [C, N], person [C]).

    Returns:
      (pairs in which the moved one is larger, all pairs), [P, P] each.
    """
    won, pairs = np.zeros((people, people)), np.zeros((people, people))
    own = [np.eye(people, dtype=np.float32)[person] for *_, person in (moved, unmoved)]
    for place in np.flatnonzero(moved[1].any(axis=0) & unmoved[1].any(axis=0)):
        (a, which_a), (b, which_b) = (
            (values[chosen[:, place], place], one[chosen[:, place]])
            for (values, chosen, _), one in zip((moved, unmoved), own, strict=True)
        )
        larger = (a[:, None] > b).astype(np.float32) + np.float32(0.5) * (a[:, None] == b)
        won += which_a.T @ larger @ which_b
        pairs += np.outer(which_a.sum(axis=0), which_b.sum(axis=0))
    return won, pairs


def _false_positives(values, hits, others, person, times: np.ndarray) -> np.ndarray:
    """Returns the share of `others` that reaches the threshold of `RECALL` of the `hits`, [R]."""
    if not hits.any() or not others.any():
        return np.full(len(times), np.nan)
    thresholds = np.unique(values[hits])
    if len(thresholds) > _THRESHOLDS:
        at = np.linspace(0, len(thresholds) - 1, _THRESHOLDS).astype(int)
        thresholds = thresholds[at]

    def reach(chosen: np.ndarray) -> np.ndarray:
        """Returns the share that reaches each threshold in each resample, [R, thresholds]."""
        rows, _ = np.nonzero(chosen)
        which, owner = values[chosen], person[rows]
        above = np.zeros((times.shape[1], len(thresholds)))
        for one in np.unique(owner):
            own = np.sort(which[owner == one])
            above[one] = len(own) - np.searchsorted(own, thresholds)
        totals = np.bincount(owner, minlength=times.shape[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            return (times @ above) / (times @ totals)[:, None]

    # The highest threshold that enough hits reach; all reach the lowest.
    best = np.maximum((reach(hits) >= RECALL).sum(axis=1) - 1, 0)
    return np.take_along_axis(reach(others), best[:, None], axis=1)[:, 0]
