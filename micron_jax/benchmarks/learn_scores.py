"""How well maps tell where a face moved: figures that neither habit nor place can raise.

- *auc*: of each clip with an expression, the area under the ROC curve of its moved against its
  unmoved patches; the mean over clips. A map that knows where faces mostly move does well here.
- *stratified*: at each patch's place, clips that moved there against clips that did not
  (motionless ones and others of that amplitude): the share of all such pairs in which the moved
  one has the larger value. Whoever looks at places alone has 0.5.
- *false positives*: of the patches of motionless clips, the share at or above the threshold that
  finds 70 % of the moved patches, one threshold for all clips.

Intervals (95 %) come from a bootstrap over people, all clips of each: a resample that has a person
k times counts his clips k times, in pairs with another's as often as both occur.
"""

import numpy as np
from scipy.stats import rankdata

from micron_jax.benchmarks.learn_truth import AMPLITUDES, Truth
from micron_jax.evaluation.significance import draw_subjects, percentiles

RECALL = 0.7
RESAMPLES = 1000
_THRESHOLDS = 4000  # tried at most: recall is exact to 1/4000

Figures = dict[str, np.ndarray]  # name -> [1 + resamples]; the first is of the people as they are


def evaluate(maps: np.ndarray, truth: Truth, *, resamples: int = RESAMPLES) -> dict:
    """All figures of a way to see motion.

    Args:
      maps: larger where more moved, float [C, 28, 28]; or [S, C, 28, 28] of S seeds, whose figures
        are averaged, in the intervals too.
      truth: of the C clips.

    Returns:
      {"0.5" | "1" | "2": {"auc", "auc_low", "auc_high", "stratified", "low", "high" (of
      `stratified`), "clips", "seen": {"auc", "stratified", "low", "high", "clips"}, "unseen"},
      "false_positives", "false_positives_low", "false_positives_high", "false_positives_at":
      {"0.5": ...} at thresholds of one amplitude, "calm": {"0.5" | ...: {"auc", "stratified",
      "low", "high", "clips"}, "false_positives"} of the patches alone that no blink and no turn of
      the head moves, "disturbed": the same of all patches of the clips with a blink or a turn}.
      Blinks and turns are no expression: what takes them for one is wrong.
      None: there are no such clips, or no interval from fewer than two people.

    Raises:
      ValueError: maps of another shape, or not finite.
    """
    return summary(figures(maps, truth, resamples=resamples), truth)


def figures(maps: np.ndarray, truth: Truth, *, resamples: int = RESAMPLES) -> Figures:
    """The figures in each resample; the same resamples for every map of the same people."""
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
    every = [_of_one_seed(one.reshape(len(truth), -1), truth, times) for one in seeds]
    return {name: np.mean([one[name] for one in every], axis=0) for name in every[0]}


def summary(found: Figures, truth: Truth) -> dict:
    """What `evaluate` returns, from what `figures` returned."""

    def group(name: str, clips: np.ndarray) -> dict:
        low, high = _interval(found[f"{name} stratified"])
        told = {
            "auc": _value(found[f"{name} auc"]),
            "stratified": _value(found[f"{name} stratified"]),
        }
        return told | {"low": low, "high": high, "clips": int(clips.sum())}

    def part(name: str, clips: np.ndarray) -> dict:
        told = {
            f"{amplitude:g}": group(f"{name} {amplitude:g}", clips & (truth.amplitude == amplitude))
            for amplitude in AMPLITUDES
        }
        return told | {"false_positives": _value(found[f"{name} false_positives"])}

    told = {}
    for amplitude in AMPLITUDES:
        name, of = f"{amplitude:g}", truth.amplitude == amplitude
        told[name] = group(name, of)
        told[name]["auc_low"], told[name]["auc_high"] = _interval(found[f"{name} auc"])
        told[name]["seen"] = group(f"{name} seen", of & truth.seen)
        told[name]["unseen"] = group(f"{name} unseen", of & truth.unseen)
    low, high = _interval(found["false_positives"])
    names = [f"{amplitude:g}" for amplitude in AMPLITUDES]
    return told | {
        "false_positives": _value(found["false_positives"]),
        "false_positives_low": low,
        "false_positives_high": high,
        "false_positives_at": {name: _value(found[f"{name} false_positives"]) for name in names},
        "calm": part("calm", np.ones(len(truth), bool)),
        "disturbed": part("disturbed", _disturbed(truth)),
    }


