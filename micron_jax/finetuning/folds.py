"""Folds that never have a subject on both sides: leave one out, or k groups of subjects."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.protocols import subject_of
from micron_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Fold:
    """Indices into the list that was split: to learn from, and to test on; both ascending."""

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def leave_one_subject_out(labeled: Sequence[tuple[Sample, int]]) -> list[Fold]:
    """A fold a subject, named `set/subject`, in order of first appearance.

    Args:
      labeled: (sample, class index), as `protocols.apply` gives them.

    Raises:
      UserError: there are fewer than two subjects.
    """
    subjects = _subjects(labeled)
    if len(subjects) < 2:
        raise UserError(f"{len(subjects)} subjects cannot be split: at least 2 are needed")
    return [_fold(name, test, len(labeled)) for name, test in subjects.items()]


def k_fold(labeled: Sequence[tuple[Sample, int]], k: int, seed: int = 0) -> list[Fold]:
    """k folds of whole subjects with nearly equal shares of each class in their test parts.

    Greedy: subjects with the most uneven classes are placed first, each where the classes'
    shares then differ least between the folds. The same seed gives the same folds; another one
    breaks ties, and orders subjects that are alike, otherwise.

    Args:
      labeled: (sample, class index), as `protocols.apply` gives them.
      k: how many folds.
      seed: of the order of the subjects.

    Raises:
      UserError: k is below 2, or there are fewer subjects than folds.
    """
    subjects = _subjects(labeled)
    if not 2 <= k <= len(subjects):
        raise UserError(f"{k} folds of {len(subjects)} subjects: needed is 2 to {len(subjects)}")
    classes = 1 + max(label for _, label in labeled)
    names = sorted(subjects)
    counts = np.array(
        [np.bincount([labeled[i][1] for i in subjects[n]], minlength=classes) for n in names]
    )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].std(axis=1), kind="stable")]
    totals = np.maximum(counts.sum(axis=0), 1)
    placed, members = np.zeros((k, classes)), [[] for _ in range(k)]
    for rank, subject in enumerate(order):
        # With as many subjects left as folds are empty, each of those must get one.
        empty = [fold for fold in range(k) if not members[fold]]
        open_folds = empty if len(order) - rank == len(empty) else range(k)
        best = min(open_folds, key=lambda fold: _unevenness(placed, fold, counts[subject], totals))
        placed[best] += counts[subject]
        members[best].append(names[subject])
    return [
        _fold(f"{number}of{k}", sorted(i for n in part for i in subjects[n]), len(labeled))
        for number, part in enumerate(members, 1)
    ]


def _subjects(labeled: Sequence[tuple[Sample, int]]) -> dict[str, list[int]]:
    subjects = collections.defaultdict(list)
    for index, (sample, _) in enumerate(labeled):
        subjects[subject_of(sample)].append(index)
    return dict(subjects)


def _fold(name: str, test: Sequence[int], total: int) -> Fold:
    held_out = set(test)
    return Fold(name, tuple(i for i in range(total) if i not in held_out), tuple(test))


def _unevenness(placed, fold, counts, totals) -> tuple[float, float]:
    """(mean over classes of the spread between folds, size of the fold) if it took `counts`."""
    trial = placed.copy()
    trial[fold] += counts
    return float((trial / totals).std(axis=0).mean().round(12)), float(trial[fold].sum())
