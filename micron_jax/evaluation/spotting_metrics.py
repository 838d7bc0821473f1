"""F1 of spotting: true positives, false positives and false negatives, summed over all videos.

F1 of micro- and of macro-expressions are of their own detections and expressions. `both` sums their
counts, so that an expression found as the wrong kind is missed, and its detection false. `any` asks
whether an expression was found at all, whichever kind it was called.

The definitions are those of the challenges (MEGC 2020 to 2023); a mean over videos or folds of F1
is another number. Intervals are of the bootstrap over subjects.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from micron_jax.datasets.long_videos.times import KINDS
from micron_jax.datasets.long_videos.truth import Truth
from micron_jax.evaluation.significance import LEVEL, Bootstrap, percentiles
from micron_jax.evaluation.spotting_matching import IOU, Matches
from micron_jax.evaluation.spotting_recognition import spot_then_recognize
from micron_jax.evaluation.spotting_thresholds import chosen_on_others, count, f1, grid_of

NAMES = (*KINDS, "both", "any")
CURVE = 200  # points of a curve
OTHERS = "others"


def summarize_spotting(
    truth: Truth,
    matches: Matches,
    threshold: float | str | None = None,
    *,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Computes the metrics of one table of detections.

    Args:
      threshold: detections of less confidence do not count; None: all count; `others`: for each
        subject and kind the one that is best on all other subjects.

    Returns:
      {"videos", "subjects", "minutes" or None where a video's length is not known, "iou",
      "threshold": as given, or with `others` {kind: {"min", "median", "max"}}, "intervals":
      {"level", "resamples", "unit"} or None for one subject, "kinds": {micro, macro, both, any:
      {"expressions", "detections", "tp", "fp", "fn", "f1", "precision", "recall", "interval":
      [low, high] or None, "false_alarms_per_minute" or None}}, "curve": {kind: [{"confidence",
      "precision", "recall", "f1", "false_alarms_per_minute"}]}, "per_subject": [{"set", "subject",
      kind: {"tp", "fp", "fn", "f1" or None}}], "per_video": [{"set", "subject", "video", kind:
      {"tp", "fp", "fn"}}], "apex": {"pairs", "median_frames", "median_seconds" or None} or None,
      "strs": of `spotting_recognition` or None}.
    """
    bootstrap = bootstrap or Bootstrap()
    chosen, used = _chosen(truth, matches, threshold)
    people = truth.people
    owner = np.array([people.index(truth.videos[e.video].person) for e in truth.expressions])
    table = _table(truth, matches, chosen, matches.people, owner, len(people))  # [S, 4, 3]
    total = table.sum(0)
    minutes = _minutes(truth)
    bounds = [None] * len(NAMES)
    if len(people) > 1:
        times = bootstrap.draws(strata(truth))
        drawn = np.einsum("bs,skc->bkc", times.astype(np.float64), table)
        bounds = [list(percentiles(column)) for column in _f1(drawn).T]
    videos = np.array([one.video for one in matches.joined], np.int64)
    place = np.array([expression.video for expression in truth.expressions])
    by_video = _table(truth, matches, chosen, videos, place, len(truth.videos))
    recognition = spot_then_recognize(truth, matches, chosen)
    return {
        "videos": len(truth.videos),
        "subjects": len(people),
        "minutes": minutes,
        "iou": IOU,
        "threshold": used,
        "intervals": bounds[0]
        and {"level": LEVEL, "resamples": bootstrap.resamples, "unit": "subject"},
        "kinds": {
            name: _scores(*total[n].tolist(), minutes) | {"interval": bounds[n]}
            for n, name in enumerate(NAMES)
        },
        "curve": _curve(truth, matches, minutes),
        "per_subject": [
            {"set": dataset, "subject": subject}
            | {
                name: _counts(row) | {"f1": float(_f1(row)) if row.any() else None}
                for name, row in zip(NAMES, part, strict=True)
            }
            for (dataset, subject), part in zip(people, table, strict=True)
        ],
        "per_video": [
            {"set": video.set, "subject": video.subject, "video": video.name}
            | {name: _counts(row) for name, row in zip(KINDS, part[:2], strict=True)}
            for video, part in zip(truth.videos, by_video, strict=True)
        ],
        "apex": _apex(truth, matches, chosen),
        "strs": recognition,
    }


def strata(truth: Truth) -> np.ndarray:
    """Returns the place of each person's set among the sets, int64 [S]."""
    sets = sorted({name for name, _ in truth.people})
    return np.array([sets.index(name) for name, _ in truth.people])


def select(truth: Truth, matches: Matches, threshold: float | str | None) -> np.ndarray:
    """Returns which detections a threshold of `summarize_spotting` lets count, bool [N]."""
    return _chosen(truth, matches, threshold)[0]


