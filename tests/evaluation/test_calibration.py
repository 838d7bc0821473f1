"""Temperatures, and reliability of probabilities."""

import numpy as np
import pytest

from micron_jax.evaluation.calibration import (
    RANGE,
    cross_fitted,
    fit_temperature,
    reliability,
    tempered,
)


def overconfident(n, factor, seed=0):
    """Labels drawn from probabilities, and what `factor` times their logits say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(3, p=p) for p in true])
    return tempered(true, 1 / factor), labels


def test_the_temperature_of_logits_that_are_too_large_is_their_factor():
    p, labels = overconfident(20_000, 2.5)
    temperature = fit_temperature(p, labels)
    assert temperature == pytest.approx(2.5, rel=0.05)
    before, after = reliability(p, labels), reliability(tempered(p, temperature), labels)
    assert before["ece"] > 0.15
    assert after["ece"] < 0.02
    assert after["log_loss"] < before["log_loss"]
    assert sum(part["samples"] for part in after["bins"]) == 20_000
    np.testing.assert_array_equal(tempered(p, temperature).argmax(1), p.argmax(1))


def test_reliability_of_known_bins():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    result = reliability(p, np.array([0, 1, 0, 1]))
    assert [part["samples"] for part in result["bins"]] == [2, 2]
    assert result["ece"] == pytest.approx((2 * abs(0.9 - 0.5) + 2 * abs(0.6 - 1)) / 4)


def test_a_folds_own_labels_do_not_reach_its_temperature():
    parts = {fold: overconfident(200, 2.0, seed=fold) for fold in range(4)}
    p = {fold: part[0] for fold, part in parts.items()}
    labels = {fold: part[1] for fold, part in parts.items()}
    first = cross_fitted(p, labels)
    second = cross_fitted(p, labels | {0: (labels[0] + 1) % 3})
    assert second[0] == first[0]
    assert all(second[fold] != first[fold] for fold in (1, 2, 3))
    assert cross_fitted({0: p[0]}, {0: labels[0]}) == {0: 1.0}


def test_few_clips_that_are_all_right_stay_within_the_range():
    p = np.full((4, 2), (0.6, 0.4))
    assert fit_temperature(p, np.zeros(4, int)) == pytest.approx(RANGE[0], rel=1e-2)
    assert fit_temperature(p, np.ones(4, int)) == pytest.approx(RANGE[1], rel=1e-2)
