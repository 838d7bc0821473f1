"""Errors of a displacement in px, against the truth; patches of the face alone.

- *epe*: the end-point error, the length of estimate less truth; the mean over all patches of the
  clips of an amplitude. `epe_moved`: over the patches that truly move by `STILL` or more.
- *correlation*: Pearson's, of the estimate's and the true length, over the patches of all clips
  with an expression; `correlation_at`: of those of one amplitude.
- *area*: *lit* is the share of the face in which the estimate is longer than the method's floor,
  *moved* the share that truly moves by `STILL` or more, *ratio* the first over the second, *right*
  the share of the lit that moves, *found* the share of the moving that is lit.
- *calibration*: a method may say a scale b of its own error, px: the error of each component is
  Laplace's, with density exp(-|e| / b) / 2b. *coverage* is the share of components within the
  intervals of 50 % and 90 %, b·ln 2 and b·ln 10; *deciles* parts the patches by b.

In a film that moves by itself nobody knows that motion: there the estimate counts less that of the
same film without the expression, in `epe`, `correlation` and `area`. Such films have no part in the
calibration, and motionless ones of them none at all.
"""

import numpy as np

from micron_jax.benchmarks import learn_people
from micron_jax.benchmarks.learn_flow import lengths
from micron_jax.benchmarks.learn_levels import AMPLITUDES, STILL
from micron_jax.benchmarks.learn_people import Figures, interval, value
from micron_jax.benchmarks.learn_truth import HEADS, Truth

FLOOR = 95  # percentile of the lengths in motionless clips of other people
LEVELS = (0.5, 0.9)  # of the intervals that a scale gives
AREAS = {"ratio": ("lit", "moved"), "right": ("both", "lit"), "found": ("both", "moved")}


def floor_of(vector: np.ndarray, truth: Truth) -> float | None:
    """Returns the noise floor of vectors [C, 28, 28, 2], px, from motionless clips; at least STILL.

    None: no clip is motionless, or what the face does by itself is not known.
    """
    still = (truth.amplitude == 0) & truth.known
    if not still.any():
        return None
    return max(STILL, float(np.percentile(lengths(vector[still])[truth.face[still]], FLOOR)))


def figures(vector: np.ndarray, truth: Truth, times: np.ndarray, floor: float | None) -> Figures:
    """Returns the figures of vectors [C, 28, 28, 2], px, in each resample of `learn_people.draw`.

    Raises:
      ValueError: vectors of another shape, or not finite.
    """
    if vector.shape != truth.displacement.shape:
        raise ValueError(f"vectors are {vector.shape}; expected {truth.displacement.shape}")
    if not np.isfinite(vector).all():
        raise ValueError("vectors hold NaN or infinite values")
    people, face = times.shape[1], truth.face
    estimate = truth.less_control(vector.astype(np.float64))
    length, true = lengths(estimate), lengths(truth.displacement.astype(np.float64))
    error = lengths(estimate - truth.displacement)
    moves = face & (true >= STILL)

    def ratio(part: np.ndarray, whole: np.ndarray, clips: np.ndarray) -> np.ndarray:
        """Returns the ratio of two sums over patches [C, 28, 28] of some clips."""
        both = (
            learn_people.sums(x[clips].sum(axis=(1, 2)), truth.person[clips], people)
            for x in (part, whole)
        )
        return learn_people.ratio(*both, times)

    result: Figures = {}
    for amplitude in (0.0, *AMPLITUDES):
        px, clips = f"{amplitude:g}", truth.known & (truth.amplitude == amplitude)
        result[f"epe {px}"] = ratio(error * face, face, clips)
        for group, chosen in groups(truth).items():
            result[f"epe {px} {group}"] = ratio(error * face, face, clips & chosen)
        result[f"epe_moved {px}"] = ratio(error * moves, moves, clips)
        if amplitude:
            result[f"correlation {px}"] = _correlation(length, true, truth, clips, times)
        if floor is not None:
            lit = face & (length > floor)
            areas = {"lit": lit, "moved": moves, "both": lit & moves}
            result |= {f"{kind} {px}": ratio(areas[kind], face, clips) for kind in ("lit", "moved")}
            for name, (part, whole) in AREAS.items():
                result[f"{name} {px}"] = ratio(areas[part], areas[whole], clips)
    moved = truth.known & (truth.amplitude > 0)
    result["correlation"] = _correlation(length, true, truth, moved, times)
    return result


def groups(truth: Truth) -> dict[str, np.ndarray]:
    """Returns the clips of each kind, codec and motion of the head: "codec none" -> bool [C]."""
    kinds = {f"kind {x}": truth.kind == x for x in np.unique(truth.kind)}
    codecs = {f"codec {x}": truth.codec == x for x in np.unique(truth.codec)}
    heads = {f"head {x}": truth.head_group == x for x in HEADS}
    return kinds | codecs | {name: clips for name, clips in heads.items() if clips.any()}