def _chosen(
    truth: Truth, matches: Matches, threshold: float | str | None
) -> tuple[np.ndarray, Any]:
    """Returns which detections count, bool [N], and what to tell about the threshold."""
    if threshold is None:
        return np.ones(len(matches.joined), bool), None
    if threshold != OTHERS:
        return matches.confidences >= threshold, threshold
    counts = count(truth, matches, grid_of([matches]))
    values = counts.thresholds[chosen_on_others(counts)]  # [K, S]
    used = {}
    for kind, row in zip(KINDS, values, strict=True):
        finite = row[np.isfinite(row)]
        names = (("min", np.min), ("median", np.median), ("max", np.max))
        used[kind] = {n: float(of(finite)) for n, of in names} if len(finite) else None
    return matches.confidences >= values[matches.kinds, matches.people], used


def _table(
    truth: Truth,
    matches: Matches,
    chosen: np.ndarray,
    of_detections: np.ndarray,
    of_expressions: np.ndarray,
    count_of: int,
) -> np.ndarray:
    """Returns TP, FP and FN of `NAMES`, by subject or by video: float64 [count_of, 4, 3]."""
    table = np.zeros((count_of, len(NAMES), 3))
    kinds = np.array([KINDS.index(e.kind) for e in truth.expressions])
    right, right_any = chosen & (matches.hits >= 0), chosen & (matches.hits_any >= 0)
    for n in range(len(KINDS)):
        for column, flags in ((0, right), (1, chosen & ~right)):
            np.add.at(table[:, n, column], of_detections[flags & (matches.kinds == n)], 1)
        np.add.at(table[:, n, 2], of_expressions[kinds == n], 1)
    for column, flags in ((0, right_any), (1, chosen & ~right_any)):
        np.add.at(table[:, 3, column], of_detections[flags], 1)
    np.add.at(table[:, 3, 2], of_expressions, 1)
    table[:, :2, 2] -= table[:, :2, 0]
    table[:, 3, 2] -= table[:, 3, 0]
    table[:, 2] = table[:, :2].sum(1)
    return table


def _scores(tp: float, fp: float, fn: float, minutes: float | None) -> dict[str, Any]:
    return {
        "expressions": int(tp + fn),
        "detections": int(tp + fp),
        "tp": int(tp),
        "fp": int(fp),
        "fn": int(fn),
        "f1": float(f1(np.array(tp), np.array(fp), np.array(tp + fn))),
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / (tp + fn) if tp + fn else 0.0,
        "false_alarms_per_minute": fp / minutes if minutes else None,
    }


def _counts(row: np.ndarray) -> dict[str, int]:
    return dict(zip(("tp", "fp", "fn"), row.astype(int).tolist(), strict=True))


def _f1(counts: np.ndarray) -> np.ndarray:
    """F1 of TP, FP, FN in the last axis."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return f1(tp, fp, tp + fn)


def _minutes(truth: Truth) -> float | None:
    seconds = [video.seconds for video in truth.videos]
    return None if None in seconds else sum(seconds) / 60


def _curve(truth: Truth, matches: Matches, minutes: float | None) -> dict[str, list[dict]]:
    """Returns precision and recall at falling thresholds, of each kind that has two of them."""
    thresholds = grid_of([matches])[1:]
    if len(thresholds) > CURVE:
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, CURVE).round().astype(int)]
    if len(thresholds) < 2:
        return {}
    counts = count(truth, matches, thresholds)
    curve = {}
    for n, kind in enumerate(KINDS):
        right, wrong, true = counts.right[n].sum(0), counts.wrong[n].sum(0), counts.true[n].sum()
        if not true or not (right[-1] + wrong[-1]):
            continue
        curve[kind] = [
            {"confidence": float(value)}
            | {
                key: score
                for key, score in _scores(tp, fp, true - tp, minutes).items()
                if key in ("precision", "recall", "f1", "false_alarms_per_minute")
            }
            for value, tp, fp in zip(thresholds, right.tolist(), wrong.tolist(), strict=True)
            if tp + fp
        ]
    return curve


def _apex(truth: Truth, matches: Matches, chosen: np.ndarray) -> dict[str, Any] | None:
    """Returns the error of the apex of what was found, where both have one."""
    frames, seconds = [], []
    for n in np.flatnonzero(chosen & (matches.hits >= 0)):
        true, one = truth.expressions[matches.hits[n]], matches.joined[n].detection
        if true.apex is not None and one.apex is not None:
            frames.append(abs(true.apex - one.apex))
            fps = truth.videos[true.video].fps
            seconds.append(frames[-1] / fps if fps else np.nan)
    if not frames:
        return None
    known = np.isfinite(seconds).all()
    return {
        "pairs": len(frames),
        "median_frames": float(np.median(frames)),
        "median_seconds": float(np.median(seconds)) if known else None,
    }


def per_kind(summary: dict[str, Any], names: Sequence[str] = NAMES) -> list[tuple[str, dict]]:
    """Returns (name, scores) of the kinds that the truth or the detections have.

    Of one kind alone, `both` and `any` are the same, and left out.
    """
    kinds = summary["kinds"]
    there = [n for n in names if kinds[n]["expressions"] or kinds[n]["detections"]]
    if len(set(there) & set(KINDS)) < 2:
        there = [n for n in there if n in KINDS]
    return [(n, kinds[n]) for n in there]
