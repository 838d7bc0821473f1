"""Predictions counted: a confusion matrix for every seed and subject."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from micron_jax.evaluation.metrics import confusion_matrix
from micron_jax.evaluation.prediction import Prediction


@dataclasses.dataclass(frozen=True)
class Tally:
    """What all metrics, intervals and tests are computed from.

    Attributes:
      classes: their order is that of the matrices.
      counted: bool [C], the classes in the denominators of UF1 and UAR.
      seeds: ascending.
      people: (set, subject), sorted.
      confusion: int64 [R, S, C, C] of seed, person, label, prediction.
    """

    classes: tuple[str, ...]
    counted: np.ndarray
    seeds: tuple[int, ...]
    people: tuple[tuple[str, str], ...]
    confusion: np.ndarray

    @property
    def sets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(dataset for dataset, _ in self.people))

    @property
    def strata(self) -> np.ndarray:
        """int64 [S]: the place in `sets` of each person's set."""
        return np.array([self.sets.index(dataset) for dataset, _ in self.people])

    def part(self, dataset: str, classes: Sequence[str] | None = None) -> "Tally":
        """One set's people; without a protocol's `classes`, its labels alone count."""
        chosen = [n for n, (name, _) in enumerate(self.people) if name == dataset]
        confusion = self.confusion[:, chosen]
        return dataclasses.replace(
            self,
            counted=_counted(confusion, classes),
            people=tuple(self.people[n] for n in chosen),
            confusion=confusion,
        )


def tally(predictions: Sequence[Prediction], classes: Sequence[str] | None = None) -> Tally:
    """Counts predictions, every seed of which holds the same clips.

    Args:
      predictions: at least one.
      classes: of the protocol, all of which count. Without them: those of the columns p_CLASS;
        without these, the labels count, sorted, and after them come predictions without a label.

    Raises:
      ValueError: a label or prediction is not among `classes`.
    """
    known = classes_of(predictions, classes)
    labels = {one.label for one in predictions}
    said = labels | {one.prediction for one in predictions}
    names = tuple(known or (*sorted(labels), *sorted(said - labels)))
    seeds = tuple(sorted({one.seed for one in predictions}))
    people = tuple(sorted({one.person for one in predictions}))
    place = {key: n for n, key in enumerate((s, *p) for s in seeds for p in people)}
    index = {name: n for n, name in enumerate(names)}
    if missing := said - set(names):
        raise ValueError(f"no class {', '.join(sorted(missing))}; there are {', '.join(names)}")
    cells: list[tuple[list[int], list[int]]] = [([], []) for _ in place]
    for one in predictions:
        truth, guess = cells[place[one.seed, *one.person]]
        truth.append(index[one.label])
        guess.append(index[one.prediction])
    confusion = np.stack([confusion_matrix(*cell, len(names)) for cell in cells])
    confusion = confusion.reshape(len(seeds), len(people), len(names), len(names))
    return Tally(names, _counted(confusion, known), seeds, people, confusion)


def classes_of(
    predictions: Sequence[Prediction], classes: Sequence[str] | None = None
) -> tuple[str, ...] | None:
    """The protocol's classes, or those of the columns p_CLASS, or None if neither is known."""
    return tuple(classes or predictions[0].probabilities) or None


def _counted(confusion: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    labeled = confusion.sum((0, 1)).sum(-1) > 0
    return np.ones_like(labeled) if classes else labeled