def summary(figures: Figures, truth: Truth, floor: float | None) -> dict:
    """Returns the scores, from the figures of `figures`.

    Returns:
      {"epe": {"0" | "0.25" | ...: px}, "epe_low", "epe_high" (95 % over people), "epe_moved",
      "epe_by": {"codec none" | "head below 0.5 px" | "kind film" | ...: {"0" | ...: px}},
      "correlation", "correlation_low", "correlation_high", "correlation_at": {"0.25" | ...},
      "floor": px, "area": {"0" | ...: {"lit", "moved", "ratio", "low", "high" (of `ratio`),
      "right", "found"}}}. A value is None if there are no such clips.
    """
    levels = [f"{amplitude:g}" for amplitude in (0.0, *AMPLITUDES)]
    intervals = {px: interval(figures[f"epe {px}"]) for px in levels}
    low, high = interval(figures["correlation"])
    scores = {
        "epe": {px: value(figures[f"epe {px}"]) for px in levels},
        "epe_low": {px: intervals[px][0] for px in levels},
        "epe_high": {px: intervals[px][1] for px in levels},
        "epe_moved": {px: value(figures[f"epe_moved {px}"]) for px in levels[1:]},
        "epe_by": {
            group: {px: value(figures[f"epe {px} {group}"]) for px in levels}
            for group in groups(truth)
        },
        "correlation": value(figures["correlation"]),
        "correlation_low": low,
        "correlation_high": high,
        "correlation_at": {px: value(figures[f"correlation {px}"]) for px in levels[1:]},
    }
    if floor is None:
        return scores | {"floor": None, "area": None}
    area = {
        px: {name: value(figures[f"{name} {px}"]) for name in ("lit", "moved", *AREAS)}
        | dict(zip(("low", "high"), interval(figures[f"ratio {px}"]), strict=True))
        for px in levels
    }
    return scores | {"floor": floor, "area": area}


def calibration(vector: np.ndarray, scale: np.ndarray, truth: Truth) -> dict | None:
    """Returns how well a scale, px [C, 28, 28], says the error of vectors [C, 28, 28, 2].

    Returns:
      {"coverage": {"0.5", "0.9"}, "deciles": [{"scale", "error"}] (means, px: of b, which is the
      mean error to expect, and of the components' absolute errors), "patches"}; None: no clip.
    """
    clips = truth.kind != "film"
    face = truth.face[clips]
    if not face.any():
        return None
    error = np.abs(vector[clips] - truth.displacement[clips])[face].astype(np.float64)  # [N, 2]
    b = np.maximum(scale[clips][face].astype(np.float64), 1e-6)
    inside = {p: (error <= -b[:, None] * np.log1p(-p)).mean() for p in LEVELS}
    order = np.array_split(np.argsort(b, kind="stable"), 10)
    return {
        "coverage": {f"{p:g}": float(share) for p, share in inside.items()},
        "deciles": [
            {"scale": float(b[part].mean()), "error": float(error[part].mean())}
            for part in order
            if len(part)
        ],
        "patches": len(b),
    }


def difference(figures: Figures, other: Figures) -> dict:
    """Returns one method's errors less another's, in the same resamples of people.

    Returns:
      {"epe": {"0" | ...: {"difference", "low", "high", "ratio", "ratio_low", "ratio_high"}},
      "correlation": {"difference", "low", "high"}}.
    """
    epe = {}
    for px in (f"{amplitude:g}" for amplitude in (0.0, *AMPLITUDES)):
        one, two = figures[f"epe {px}"], other[f"epe {px}"]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = one / two
        low, high = interval(share)
        parts = {"ratio": value(share), "ratio_low": low, "ratio_high": high}
        epe[px] = learn_people.apart(one, two) | parts
    return {
        "epe": epe,
        "correlation": learn_people.apart(figures["correlation"], other["correlation"]),
    }


def _correlation(length, true, truth: Truth, clips: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Returns Pearson's correlation over the face's patches of some clips, [R]."""
    x, y = (np.where(truth.face, values, 0)[clips] for values in (length, true))
    moments = [
        times @ learn_people.sums(m.sum(axis=(1, 2)), truth.person[clips], times.shape[1])
        for m in (truth.face[clips], x, y, x * x, y * y, x * y)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y, xx, yy, xy = (m / moments[0] for m in moments[1:])
        spread = (xx - mean_x**2) * (yy - mean_y**2)
        return (xy - mean_x * mean_y) / np.sqrt(np.where(spread > 1e-18, spread, np.nan))
