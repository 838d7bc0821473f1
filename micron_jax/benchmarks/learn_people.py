"""The bootstrap over people: sums of each person, and their ratios in resamples of people.

A resample that has a person k times counts all clips of this person k times, in pairs as well. All
figures of the same people have the same resamples, so that their differences are paired.
"""

import numpy as np

from micron_jax.evaluation.significance import draw_subjects, percentiles

RESAMPLES = 1000

Figures = dict[str, np.ndarray]  # name -> [1 + resamples]; the first is of the people as they are


def draw(person: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """Returns how often each person is in each resample, [1 + resamples, P]; the first: once.

    One person alone has no resamples.
    """
    people = int(person.max()) + 1
    once = np.ones((1, people))
    if people < 2:
        return once
    return np.concatenate([once, draw_subjects(np.zeros(people, int), resamples)])


def sums(values: np.ndarray, person: np.ndarray, people: int) -> np.ndarray:
    """Returns each person's sum of the clips' values: [C] -> [P]."""
    return np.bincount(person, weights=values, minlength=people)


def ratio(part: np.ndarray, whole: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Returns the ratio in each resample [R], of sums per person [P] or pair of people [P, P]."""
    if part.ndim == 1:
        above, below = times @ part, times @ whole
    else:
        above, below = (np.einsum("rp,rp->r", times @ x, times) for x in (part, whole))
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / below


def value(values: np.ndarray) -> float | None:
    """Returns a figure of the people as they are; None where there is none."""
    return float(values[0]) if np.isfinite(values[0]) else None


def interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """Returns the 95 % interval of a figure; (None, None) where there is none."""
    finite = values[1:][np.isfinite(values[1:])]
    return percentiles(finite) if len(finite) and np.isfinite(values[0]) else (None, None)


def apart(values: np.ndarray, other: np.ndarray) -> dict:
    """Returns {"difference", "low", "high"} of one method's figure less another's, paired."""
    low, high = interval(values - other)
    return {"difference": value(values - other), "low": low, "high": high}
