"""UF1, UAR and accuracy, from confusion matrices that are summed over all folds.

The definitions of MEGC2019: true positives, false positives and false negatives of a class are
summed over the folds *before* its F1 is taken. A mean of the folds' F1 is another number and means
nothing: most subjects show one class or two, and a fold without a class has no F1 for it.

A class of the protocol that no test sample has stays in the denominator, with F1 and recall 0; a
class that is in neither protocol nor labels (a prediction that no label has) does not.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Scores:
    """What one or many confusion matrices [..., C, C] say; shares of 1.

    Attributes:
      uf1: float64 [...], the mean of F1_c = 2 TP / (2 TP + FP + FN) over the classes that count.
      uar: float64 [...], the mean of TP_c / n_c over the same classes.
      accuracy: float64 [...], over all samples.
      f1, recall, precision: float64 [..., C]; 0 where the denominator is 0.
    """

    uf1: np.ndarray
    uar: np.ndarray
    accuracy: np.ndarray
    f1: np.ndarray
    recall: np.ndarray
    precision: np.ndarray


def confusion_matrix(labels: Sequence[int], predictions: Sequence[int], classes: int) -> np.ndarray:
    """Class indices of each sample -> int64 [classes, classes]: row label, column prediction.

    Raises:
      ValueError: an index is not in 0 .. classes - 1, or the lengths differ.
    """
    labels, predictions = np.asarray(labels, np.int64), np.asarray(predictions, np.int64)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and predictions {predictions.shape}")
    for indices in (labels, predictions):
        if indices.size and not 0 <= indices.min() <= indices.max() < classes:
            raise ValueError(f"a class index is outside 0 .. {classes - 1}")
    counts = np.bincount(labels * classes + predictions, minlength=classes**2)
    return counts.reshape(classes, classes)


def scores(confusion: np.ndarray, counted: np.ndarray | None = None) -> Scores:
    """The metrics of confusion matrices [..., C, C], summed over folds.

    Args:
      confusion: row label, column prediction; numbers of samples.
      counted: bool [C], the classes in the denominators of UF1 and UAR; all by default.
    """
    confusion = np.asarray(confusion, np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    labeled, predicted = confusion.sum(-1), confusion.sum(-2)
    chosen = slice(None) if counted is None else np.flatnonzero(counted)
    f1 = _ratio(2 * hits, labeled + predicted)  # 2 TP + FP + FN
    recall = _ratio(hits, labeled)
    return Scores(
        uf1=f1[..., chosen].mean(-1),
        uar=recall[..., chosen].mean(-1),
        accuracy=_ratio(hits.sum(-1), labeled.sum(-1)),
        f1=f1,
        recall=recall,
        precision=_ratio(hits, predicted),
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
