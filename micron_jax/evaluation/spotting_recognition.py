"""Spot, then recognize: the score STRS, F1 of spotting times F1 of recognition of what is found.

Liong, See and Chan, Signal Processing: Image Communication 110 (2023), 116875. F1 of recognition is
the harmonic mean of the means, over classes, of precision and of recall; a class that nothing found
has counts 0 in both means. UF1 and UAR of what is found stand beside it.
"""

from typing import Any

import numpy as np

from micron_jax.datasets.long_videos.times import KINDS
from micron_jax.datasets.long_videos.truth import Truth
from micron_jax.datasets.names import class_key
from micron_jax.evaluation.metrics import confusion_matrix, scores
from micron_jax.evaluation.spotting_matching import Matches
from micron_jax.evaluation.spotting_thresholds import f1


def spot_then_recognize(
    truth: Truth, matches: Matches, chosen: np.ndarray
) -> dict[str, dict[str, Any]] | None:
    """Returns the scores of each kind whose expressions have labels, and of both kinds together.

    Args:
      chosen: which detections count, bool [N].

    Returns:
      {kind: {"classes", "found": expressions with a label that are found, "spotting_f1", "f1" of
      recognition, "precision", "recall", "uf1", "uar", "strs"}}; None if no detection has a label.
      A detection whose label is no class of the truth, or empty, is wrong.
    """
    if not any(one.detection.label for one in matches.joined):
        return None
    result = {}
    for name in (*KINDS, "both"):
        kinds = [n for n, kind in enumerate(KINDS) if name in (kind, "both")]
        expressions = [e for e in truth.expressions if KINDS.index(e.kind) in kinds]
        spellings = {class_key(e.label): e.label for e in reversed(expressions) if e.label}
        classes = sorted(spellings)
        if not classes:
            continue
        part = chosen & np.isin(matches.kinds, kinds)
        right = part & (matches.hits >= 0)
        labels, guesses = [], []
        for n in np.flatnonzero(right):
            label = class_key(truth.expressions[matches.hits[n]].label)
            if label in classes:
                labels.append(classes.index(label))
                guess = class_key(matches.joined[n].detection.label)
                guesses.append(classes.index(guess) if guess in classes else len(classes))
        spotting = float(f1(right.sum(), (part & ~right).sum(), np.array(len(expressions))))
        result[name] = {
            "classes": [spellings[key] for key in classes],
            "found": len(labels),
            "spotting_f1": spotting,
        } | _recognition(labels, guesses, len(classes), spotting)
    return result or None


def _recognition(
    labels: list[int], guesses: list[int], classes: int, spotting: float
) -> dict[str, float]:
    """Returns the scores of recognition; one more class than `classes` is none of them."""
    matrix = confusion_matrix(labels, guesses, classes + 1)
    values = scores(matrix, np.arange(classes + 1) < classes)
    precision, recall = values.precision[:classes].mean(), values.recall[:classes].mean()
    value = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {
        "f1": float(value),
        "precision": float(precision),
        "recall": float(recall),
        "uf1": float(values.uf1),
        "uar": float(values.uar),
        "strs": float(spotting * value),
    }
