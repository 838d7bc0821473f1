import numpy as np
import pytest
from helpers.evaluated import composite

from micron_jax.evaluation.several_runs import compare_runs, holm
from micron_jax.evaluation.significance import Bootstrap


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_share_of_false_alarms():
    """Of ten true null hypotheses one is rejected in 5 % of the reports, not in 40 %."""
    p = np.random.default_rng(0).random((2000, 10))
    bare = (p.min(1) < 0.05).mean()
    corrected = np.mean([min(holm(row)) < 0.05 for row in p])
    assert bare > 0.35
    assert corrected == pytest.approx(0.05, abs=0.015)


def test_a_run_beside_itself_and_a_worse_one():
    good, bad = composite(0, right=0.9), composite(1, right=0.2)
    result = compare_runs({"a": good, "b": good, "c": bad}, bootstrap=Bootstrap(300))
    assert result["runs"][0] | {"file": "b"} == result["runs"][1]
    pairs = {(pair["first"], pair["second"]): pair["uar"] for pair in result["pairs"]}
    assert pairs["a", "b"]["p_holm"] == 1.0
    assert pairs["a", "c"]["p"] == pytest.approx(2 / 301)
    assert pairs["a", "c"]["p_holm"] == pytest.approx(6 / 301)
    assert pairs["b", "c"]["difference"] > 0.3