def difference(found: Figures, other: Figures) -> dict:
    """By how much one way's `stratified` is above another's, person by person the same resamples.

    Returns:
      {"0.5" | "1" | "2": {"difference", "low", "high"}, "false_positives": the same, "calm": all
      of that without the patches that a blink or a turn moves}.
    """

    def apart(name: str) -> dict:
        values = found[name] - other[name]
        low, high = _interval(values)
        return {"difference": _value(values), "low": low, "high": high}

    def every(prefix: str) -> dict:
        told = {f"{a:g}": apart(f"{prefix}{a:g} stratified") for a in AMPLITUDES}
        return told | {"false_positives": apart(f"{prefix}false_positives")}

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
    found: Figures = {}

    def ratios(name: str, parts: dict) -> None:
        found.update({f"{name} {kind}": _ratio(*part, times) for kind, part in parts.items()})

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
        found[f"{name} false_positives"] = _false_positives(
            values, moved & of[:, None], unmoved & still[:, None], truth.person, times
        )
    found["false_positives"] = _false_positives(
        values, moved, unmoved & still[:, None], truth.person, times
    )
    for which, (patches, rows) in parts_of.items():  # at the same threshold
        found[f"{which} false_positives"] = _false_positives(
            values, moved, patches[1] & (still & rows)[:, None], truth.person, times
        )
    return found


def _disturbed(truth: Truth) -> np.ndarray:
    """Clips in which a blink or a turn moves something, bool [C]."""
    return truth.distracted.any(axis=(1, 2))


def _parts(values, moved, unmoved, group, pool, person) -> dict[str, tuple]:
    """Sums over the clips of `group`, and for `stratified` their pairs with those of `pool`."""
    own = _per_clip(values[group], moved[group], unmoved[group], person[group], person.max() + 1)
    others = values[pool], unmoved[pool], person[pool]
    pairs = _pairs((values[group], moved[group], person[group]), others, person.max() + 1)
    return {"auc": own, "stratified": pairs}


def _per_clip(values, moved, unmoved, person, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Per person: the sum of the clips' areas, and the number of clips, [P] each."""
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
    """The share of `others` at or above the threshold that `RECALL` of `hits` reach, [R]."""
    if not hits.any() or not others.any():
        return np.full(len(times), np.nan)
    thresholds = np.unique(values[hits])
    if len(thresholds) > _THRESHOLDS:
        at = np.linspace(0, len(thresholds) - 1, _THRESHOLDS).astype(int)
        thresholds = thresholds[at]

    def reach(chosen: np.ndarray) -> np.ndarray:
        """The share that reaches each threshold in each resample, [R, thresholds]."""
        rows, _ = np.nonzero(chosen)
        which, owner = values[chosen], person[rows]
        above = np.zeros((times.shape[1], len(thresholds)))
        for one in np.unique(owner):
            own = np.sort(which[owner == one])
            above[one] = len(own) - np.searchsorted(own, thresholds)
        totals = np.bincount(owner, minlength=times.shape[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            return (times @ above) / (times @ totals)[:, None]

    # The highest threshold that enough reach; the lowest is reached by all.
    best = np.maximum((reach(hits) >= RECALL).sum(axis=1) - 1, 0)
    return np.take_along_axis(reach(others), best[:, None], axis=1)[:, 0]


def _ratio(part: np.ndarray, whole: np.ndarray, times: np.ndarray) -> np.ndarray:
    """In each resample, of sums per person [P] or per pair of people [P, P]: [R]."""
    if part.ndim == 1:
        above, below = times @ part, times @ whole
    else:
        above, below = (np.einsum("rp,rp->r", times @ x, times) for x in (part, whole))
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / below


def _value(values: np.ndarray) -> float | None:
    return float(values[0]) if np.isfinite(values[0]) else None


def _interval(values: np.ndarray) -> tuple[float | None, float | None]:
    drawn = values[1:][np.isfinite(values[1:])]
    return percentiles(drawn) if len(drawn) and np.isfinite(values[0]) else (None, None)
