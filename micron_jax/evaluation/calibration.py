"""Calibration of probabilities by a temperature (Guo et al. 2017), and its reliability curve."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

BINS = 10
RANGE = (0.25, 20.0)  # of temperatures: few clips, all predicted rightly, would ask for 0


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns probabilities [n, C] at a temperature; above 1 they are less sure of themselves."""
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-12)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature of the lowest mean negative log-likelihood, within `RANGE`.

    Args:
      probabilities: [n, C], of samples that the classifier has not learned from.
      labels: class indices, [n].
    """

    def loss(logarithm: float) -> float:
        return _log_loss(tempered(probabilities, np.exp(logarithm)), labels)

    return float(np.exp(minimize_scalar(loss, bounds=np.log(RANGE), method="bounded").x))


def cross_fitted(
    probabilities: Mapping[Any, np.ndarray], labels: Mapping[Any, np.ndarray]
) -> dict[Any, float]:
    """Returns the temperature of each fold, fitted on the test samples of the other folds.

    No label of a fold's own test samples is in it. A fold without others has 1.

    Args:
      probabilities: fold -> [n, C], of all seeds.
      labels: fold -> class indices, [n].
    """
    temperatures = {}
    for fold in probabilities:
        others = [other for other in probabilities if other != fold and len(labels[other])]
        temperatures[fold] = 1.0
        if others:
            temperatures[fold] = fit_temperature(
                np.concatenate([probabilities[other] for other in others]),
                np.concatenate([labels[other] for other in others]),
            )
    return temperatures


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Compares the probability of the predicted class with the share of right predictions.

    Returns:
      {"ece": expected calibration error, the mean gap between them in `BINS` equal bins, weighted
      by samples; "log_loss", "bins": [{"samples", "probability", "accuracy"}] that are not empty}.
    """
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((top * BINS).astype(int), BINS - 1)
    bins = [
        {
            "samples": int(inside.sum()),
            "probability": float(top[inside].mean()),
            "accuracy": float(right[inside].mean()),
        }
        for inside in (place == number for number in range(BINS))
        if inside.any()
    ]
    gaps = [part["samples"] * abs(part["probability"] - part["accuracy"]) for part in bins]
    error = sum(gaps) / len(labels)
    return {"ece": error, "log_loss": _log_loss(probabilities, labels), "bins": bins}


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    of_label = np.take_along_axis(probabilities, np.asarray(labels)[:, None], axis=1)
    return float(-np.log(np.maximum(of_label, 1e-12)).mean())
