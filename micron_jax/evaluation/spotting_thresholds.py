"""Thresholds of confidence, chosen on other people or, for comparison, on the test people.

A threshold, or an epoch, that is best on the people whose F1 it gives is part of that F1: it leaks.
What leaves no trace is a choice made before, or one made for each subject on all the others.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from micron_jax.datasets.long_videos.times import KINDS
from micron_jax.datasets.long_videos.truth import Truth
from micron_jax.evaluation.significance import percentiles
from micron_jax.evaluation.spotting_matching import Matches

GRID = 5000  # thresholds that are tried; of fewer confidences all


@dataclasses.dataclass(frozen=True)
class Counts:
    """Right and wrong detections at or above each of T thresholds, of S subjects.

    Attributes:
      thresholds: falling, float64 [T]; the first leaves out everything.
      right, wrong: int32 [K, S, T], of each kind.
      true: expressions, int64 [K, S].
    """

    thresholds: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    true: np.ndarray


def grid_of(tables: Sequence[Matches]) -> np.ndarray:
    """Returns thresholds that part the confidences of tables evenly, falling, float64 [T]."""
    values = np.unique(np.concatenate([table.confidences for table in tables] or [np.zeros(0)]))
    if len(values) > GRID:
        values = np.unique(np.quantile(values, np.linspace(0, 1, GRID), method="nearest"))
    return np.concatenate([[np.inf], values[::-1]])


def count(truth: Truth, matches: Matches, thresholds: np.ndarray) -> Counts:
    """Counts at every threshold."""
    shape = len(KINDS), len(truth.people), len(thresholds)
    right, wrong = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    # The first threshold that a confidence reaches; falling ones are searched negated.
    first = np.searchsorted(-thresholds, -matches.confidences)
    for result, chosen in ((right, matches.hits >= 0), (wrong, matches.hits < 0)):
        np.add.at(result, (matches.kinds[chosen], matches.people[chosen], first[chosen]), 1)
    true = np.zeros(shape[:2], np.int64)
    places = {person: n for n, person in enumerate(truth.people)}
    for expression in truth.expressions:
        person = places[truth.videos[expression.video].person]
        true[KINDS.index(expression.kind), person] += 1
    return Counts(
        thresholds, right.cumsum(-1, dtype=np.int32), wrong.cumsum(-1, dtype=np.int32), true
    )


def f1(right: np.ndarray, wrong: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Returns 2 TP / (detections + expressions); 0 where there are none."""
    below = right + wrong + true
    return np.divide(2.0 * right, below, out=np.zeros(np.shape(below)), where=below > 0)


def chosen_on_others(counts: Counts) -> np.ndarray:
    """Returns the place of the threshold with the best F1 on all other subjects, int64 [K, S]."""
    return _f1_of_others(counts).argmax(-1)


def chosen_on_test(counts: Counts) -> np.ndarray:
    """Returns the place of the threshold with the best F1 on the subjects themselves, [K, S]."""
    best = f1(counts.right.sum(1), counts.wrong.sum(1), counts.true.sum(1)[:, None]).argmax(-1)
    return np.broadcast_to(best[:, None], counts.true.shape)


def compare_choices(
    epochs: Mapping[int, Counts], fixed: int, times: np.ndarray
) -> list[dict[str, Any]]:
    """Returns what the choice of the epoch and of the threshold makes of F1.

    Args:
      epochs: counts of each epoch, at the same thresholds.
      fixed: the epoch that was named beforehand.
      times: resamples of subjects, int64 [B, S]; see `significance.Bootstrap.draws`. The choices
        stay as they are.

    Returns:
      [{"choice": words, "leaky": bool, "micro", "macro", "both": F1, "interval" of `both`: [low,
      high], "difference": {"both": to the first row, "interval"} or None in the first}].
    """
    names, tables = list(epochs), list(epochs.values())
    here, true = names.index(fixed), tables[0].true
    others = np.stack([chosen_on_others(table) for table in tables])  # [E, K, S]
    score = np.stack([_f1_of_others(table).max(-1) for table in tables])
    pooled = np.stack([_pooled(table, chosen_on_test(table)) for table in tables])  # [E, K]
    best_pooled = pooled.argmax(0)[:, None] + np.zeros_like(true)
    test = np.stack([chosen_on_test(table) for table in tables])
    own = np.stack([_own(table, place) for table, place in zip(tables, others, strict=True)])
    kinds = own.sum(2)  # [E, 2, S], of both kinds
    # Of equal F1, as of a subject of whom nothing is found, the epoch with fewer false alarms.
    own_f1 = f1(kinds[:, 0], kinds[:, 1], true.sum(0)) - 1e-9 * kinds[:, 1]
    own_best = own_f1.argmax(0) + np.zeros_like(true)
    fixed_epoch = np.full_like(true, here)
    last = f"epoch {fixed}, named beforehand"
    rows = [
        (f"{last}; thresholds chosen on the other people", False, fixed_epoch, others),
        ("epoch and thresholds chosen on the other people", False, score.argmax(0), others),
        (f"{last}; thresholds best on the test people", True, fixed_epoch, test),
        ("epoch and thresholds best on the test people", True, best_pooled, test),
        ("epoch best on each test subject; thresholds of the others", True, own_best, others),
    ]
    result, first = [], None
    for text, leaky, epoch, places in rows:
        right, wrong = _of_choice(tables, epoch, places)
        scores = f1(right.sum(-1), wrong.sum(-1), true.sum(-1))
        both = float(f1(right.sum(), wrong.sum(), true.sum()))
        drawn = f1(*(times @ part.sum(0) for part in (right, wrong, true)))
        first = (both, drawn) if first is None else first
        difference = {"both": both - first[0], "interval": list(percentiles(drawn - first[1]))}
        result.append(
            {"choice": text, "leaky": leaky}
            | dict(zip(KINDS, scores.tolist(), strict=True))
            | {"both": both, "interval": list(percentiles(drawn))}
            | {"difference": difference if result else None}
        )
    return result


def _f1_of_others(counts: Counts) -> np.ndarray:
    """F1 of all other subjects, [K, S, T]."""
    right, wrong, true = (
        part.sum(1, keepdims=True) - part for part in (counts.right, counts.wrong, counts.true)
    )
    return f1(right, wrong, true[..., None])


def _own(counts: Counts, places: np.ndarray) -> np.ndarray:
    """Right and wrong detections of each kind and subject at its threshold, [2, K, S]."""
    parts = (counts.right, counts.wrong)
    return np.stack([np.take_along_axis(p, places[..., None], -1)[..., 0] for p in parts])


def _pooled(counts: Counts, places: np.ndarray) -> np.ndarray:
    """F1 of each kind, over all subjects, [K]."""
    right, wrong = _own(counts, places).sum(-1)
    return f1(right, wrong, counts.true.sum(-1))


def _of_choice(
    tables: Sequence[Counts], epoch: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Right and wrong detections at the epoch and threshold of each kind and subject, [K, S]."""
    own = np.stack([_own(table, place) for table, place in zip(tables, places, strict=True)])
    kinds, people = np.indices(epoch.shape)
    return own[epoch, 0, kinds, people], own[epoch, 1, kinds, people]
