"""What each fold learns from, may look at, and is tested on: lists of samples, by subject."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.protocols import Protocol, subject_of
from micron_jax.errors import UserError
from micron_jax.finetuning import folds
from micron_jax.finetuning.folds import Fold


@dataclasses.dataclass(frozen=True)
class Part:
    """One fold: indices of samples; `validation` is empty where the schedule is fixed."""

    name: str
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class SplitConfig:
    """Who is tested by whom.

    Attributes:
      kind: `subjects`, leave one subject out; `groups`, `k` groups of subjects; `sets`, train on
        some data sets and test on another.
      k: see `groups`.
      train_on, test_on: for `sets`: names joined by +; both empty leaves each set out in turn.
      selection: `schedule`, the last epoch of a fixed schedule; `inner`, the epoch that is best
        on some of the *training* subjects, which are then not learned from.
      inner_share: of the training subjects, for `inner`.
    """

    kind: str = "subjects"
    k: int = 5
    train_on: str = ""
    test_on: str = ""
    selection: str = "schedule"
    inner_share: float = 0.2

    def __post_init__(self):
        for field, choices in (
            ("kind", ("subjects", "groups", "sets")),
            ("selection", ("schedule", "inner")),
        ):
            if getattr(self, field) not in choices:
                raise UserError(
                    f"split.{field}={getattr(self, field)!r}: choose one of {', '.join(choices)}"
                )
        if bool(self.train_on) != bool(self.test_on):
            raise UserError("split.train_on and split.test_on: give both, or neither")
        if self.train_on and self.kind != "sets":
            raise UserError(f"split.train_on={self.train_on!r}: belongs to split.kind='sets'")
        if not 0 < self.inner_share <= 0.5:
            raise UserError(f"split.inner_share={self.inner_share}: must lie in 0..0.5, above 0")


def partition(
    labeled: Sequence[tuple[Sample, int]], protocol: Protocol, config: SplitConfig, *, seed: int
) -> list[Part]:
    """The folds, with no subject in two parts of one, and each class in every training part.

    Args:
      labeled: (sample, class index), as `protocols.apply` gives them.
      protocol: names the classes and sets.
      config: how to split.
      seed: of the groups, and of who is validated on.

    Raises:
      UserError: too few subjects, an unknown set, or a fold without a training sample of a class.
    """
    outer = {
        "subjects": lambda: folds.leave_one_subject_out(labeled),
        "groups": lambda: folds.k_fold(labeled, config.k, seed),
        "sets": lambda: _by_set(labeled, protocol, config),
    }[config.kind]()
    return [_part(labeled, protocol, fold, config, seed) for fold in outer]


def everyone(
    labeled: Sequence[tuple[Sample, int]],
    protocol: Protocol,
    parts: Sequence[Part],
    config: SplitConfig,
    *,
    seed: int,
) -> Part:
    """All that any of the folds may look at, learned from as they do, and nobody to test."""
    train = sorted({i for part in parts for i in (*part.train, *part.validation)})
    return _part(labeled, protocol, Fold("everyone", tuple(train), ()), config, seed)


def _part(labeled, protocol: Protocol, fold: Fold, config: SplitConfig, seed: int) -> Part:
    _check_classes(labeled, protocol, fold.name, fold.train)
    validation: set[int] = set()
    if config.selection == "inner":
        validation = set(_validation(labeled, fold, config.inner_share, seed))
    train = tuple(i for i in fold.train if i not in validation)
    _check_classes(labeled, protocol, f"{fold.name}, validation taken off", train)
    return Part(fold.name, train, tuple(sorted(validation)), fold.test)


def shared_ids(labeled: Sequence[tuple[Sample, int]]) -> list[str]:
    """Subject ids that stand in several sets, sorted: different people, told apart by the set."""
    homes: dict[str, set[str]] = {}
    for sample, _ in labeled:
        homes.setdefault(sample.subject, set()).add(sample.dataset)
    return sorted(subject for subject, sets in homes.items() if len(sets) > 1)


def _by_set(labeled, protocol: Protocol, config: SplitConfig) -> list[Fold]:
    known = list(dict.fromkeys(sample.dataset for sample, _ in labeled))

    def named(field: str) -> list[str]:
        names = getattr(config, field).split("+")
        for name in names:
            if name not in known:
                raise UserError(
                    f"config.split.{field}: protocol {protocol.name} has no set {name!r}; "
                    f"there are: {', '.join(known)}"
                )
        return names

    if config.train_on:
        ways = [(named("train_on"), named("test_on"))]
        if both := set(ways[0][0]) & set(ways[0][1]):
            raise UserError(f"config.split.test_on: {both.pop()} is in config.split.train_on too")
    elif len(known) < 2:
        raise UserError(
            f"config.split.kind='sets': protocol {protocol.name} has one set only ({known[0]}); "
            "use --config.protocol=composite, or split.kind=subjects"
        )
    else:
        ways = [([other for other in known if other != name], [name]) for name in known]

    def of(names):
        return tuple(i for i, (sample, _) in enumerate(labeled) if sample.dataset in names)

    return [Fold(f"{'+'.join(a)}->{'+'.join(b)}", of(a), of(b)) for a, b in ways]


def _validation(labeled, fold: Fold, share: float, seed: int) -> tuple[int, ...]:
    """Samples of about `share` of the training subjects, with shares of the classes as in all."""
    subjects = len({subject_of(labeled[i][0]) for i in fold.train})
    if subjects < 3:
        raise UserError(
            f"fold {fold.name}: {subjects} training subjects are too few for "
            "split.selection='inner'; use schedule"
        )
    k = min(max(2, round(1 / share)), subjects)
    inner = folds.k_fold([labeled[i] for i in fold.train], k, seed)[0]
    return tuple(fold.train[i] for i in inner.test)


def _check_classes(labeled, protocol: Protocol, fold: str, train: Sequence[int]) -> None:
    counts = np.bincount([labeled[i][1] for i in train], minlength=len(protocol.classes))
    if not counts.all():
        missing = protocol.classes[int(np.argmin(counts))]
        raise UserError(
            f"fold {fold}: no training sample of class {missing!r}; protocol {protocol.name} "
            "cannot be learned so: add subjects, or choose another split or protocol"
        )
