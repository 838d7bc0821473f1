"""Folds: lists of samples to learn from, to validate on and to test on, apart by subject."""

import dataclasses
import re
import warnings
from collections.abc import Sequence

import numpy as np

from micron_jax.checks import choose
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.protocols import Protocol
from micron_jax.datasets.subjects import person, usual_spellings
from micron_jax.datasets.synthetic_names import marked
from micron_jax.errors import UserError

Labeled = Sequence[tuple[Sample, int]]  # samples with their class indices: `protocols.apply`


@dataclasses.dataclass(frozen=True)
class Fold:
    """Indices of samples, ascending; `validation` is empty where the schedule is fixed."""

    name: str
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class SplitConfig:
    """Choice of the test subjects of each fold, and of the epoch that is tested.

    Attributes:
      kind: `subjects`, leave one subject out; `groups`, `k` groups of subjects; `sets`, train on
        some data sets and test on another; `fixed`, the split of the sets' owners, each of its
        test parts a fold.
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
        choose(
            "config.split",
            self,
            kind=("subjects", "groups", "sets", "fixed"),
            selection=("schedule", "inner"),
        )
        if bool(self.train_on) != bool(self.test_on):
            raise UserError("config.split.train_on and config.split.test_on: give both, or neither")
        if self.train_on and self.kind != "sets":
            raise UserError(
                f"config.split.train_on={self.train_on!r}: needs config.split.kind='sets'"
            )
        if not 0 < self.inner_share <= 0.5:
            raise UserError(
                f"config.split.inner_share={self.inner_share}: must lie in 0..0.5, above 0"
            )

    @property
    def draws_groups(self) -> bool:
        """True if folds depend on `k_fold`."""
        return self.kind == "groups" or self.selection == "inner"


def split(labeled: Labeled, protocol: Protocol, config: SplitConfig, *, seed: int) -> list[Fold]:
    """Returns the folds; each class is in every training list.

    Args:
      labeled: (sample, class index), as `protocols.apply` gives them.
      seed: of the groups, and of the choice of validation subjects.

    Raises:
      UserError: too few subjects, an unknown set, or a fold without a training sample of a class.
    """
    if config.kind == "subjects":
        folds = leave_one_subject_out(labeled)
    elif config.kind == "groups":
        folds = k_fold(labeled, config.k, seed)
    elif config.kind == "fixed":
        folds = _fixed(labeled, protocol)
    else:
        folds = _by_set(labeled, protocol, config)
    return [_checked(labeled, protocol, fold, config, seed) for fold in folds]


def everyone(
    labeled: Labeled, protocol: Protocol, folds: Sequence[Fold], config: SplitConfig, *, seed: int
) -> Fold:
    """Returns the fold that learns from all training samples of the folds, and tests on none."""
    train = sorted({i for fold in folds for i in (*fold.train, *fold.validation)})
    return _checked(labeled, protocol, Fold("everyone", tuple(train), (), ()), config, seed)


def marked_folds(folds: Sequence[Fold], synthetic: Sequence[str]) -> list[Fold]:
    """Returns folds whose names, `set/subject` or `set+set->set`, have synthetic sets marked."""
    if not synthetic:
        return [*folds]
    sets = re.compile(rf"(^|[+>])({'|'.join(map(re.escape, synthetic))})(?=/|\+|->|$)")
    return [
        dataclasses.replace(fold, name=sets.sub(lambda m: m[1] + marked(m[2]), fold.name))
        for fold in folds
    ]


def leave_one_subject_out(labeled: Labeled) -> list[Fold]:
    """Returns a fold for each subject, named `set/subject`, in order of first appearance.

    Raises:
      UserError: there are fewer than two subjects.
    """
    names = _subjects(labeled)
    if len(set(names)) < 2:
        raise UserError(f"{len(set(names))} subjects cannot be split: at least 2 are needed")
    return [_fold(name, names != name, names == name) for name in dict.fromkeys(names.tolist())]


def k_fold(labeled: Labeled, k: int, seed: int = 0) -> list[Fold]:
    """Returns k folds of whole subjects with nearly equal shares of each class in their tests.

    The order of the samples does not matter.

    Raises:
      UserError: k is below 2, there are fewer subjects than folds, or no class has k samples.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import, and seldom needed

    names, labels = _subjects(labeled), np.array([label for _, label in labeled])
    subjects, largest = len(set(names)), int(np.bincount(labels).max())
    if not 2 <= k <= subjects:
        raise UserError(f"{k} folds of {subjects} subjects: choose 2 to {subjects}")
    if k > largest:
        raise UserError(f"{k} folds: the largest class has {largest} samples only")
    splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class with fewer than k samples
        parts = list(splitter.split(names, labels, names))
    return [
        Fold(f"{number}of{k}", tuple(train.tolist()), (), tuple(test.tolist()))
        for number, (train, test) in enumerate(parts, 1)
    ]


