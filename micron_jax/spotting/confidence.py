"""How likely a candidate is a micro-expression, learned from films with inserted ones.

An additive model: each fact of a candidate adds to the logit by a curve of its own, straight
between a few points. `micron-jax bench spot` fits it. It also tells how many candidates a minute of
ordinary film has above each probability: they are false alarms.
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

FACTS = ("height", "strength", "isolation", "highest", "share", "duration", "eyes")
AROUND = 1.5  # seconds to either side, of the isolation
KNOTS, REGULAR = 4, 0.03  # points of a curve, at quantiles; inverse of the penalty
FOLDS = 9  # of people
METHODS = ("motion", "flow")
UNLIKELY = 0.05  # probability below which nobody wants to look

Curve = tuple[tuple[float, float], ...]  # points (x, y), x rising; level before and after them


@dataclasses.dataclass(frozen=True)
class Confidence:
    """A fit for one curve over time.

    Attributes:
      constant: of the logit.
      curves: what each of `FACTS` adds to it.
      alarms: (probability, false alarms a minute of candidates that reach it), rising and falling.
    """

    constant: float
    curves: tuple[Curve, ...]
    alarms: Curve

    def probability(self, facts: np.ndarray) -> np.ndarray:
        """[N, len(FACTS)] -> [N]."""
        added = [
            np.interp(x, *zip(*curve, strict=True))
            for x, curve in zip(facts.T, self.curves, strict=True)
        ]
        return 1 / (1 + np.exp(-np.clip(self.constant + sum(added), -50, 50)))

    def threshold(self, alarms_per_minute: float) -> float:
        """The lowest probability at which ordinary film has at most so many false alarms."""
        return next((p for p, count in self.alarms if count <= alarms_per_minute), 1.0)


def facts_of(interval: Interval, searched: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """What the fit looks at, float64 [len(FACTS)].

    The logarithms of the height at the apex, of the strength, of the height's ratio to the usual
    (third quartile) and to the highest around it; the share of the height that is prominence; the
    logarithm of the duration; whether most of it is at the eyes, as of a blink.

    Args:
      searched: the curve in which the candidate was found, [T].
      seconds: of the frames, [T].
    """
    apart = np.abs(seconds - seconds[interval.apex])
    inside = np.zeros(len(seconds), bool)
    inside[interval.onset : interval.offset + 1] = True
    around = searched[(apart <= AROUND) & ~inside]
    usual, highest = np.quantile(around, (0.75, 1.0)) if len(around) else (0.0, 0.0)
    top = float(searched[interval.apex])
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
    intervals: Sequence[Interval], confidence: Confidence, searched: np.ndarray, seconds: np.ndarray
) -> list[Interval]:
    """Those that are not unlikely, with their probabilities, most likely first."""
    if not intervals:
        return []
    facts = np.stack([facts_of(each, searched, seconds) for each in intervals])
    sure = [
        dataclasses.replace(each, confidence=float(p))
        for each, p in zip(intervals, confidence.probability(facts), strict=True)
    ]
    likely = [each for each in sure if each.confidence >= UNLIKELY]
    return sorted(likely, key=lambda each: -each.confidence)


def fit(
    facts: np.ndarray,
    right: np.ndarray,
    ordinary: np.ndarray,
    people: np.ndarray,
    minutes: float,
) -> Confidence:
    """Fits candidates; false alarms are counted of people whom a fit has not seen.

    Args:
      facts: [N, len(FACTS)].
      right: whether each finds an expression, bool [N]; the others are false alarms.
      ordinary: whether it is in an ordinary film, of which the alarms are counted, bool [N].
      people: whose face each is on, [N].
      minutes: length of the ordinary films.

    Raises:
      UserError: nothing to learn from: no candidate is right, or none is wrong; or all of the right
        ones, or of the wrong ones, are one person's.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if right.all() or not right.any():
        raise UserError(f"of {len(right):,} candidates {right.sum():,} are right: nothing to fit")
    folds = min(FOLDS, *(len(np.unique(people[some])) for some in (right, ~right)))
    if folds < 2:
        raise UserError("its candidates are right, or wrong, on one person alone: nothing to fit")
    unseen = np.empty(len(right))
    for others, own in StratifiedGroupKFold(folds).split(facts, right, people):
        unseen[own] = _fit(facts[others], right[others]).probability(facts[own])
    alarms = np.sort(unseen[ordinary & ~right])
    levels = np.linspace(0, 1, 101)
    counts = (len(alarms) - np.searchsorted(alarms, levels)) / minutes
    curve = tuple((round(float(p), 2), float(c)) for p, c in zip(levels, counts, strict=True))
    return dataclasses.replace(_fit(facts, right), alarms=curve)


def _fit(facts: np.ndarray, right: np.ndarray) -> Confidence:
    """Fits all candidates, without alarms."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    knots = [np.unique(np.quantile(fact, np.linspace(0, 1, KNOTS))) for fact in facts.T]
    hats = [
        np.stack([np.interp(fact, at, hat) for hat in np.eye(len(at))], axis=-1)
        for fact, at in zip(facts.T, knots, strict=True)
    ]
    steps = make_pipeline(StandardScaler(), LogisticRegression(C=REGULAR, max_iter=1000))
    steps.fit(np.concatenate(hats, axis=1), right)
    scaler, model = (step for _, step in steps.steps)
    heights = model.coef_[0] / scaler.scale_
    each = np.split(heights, np.cumsum([len(at) for at in knots])[:-1])
    curves = tuple(
        tuple((float(x), float(y)) for x, y in zip(*curve, strict=True))
        for curve in zip(knots, each, strict=True)
    )
    return Confidence(float(model.intercept_[0] - heights @ scaler.mean_), curves, ())


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
            text = (resources.files("micron_jax") / "weights/micron-tiny/spotting.json").read_text()
        else:
            text = path.read_text("utf-8")
        values = json.loads(text)["confidence"]
        return {method: _parsed(values[method]) for method in METHODS}
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{name}: not what `micron-jax bench spot --json` writes") from error


def _parsed(values: Mapping[str, Any]) -> Confidence:
    *curves, alarms = (
        tuple((float(x), float(y)) for x, y in points)
        for points in (*values["curves"], values["alarms"])
    )
    if len(curves) != len(FACTS) or not all(curves):
        raise ValueError(f"{len(curves)} curves")
    return Confidence(float(values["constant"]), tuple(curves), alarms)
