"""Scores of motion maps.

- *auc*: the area under the ROC curve of a clip's moved against its unmoved patches; the mean over
  clips with an expression. A prior of the places where faces mostly move does well here.
- *stratified*: at each place, clips that moved there against clips that did not (motionless ones
  and others of that amplitude): the share of these pairs in which the moved one has the larger
  value. A prior of places has 0.5.
- *false positives*: the share of the patches of motionless clips at or above the threshold that
  finds 70 % of the moved patches, one threshold for all clips.

Intervals (95 %) are a bootstrap over people: a resample that has a person k times counts all clips
of this person k times, in pairs as well.
"""

import numpy as np
from scipy.stats import rankdata

from micron_jax.benchmarks.learn_truth import AMPLITUDES, Truth
from micron_jax.evaluation.significance import draw_subjects, percentiles

RECALL = 0.7
RESAMPLES = 1000
_THRESHOLDS = 4000  # at most: recall is exact to 1/4000

Figures = dict[str, np.ndarray]  # name -> [1 + resamples]; the first is of the people as they are


def evaluate(maps: np.ndarray, truth: Truth, *, resamples: int = RESAMPLES) -> dict:
    """Returns all scores of a method's maps.

    Args:
      maps: larger where more moved, float [C, 28, 28]; or [S, C, 28, 28] of S seeds, whose figures
        are averaged, also in the intervals.

    Returns:
      {"0.5" | "1" | "2": {"auc", "auc_low", "auc_high", "stratified", "low", "high" (of
      `stratified`), "clips", "seen": {"auc", "stratified", "low", "high", "clips"}, "unseen"},
      "false_positives", "false_positives_low", "false_positives_high", "false_positives_at":
      {"0.5": ...} at thresholds of one amplitude, "calm": {"0.5" | ...: {"auc", "stratified",
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
    people = int(truth.person.max()) + 1
    times = np.ones((1, people))
    if people > 1:
        times = np.concatenate([times, draw_subjects(np.zeros(people, int), resamples)])
    seeds = maps if maps.ndim == 4 else maps[None]
    every = [_of_one_seed(values.reshape(len(truth), -1), truth, times) for values in seeds]
    return {name: np.mean([one[name] for one in every], axis=0) for name in every[0]}


def summary(figures: Figures, truth: Truth) -> dict:
    """Returns the scores of `evaluate` from the figures of `figures`."""

    def group(name: str, clips: np.ndarray) -> dict:
        low, high = _interval(figures[f"{name} stratified"])
        values = {kind: _value(figures[f"{name} {kind}"]) for kind in ("auc", "stratified")}
        return values | {"low": low, "high": high, "clips": int(clips.sum())}

    def part(name: str, clips: np.ndarray) -> dict:
        groups = {
            f"{amplitude:g}": group(f"{name} {amplitude:g}", clips & (truth.amplitude == amplitude))
            for amplitude in AMPLITUDES
        }
        return groups | {"false_positives": _value(figures[f"{name} false_positives"])}

    scores = {}
    for amplitude in AMPLITUDES:
        name, clips = f"{amplitude:g}", truth.amplitude == amplitude
        scores[name] = group(name, clips)
        scores[name]["auc_low"], scores[name]["auc_high"] = _interval(figures[f"{name} auc"])
        scores[name]["seen"] = group(f"{name} seen", clips & truth.seen)
        scores[name]["unseen"] = group(f"{name} unseen", clips & truth.unseen)
    low, high = _interval(figures["false_positives"])
    names = [f"{amplitude:g}" for amplitude in AMPLITUDES]
    return scores | {
        "false_positives": _value(figures["false_positives"]),
        "false_positives_low": low,
        "false_positives_high": high,
        "false_positives_at": {name: _value(figures[f"{name} false_positives"]) for name in names},
        "calm": part("calm", np.ones(len(truth), bool)),
        "disturbed": part("disturbed", _disturbed(truth)),
    }


def difference(figures: Figures, other: Figures) -> dict:
    """Returns the difference of two methods' `stratified`, in the same resamples of people.

    Returns:
      {"0.5" | "1" | "2": {"difference", "low", "high"}, "false_positives": the same, "calm": all
      of that without the patches that a blink or a turn moves}.
    """

    def apart(name: str) -> dict:
        values = figures[name] - other[name]
        low, high = _interval(values)
        return {"difference": _value(values), "low": low, "high": high}

    def every(prefix: str) -> dict:
        values = {f"{a:g}": apart(f"{prefix}{a:g} stratified") for a in AMPLITUDES}
        return values | {"false_positives": apart(f"{prefix}false_positives")}

    return every("") | {"calm": every("calm ")}


def _of_one_seed(values: np.ndarray, truth: Truth, times: np.ndarray) -> Figures:
    moved, unmoved, distracted = (
        x.reshape(len(truth), -1) for x in (truth.moved, truth.unmoved, truth.distracted)
    )
    still = truth.amplitude == 0
    everything, calm = (moved, unmoved), (moved & ~distracted, unmoved & ~distracted)
    parts_of = {
        "calm": (calm, np.ones(len(truth), bool)),
        "disturbed": (everything, _disturbed(truth)),
    }
    figures: Figures = {}

    def ratios(name: str, parts: dict) -> None:
        figures.update({f"{name} {kind}": _ratio(*part, times) for kind, part in parts.items()})

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
            values, moved & of[:, None], unmoved & still[:, None], truth.person, times
        )
    figures["false_positives"] = _false_positives(
        values, moved, unmoved & still[:, None], truth.person, times
    )
    for which, (patches, rows) in parts_of.items():  # at the same threshold
        figures[f"{which} false_positives"] = _false_positives(
            values, moved, patches[1] & (still & rows)[:, None], truth.person, times
        )
    return figures


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


def _ratio(part: np.ndarray, whole: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Returns the ratio in each resample [R], of sums per person [P] or pair of people [P, P]."""
    if part.ndim == 1:
        above, below = times @ part, times @ whole
    else:
        above, below = (np.einsum("rp,rp->r", times @ x, times) for x in (part, whole))
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / below


def _value(values: np.ndarray) -> float | None:
    return float(values[0]) if np.isfinite(values[0]) else None


def _interval(values: np.ndarray) -> tuple[float | None, float | None]:
    finite = values[1:][np.isfinite(values[1:])]
    return percentiles(finite) if len(finite) and np.isfinite(values[0]) else (None, None)
