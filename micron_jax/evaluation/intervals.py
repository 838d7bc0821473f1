"""Intervals by the bootstrap over subjects: clips of one face are no independent samples.

A resample draws as many subjects as there are, with replacement, all clips of each; in a composite
within each set, so that its sets keep their weights. The classes that count stay those of the whole
table, also where a resample has no clip of one.
"""

import numpy as np

from micron_jax.evaluation.metrics import scores
from micron_jax.evaluation.tally import Tally

RESAMPLES, LEVEL = 10_000, 0.95
METRICS = ("uf1", "uar", "accuracy")


def draw(strata: np.ndarray, resamples: int, seed: int = 0) -> np.ndarray:
    """How often each subject is in each resample.

    Args:
      strata: int [S], the set of each subject.

    Returns:
      int64 [resamples, S]; in every stratum each row sums to its number of subjects.
    """
    rng = np.random.default_rng(seed)
    times = np.zeros((resamples, len(strata)), np.int64)
    for stratum in np.unique(strata):
        here = np.flatnonzero(strata == stratum)
        times[:, here] = rng.multinomial(len(here), np.full(len(here), 1 / len(here)), resamples)
    return times


def resampled(tally: Tally, times: np.ndarray) -> dict[str, np.ndarray]:
    """Each metric, its mean over seeds, in each resample: name -> float64 [resamples]."""
    seeds, people, classes, _ = tally.confusion.shape
    flat = tally.confusion.transpose(1, 0, 2, 3).reshape(people, -1).astype(np.float64)
    confusion = (times @ flat).reshape(-1, seeds, classes, classes)
    result = scores(confusion, tally.counted)
    return {name: getattr(result, name).mean(axis=1) for name in METRICS}


def percentiles(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The middle `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def intervals(
    tally: Tally, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, tuple[float, float]] | None:
    """The 95 % interval of each metric's mean over seeds; None for fewer than two subjects."""
    if len(tally.people) < 2:
        return None
    values = resampled(tally, draw(tally.strata, resamples, seed))
    return {name: percentiles(values[name]) for name in METRICS}
