"""How likely a candidate is a micro-expression, learned from films with inserted ones.

A logistic regression on facts of a candidate; `micron-jax bench spot` fits it. It also tells how
many candidates a minute of ordinary film has above each probability: they are false alarms.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax.errors import UserError
from micron_jax.spotting.intervals import Interval

FACTS = ("energy", "strength", "isolation", "highest", "share", "duration", "eyes")
AROUND = 1.5  # seconds to either side, of the isolation
METHODS = ("motion", "flow")


@dataclasses.dataclass(frozen=True)
class Confidence:
    """A fit for one curve over time.

    Attributes:
      weights: of `facts_of`, and a constant after them.
      alarms: (probability, false alarms a minute of candidates that reach it), rising and falling.
    """

    weights: tuple[float, ...]
    alarms: tuple[tuple[float, float], ...]

    def probability(self, facts: np.ndarray) -> np.ndarray:
        """[N, len(FACTS)] -> [N]."""
        logit = facts @ np.array(self.weights[:-1]) + self.weights[-1]
        return 1 / (1 + np.exp(-np.clip(logit, -50, 50)))

    def threshold(self, alarms_per_minute: float) -> float:
        """The lowest probability at which ordinary film has at most so many false alarms."""
        return next((p for p, count in self.alarms if count <= alarms_per_minute), 1.0)


def facts_of(interval: Interval, energy: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """What the fit looks at, float64 [len(FACTS)].

    The logarithms of the energy at the apex, of the strength, of the energy's ratio to the usual
    (third quartile) and to the highest around it; the share of the energy that is prominence; the
    logarithm of the duration; whether most of it is at the eyes, as of a blink.

    Args:
      energy, seconds: of the timeline, [T].
    """
    apart = np.abs(seconds - seconds[interval.apex])
    inside = np.zeros(len(seconds), bool)
    inside[interval.onset : interval.offset + 1] = True
    around = energy[(apart <= AROUND) & ~inside]
    usual, highest = np.quantile(around, (0.75, 1.0)) if len(around) else (0.0, 0.0)
    top = float(energy[interval.apex])
    duration = seconds[interval.offset] - seconds[interval.onset]
    return np.array(
        [
            np.log(top + 0.02),
            np.log(interval.strength),
            np.log((top + 0.02) / (usual + 0.02)),
            np.log((top + 0.02) / (highest + 0.02)),
            interval.prominence / max(top, 1e-6),
            np.log(duration + 0.01),
            float(interval.part == "eyes"),
        ]
    )


def with_confidence(
    intervals: Sequence[Interval], confidence: Confidence, energy: np.ndarray, seconds: np.ndarray
) -> list[Interval]:
    """The same with their probabilities, most likely first."""
    if not intervals:
        return []
    facts = np.stack([facts_of(each, energy, seconds) for each in intervals])
    sure = [
        dataclasses.replace(each, confidence=float(p))
        for each, p in zip(intervals, confidence.probability(facts), strict=True)
    ]
    return sorted(sure, key=lambda each: -each.confidence)


def fit(facts: np.ndarray, right: np.ndarray, ordinary: np.ndarray, minutes: float) -> Confidence:
    """Fits candidates.

    Args:
      facts: [N, len(FACTS)].
      right: whether each finds an expression, bool [N]; the others are false alarms.
      ordinary: whether it is in an ordinary film, of which the alarms are counted, bool [N].
      minutes: length of the ordinary films.

    Raises:
      UserError: nothing to learn from: no candidate is right, or none is wrong.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if right.all() or not right.any():
        raise UserError(f"of {len(right):,} candidates {right.sum():,} are right: nothing to fit")
    steps = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    steps.fit(facts, right)
    scaler, model = (step for _, step in steps.steps)
    weights = model.coef_[0] / scaler.scale_
    constant = model.intercept_[0] - weights @ scaler.mean_
    fitted = Confidence((*map(float, weights), float(constant)), ())
    alarms = np.sort(fitted.probability(facts[ordinary & ~right]))
    levels = np.linspace(0, 1, 101)
    counts = (len(alarms) - np.searchsorted(alarms, levels)) / minutes
    curve = tuple((round(float(p), 2), float(c)) for p, c in zip(levels, counts, strict=True))
    return dataclasses.replace(fitted, alarms=curve)


def read(path: Path | None = None) -> dict[str, Confidence]:
    """Reads the fits of each of `METHODS`.

    Args:
      path: what `micron-jax bench spot --json` wrote; None: those of micron-tiny.

    Raises:
      UserError: it cannot be read, or holds something else.
    """
    name = str(path) if path else "the confidence of micron-tiny"
    try:
        if path is None:
            text = (resources.files("micron_jax") / "weights/micron-tiny/spotting.json").read_text(
                "utf-8"
            )
        else:
            text = path.read_text("utf-8")
        values = json.loads(text)["confidence"]
        return {method: _parsed(values[method]) for method in METHODS}
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{name}: not what `micron-jax bench spot --json` writes") from error


def _parsed(values: Mapping[str, Any]) -> Confidence:
    weights: Sequence[float] = [float(x) for x in values["weights"]]
    if len(weights) != len(FACTS) + 1:
        raise ValueError(len(weights))
    return Confidence(tuple(weights), tuple((float(p), float(c)) for p, c in values["alarms"]))
