"""The bootstrap over subjects: intervals of metrics, and paired tests of two experiments.

Clips of one face are not independent. A resample draws as many subjects as there are, with
replacement, and takes all clips of each; it draws within each set, so that the sets of a composite
keep their weights. The classes that count stay those of the whole table.

Two experiments are compared on the same resamples, which show how the difference of a metric
varies. McNemar's exact test counts the clips that only one of the two predicts rightly, as if clips
were independent: report the paired bootstrap.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from micron_jax.datasets.subjects import numbered, plain
from micron_jax.errors import UserError
from micron_jax.evaluation.metrics import METRICS, Confusions, classes_of, count, scores
from micron_jax.evaluation.prediction import Prediction, name_of
from micron_jax.evaluation.predictions import mismatch
from micron_jax.evaluation.spelling import one_spelling

RESAMPLES, LEVEL = 10_000, 0.95


@dataclasses.dataclass
class Bootstrap:
    """Resamples of subjects; the same strata get the same resamples, which are drawn once."""

    resamples: int = RESAMPLES
    seed: int = 0
    _draws: dict[bytes, np.ndarray] = dataclasses.field(default_factory=dict, repr=False)

    def draws(self, strata: np.ndarray) -> np.ndarray:
        """Returns `draw_subjects` of the strata."""
        key = strata.astype(np.int64).tobytes()
        if key not in self._draws:
            self._draws[key] = draw_subjects(strata, self.resamples, self.seed)
        return self._draws[key]

    def intervals(self, confusions: Confusions) -> dict[str, tuple[float, float]] | None:
        """Returns the interval of each metric's mean over seeds; None for fewer than 2 subjects."""
        if len(confusions.people) < 2:
            return None
        values = resampled_metrics(confusions, self.draws(confusions.strata))
        return {name: percentiles(values[name]) for name in METRICS}