def shared_ids(labeled: Labeled) -> list[str]:
    """Returns subject ids that stand in several sets, sorted: they are different people."""
    homes: dict[str, set[str]] = {}
    for name in _subjects(labeled):
        dataset, _, subject = str(name).partition("/")
        homes.setdefault(subject, set()).add(dataset)
    return sorted(subject for subject, sets in homes.items() if len(sets) > 1)


def _subjects(labeled: Labeled) -> np.ndarray:
    """Returns `set/subject` of each sample; two spellings of one person are one."""
    people = [(sample.dataset, sample.subject) for sample, _ in labeled]
    names = usual_spellings(people)
    return np.array([f"{who[0]}/{names[person(*who)]}" for who in people])


def _fold(name: str, train: np.ndarray, test: np.ndarray) -> Fold:
    """A fold of two masks over the samples."""
    return Fold(
        name, tuple(np.flatnonzero(train).tolist()), (), tuple(np.flatnonzero(test).tolist())
    )


def _fixed(labeled: Labeled, protocol: Protocol) -> list[Fold]:
    """Returns a fold for each test part of the owners' split; it learns from `train`."""
    parts, people = np.array([sample.split for sample, _ in labeled]), _subjects(labeled)
    tests = list(dict.fromkeys(part for part in parts.tolist() if part.startswith("test")))
    field = "config.split.kind='fixed'"
    if without := [sample for sample, _ in labeled if not sample.split]:
        first = without[0]
        raise UserError(
            f"{field}: {len(without)} of {len(labeled)} samples of protocol {protocol.name} have "
            f"no split, as {first.dataset} {first.clip}; use config.split.kind='subjects'"
        )
    if not tests or "train" not in parts:
        missing = "train" if tests else "test"
        raise UserError(f"{field}: no sample of protocol {protocol.name} has the split {missing}")
    for test in tests:
        if both := set(people[parts == "train"]) & set(people[parts == test]):
            raise UserError(
                f"{field}: subject {min(both)} has samples in train and in {test}, so that the "
                "test knows the face; correct the column split, or use config.split.kind='subjects'"
            )
    return [_fold(f"train->{test}", parts == "train", parts == test) for test in tests]


def _by_set(labeled: Labeled, protocol: Protocol, config: SplitConfig) -> list[Fold]:
    home = np.array([sample.dataset for sample, _ in labeled])
    sets = list(dict.fromkeys(home.tolist()))
    if config.train_on:
        pairs = [(config.train_on.split("+"), config.test_on.split("+"))]
        for field, names in zip(("train_on", "test_on"), pairs[0], strict=True):
            if unknown := [name for name in names if name not in sets]:
                raise UserError(
                    f"config.split.{field}: protocol {protocol.name} has no set {unknown[0]!r}; "
                    f"there are: {', '.join(sets)}"
                )
        if both := set(pairs[0][0]) & set(pairs[0][1]):
            raise UserError(f"config.split.test_on: {both.pop()} is in config.split.train_on too")
    elif len(sets) < 2:
        raise UserError(
            f"config.split.kind='sets': protocol {protocol.name} has one set only ({sets[0]}); "
            "use config.protocol='composite', or config.split.kind='subjects'"
        )
    else:
        pairs = [([other for other in sets if other != name], [name]) for name in sets]
    return [
        _fold(f"{'+'.join(train)}->{'+'.join(test)}", np.isin(home, train), np.isin(home, test))
        for train, test in pairs
    ]


def _checked(
    labeled: Labeled, protocol: Protocol, fold: Fold, config: SplitConfig, seed: int
) -> Fold:
    """The fold, its validation samples taken from the training samples where there are any."""
    _check_classes(labeled, protocol, fold.name, fold.train)
    if config.selection == "schedule":
        return fold
    validation = set(_validation(labeled, fold, config.inner_share, seed))
    train = tuple(i for i in fold.train if i not in validation)
    _check_classes(labeled, protocol, f"{fold.name}, validation taken off", train)
    return dataclasses.replace(fold, train=train, validation=tuple(sorted(validation)))


def _validation(labeled: Labeled, fold: Fold, share: float, seed: int) -> tuple[int, ...]:
    """Samples of about `share` of the training subjects, with shares of the classes as in all."""
    train = [labeled[i] for i in fold.train]
    subjects = len(set(_subjects(train)))
    if subjects < 3:
        raise UserError(
            f"fold {fold.name}: {subjects} training subjects are too few for "
            "config.split.selection='inner'; use schedule"
        )
    largest = int(np.bincount([label for _, label in train]).max())
    k = min(max(2, round(1 / share)), subjects, largest)
    return tuple(fold.train[i] for i in k_fold(train, k, seed)[0].test)


def _check_classes(labeled: Labeled, protocol: Protocol, fold: str, train: Sequence[int]) -> None:
    counts = np.bincount([labeled[i][1] for i in train], minlength=len(protocol.classes))
    if not counts.all():
        missing = protocol.classes[int(np.argmin(counts))]
        raise UserError(
            f"fold {fold}: no training sample of class {missing!r}; protocol {protocol.name} "
            "cannot be learned so: add subjects, or choose another split or protocol"
        )
