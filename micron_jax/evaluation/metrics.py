"""Confusion matrices, and their UF1, UAR and accuracy.

The definitions are MEGC2019's: true positives, false positives and false negatives of a class are
summed over the folds *before* its F1 is taken. A mean of the folds' F1 is another number: most
subjects show one or two classes, and a fold without a class has no F1 for it.

A class of the protocol without a test sample stays in the denominator, with F1 and recall 0. A
class that is in neither protocol nor labels (a prediction that no label has) does not.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from micron_jax.evaluation.prediction import Prediction

METRICS = ("uf1", "uar", "accuracy")


@dataclasses.dataclass(frozen=True)
class Scores:
    """The metrics of one or many confusion matrices [..., C, C], as shares of 1.

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


@dataclasses.dataclass(frozen=True)
class Confusions:
    """One confusion matrix for each seed and subject.

    Attributes:
      classes: their order is that of the matrices.
      counted: bool [C], the classes in the denominators of UF1 and UAR.
      people: (set, subject), sorted.
      matrices: int64 [R, S, C, C] of seed, person, label, prediction.
    """

    classes: tuple[str, ...]
    counted: np.ndarray
    seeds: tuple[int, ...]
    people: tuple[tuple[str, str], ...]
    matrices: np.ndarray

    @property
    def sets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(dataset for dataset, _ in self.people))

    @property
    def strata(self) -> np.ndarray:
        """int64 [S]: the place in `sets` of each person's set."""
        return np.array([self.sets.index(dataset) for dataset, _ in self.people])

    @property
    def clips(self) -> dict[str, int]:
        """The number of clips of each class."""
        labels = self.matrices[0].sum((0, 2))
        return dict(zip(self.classes, labels.tolist(), strict=True))

    def scores(self) -> Scores:
        """Returns the metrics of each seed, [R] and [R, C]."""
        return scores(self.matrices.sum(1), self.counted)

    def of_set(self, name: str, classes: Sequence[str] | None = None) -> "Confusions":
        """Returns the part of one set; without a protocol's `classes`, only its labels count."""
        chosen = [n for n, (dataset, _) in enumerate(self.people) if dataset == name]
        matrices = self.matrices[:, chosen]
        return dataclasses.replace(
            self,
            counted=_counted(matrices, classes),
            people=tuple(self.people[n] for n in chosen),
            matrices=matrices,
        )


def count(predictions: Sequence[Prediction], classes: Sequence[str] | None = None) -> Confusions:
    """Counts predictions, every seed of which holds the same clips.

    Args:
      classes: of the protocol, all of which count. Without them: those of the columns p_CLASS;
        without these, the labels count, sorted, and after them come predictions without a label.

    Raises:
      ValueError: a label or prediction is not among `classes`.
    """
    classes = classes_of(predictions, classes)
    labels = {row.label for row in predictions}
    words = labels | {row.prediction for row in predictions}
    names = classes or (*sorted(labels), *sorted(words - labels))
    if missing := words - set(names):
        raise ValueError(f"no class {', '.join(sorted(missing))}; there are {', '.join(names)}")
    seeds = tuple(sorted({row.seed for row in predictions}))
    people = tuple(sorted({row.person for row in predictions}))
    axes = [{name: n for n, name in enumerate(axis)} for axis in (seeds, people, names, names)]
    columns = [
        [axis[getattr(row, name)] for row in predictions]
        for axis, name in zip(axes, ("seed", "person", "label", "prediction"), strict=True)
    ]
    matrices = _histogram(columns, [len(axis) for axis in axes])
    return Confusions(tuple(names), _counted(matrices, classes), seeds, people, matrices)


def classes_of(
    predictions: Sequence[Prediction], classes: Sequence[str] | None = None
) -> tuple[str, ...] | None:
    """Returns the protocol's classes, or those of the columns p_CLASS, or None without either."""
    return tuple(classes or predictions[0].probabilities) or None


def confusion_matrix(labels: Sequence[int], predictions: Sequence[int], classes: int) -> np.ndarray:
    """Counts the class indices of samples: int64 [classes, classes], row label, column prediction.

    Raises:
      ValueError: an index is not in 0 .. classes - 1, or the lengths differ.
    """
    return _histogram([labels, predictions], [classes, classes])


def scores(confusion: np.ndarray, counted: np.ndarray | None = None) -> Scores:
    """Returns the metrics of confusion matrices [..., C, C] that are summed over folds.

    Args:
      confusion: row label, column prediction; numbers of samples.
      counted: bool [C], the classes in the denominators of UF1 and UAR; all by default.
    """
    confusion = np.asarray(confusion, np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    labels, predictions = confusion.sum(-1), confusion.sum(-2)
    chosen = slice(None) if counted is None else np.flatnonzero(counted)
    f1 = _ratio(2 * hits, labels + predictions)  # 2 TP + FP + FN
    recall = _ratio(hits, labels)
    return Scores(
        uf1=f1[..., chosen].mean(-1),
        uar=recall[..., chosen].mean(-1),
        accuracy=_ratio(hits.sum(-1), labels.sum(-1)),
        f1=f1,
        recall=recall,
        precision=_ratio(hits, predictions),
    )


def _histogram(columns: Sequence[Sequence[int]], shape: Sequence[int]) -> np.ndarray:
    """Returns how often each combination of indices, one of each column, occurs: int64 [*shape]."""
    places = np.ravel_multi_index(tuple(np.array(columns, np.int64)), shape)
    return np.bincount(places, minlength=math.prod(shape)).reshape(shape)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _counted(matrices: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    labeled = matrices.sum((0, 1, 3)) > 0
    return np.ones_like(labeled) if classes else labeled