def draw_subjects(strata: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """Draws resamples: how often each subject is in each of them.

    Args:
      strata: int [S], the set of each subject.

    Returns:
      int64 [resamples, S]; in every stratum each row sums to its number of subjects.
    """
    rng = np.random.default_rng(seed)
    times = np.zeros((resamples, len(strata)), np.int64)
    for stratum in np.unique(strata):
        subjects = np.flatnonzero(strata == stratum)
        shares = np.full(len(subjects), 1 / len(subjects))
        times[:, subjects] = rng.multinomial(len(subjects), shares, resamples)
    return times


def resampled_metrics(confusions: Confusions, times: np.ndarray) -> dict[str, np.ndarray]:
    """Returns each metric, its mean over seeds, in each resample: name -> float64 [resamples]."""
    seeds, people, classes, _ = confusions.matrices.shape
    flat = confusions.matrices.transpose(1, 0, 2, 3).reshape(people, -1).astype(np.float64)
    matrices = (times @ flat).reshape(-1, seeds, classes, classes)
    result = scores(matrices, confusions.counted)
    return {name: getattr(result, name).mean(axis=1) for name in METRICS}


def percentiles(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Returns the bounds of the middle `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def compare(
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    classes: Sequence[str] | None = None,
    *,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Compares two experiments on the same clips, first minus second.

    Returns:
      {"uf1", "uar", "accuracy": {"difference", "interval", "p"}, "mcnemar": {"only_ours",
      "only_theirs", "p"}}. Metrics are means over each experiment's seeds. `mcnemar` is None
      unless each has one seed and names of clips; "ours" there is the first.

    Raises:
      UserError: they are not of the same clips with the same labels, or of one subject only.
    """
    bootstrap = bootstrap or Bootstrap()
    first, second = one_spelling([first, second], classes or ())
    unnamed = _unnamed(first, second)
    second = match_clips(first, second)
    classes = classes_of(first, classes) or classes_of(second)
    for row in (*first, *second):
        if classes and row.prediction not in classes:
            names = ", ".join(classes)
            raise UserError(f"{name_of(row.key)}: {row.prediction!r} is none of {names}")
    pair = [count(table, classes) for table in (first, second)]
    if len(pair[0].people) < 2:
        raise UserError("one subject alone: a comparison needs at least two")
    times = bootstrap.draws(pair[0].strata)
    times = np.concatenate([np.ones_like(times[:1]), times])  # first the sample itself
    values = [resampled_metrics(confusions, times) for confusions in pair]
    result: dict[str, Any] = {}
    for name in METRICS:
        differences = values[0][name] - values[1][name]
        result[name] = {
            "difference": float(differences[0]),
            "interval": percentiles(differences[1:]),
            "p": two_sided(differences[1:]),
        }
    by_clip = all(len(confusions.seeds) == 1 for confusions in pair) and not unnamed
    return result | {"mcnemar": _mcnemar(first, second) if by_clip else None}


def two_sided(differences: np.ndarray) -> float:
    """Returns p: twice the smaller share of resamples on a side of 0, the sample counted in."""
    below, above = (differences <= 0).sum(), (differences >= 0).sum()
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1)))


def match_clips(first: Sequence[Prediction], second: Sequence[Prediction]) -> list[Prediction]:
    """Returns the second table, each clip under its name in the first.

    Clips are matched by set, subject and name; where that fails, by the name's last part and
    numbers without leading zeros, if these are unique: other people write `s1_ne_1`. Where one of
    the tables has no names, each clip takes the name of any clip of its subject and label, which
    leaves the metrics and their resamples as they are.

    Raises:
      UserError: a clip is in one table only, or its labels differ.
    """
    if _unnamed(first, second):
        second = _with_names(first, second)
    first_labels, second_labels = ({row.key: row.label for row in t} for t in (first, second))
    names = {key: key for key in second_labels}
    if set(first_labels) != set(second_labels):
        in_first, in_second = map(_by_loose_name, (first_labels, second_labels))
        loose = {key: in_first[name] for name, key in in_second.items() if name in in_first}
        if len(set((names | loose).values())) == len(names):
            names |= loose
    renamed = {names[key]: label for key, label in second_labels.items()}
    if reason := mismatch(first_labels, renamed):
        raise UserError(f"runs can be compared on the same clips only: {reason}")
    fields = ("set", "subject", "clip")
    return [
        dataclasses.replace(row, **dict(zip(fields, names[row.key], strict=True))) for row in second
    ]


def _unnamed(*tables: Sequence[Prediction]) -> bool:
    return any(row.unnamed for table in tables for row in table)


def _with_names(first: Sequence[Prediction], second: Sequence[Prediction]) -> list[Prediction]:
    """Returns the second table, each clip under the name of one of the first's that is like it."""
    names: dict[tuple, list] = collections.defaultdict(list)
    for key, row in {row.key: row for row in first}.items():
        names[_loose_person(key), row.label].append(key)
    like = collections.Counter((row.seed, _loose_person(row.key), row.label) for row in second)
    for (_, who, label), number in like.items():
        if number != (there := len(names[who, label])):
            raise UserError(
                "runs can be compared on the same clips only: subject "
                f"{'/'.join(map(str, filter(None, who)))} has {there} clips of {label!r} in the "
                f"first, {number} in the second"
            )
    rest = {seed: {like: list(keys) for like, keys in names.items()} for seed, *_ in like}
    out = []
    for row in second:
        dataset, subject, clip = rest[row.seed][_loose_person(row.key), row.label].pop(0)
        out.append(dataclasses.replace(row, set=dataset, subject=subject, clip=clip))
    return out


def _loose_person(key: tuple[str, str, str]) -> tuple[str, str | int]:
    """Returns the set, and the subject's number if there is one: sub01 -> 1."""
    dataset, subject, _ = key
    number = numbered(plain(subject))
    return dataset, plain(subject) if number is None else number


def _by_loose_name(keys: Sequence[tuple[str, str, str]]) -> dict[tuple, tuple[str, str, str]]:
    """Returns loose name -> clip, without the names that several clips have."""
    clips = collections.defaultdict(list)
    for key in keys:
        clips[*_loose_person(key), plain(key[2].rsplit("/", 1)[-1])].append(key)
    return {name: several[0] for name, several in clips.items() if len(several) == 1}


def _mcnemar(first: Sequence[Prediction], second: Sequence[Prediction]) -> dict[str, Any]:
    right = {row.key: row.prediction == row.label for row in second}
    pairs = [(row.prediction == row.label, right[row.key]) for row in first]
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    # Were both sides as likely, how probable is so uneven a split of the discordant pairs?
    trials = only_first + only_second
    p = float(binomtest(only_first, trials).pvalue) if trials else 1.0
    return {"only_ours": only_first, "only_theirs": only_second, "p": p}
