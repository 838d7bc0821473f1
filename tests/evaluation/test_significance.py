import dataclasses

import numpy as np
import pytest
from helpers.evaluated import composite
from scipy.stats import binomtest

from micron_jax.errors import UserError
from micron_jax.evaluation.predictions import Prediction
from micron_jax.evaluation.significance import compare, mcnemar_exact, paired, two_sided


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar_exact(10, 0) == 2 / 1024
    assert mcnemar_exact(0, 0) == mcnemar_exact(4, 4) == 1.0
    # 2 (C(20,0) + ... + C(20,5)) / 2^20
    assert mcnemar_exact(15, 5) == pytest.approx(43400 / 2**20, rel=1e-15)
    for first, second in ((1, 0), (3, 9), (40, 61), (200, 130)):
        expected = binomtest(first, first + second).pvalue
        assert mcnemar_exact(first, second) == pytest.approx(expected, rel=1e-9)


def test_two_sided():
    assert two_sided(np.zeros(99)) == 1.0
    assert two_sided(np.ones(99)) == pytest.approx(2 / 100)
    assert two_sided(np.repeat([-1.0, 1.0], [10, 89])) == pytest.approx(22 / 100)


def test_a_run_against_itself_and_a_better_one():
    good, bad = composite(0, right=0.8), composite(1, right=0.3)
    same = compare(good, good, resamples=500)
    for name in ("uf1", "uar", "accuracy"):
        assert same[name] == {"difference": 0.0, "interval": (0.0, 0.0), "p": 1.0}
    assert same["mcnemar"] == {"only_ours": 0, "only_theirs": 0, "p": 1.0}
    better, worse = compare(good, bad, resamples=500), compare(bad, good, resamples=500)
    for name in ("uf1", "uar", "accuracy"):
        low, high = better[name]["interval"]
        assert 0.1 < low < better[name]["difference"] < high
        assert worse[name]["difference"] == pytest.approx(-better[name]["difference"])
        assert better[name]["p"] == pytest.approx(2 / 501)
    right = [[one.label == one.prediction for one in run] for run in (good, bad)]
    alone = [sum(a and not b for a, b in zip(*pair, strict=True)) for pair in (right, right[::-1])]
    counts = better["mcnemar"]
    assert [counts["only_ours"], counts["only_theirs"]] == alone
    assert counts["p"] < 1e-6


def test_several_seeds_are_compared_by_their_means():
    runs = [composite(seed) for seed in range(3)]
    result = compare([*runs[0], *runs[1]], runs[2], resamples=300)
    assert result["mcnemar"] is None
    single = [compare(run, runs[2], resamples=300)["uf1"]["difference"] for run in runs[:2]]
    assert result["uf1"]["difference"] == pytest.approx(np.mean(single))


def test_equal_runs_are_seldom_found_to_differ():
    rng = np.random.default_rng(0)
    small = 0
    for n in range(100):
        runs = [
            [
                Prediction(f"{c}", f"{s}", "xy"[c % 2], "xy"[int(rng.integers(2))])
                for s in range(25)
                for c in range(6)
            ]
            for _ in range(2)
        ]
        small += compare(*runs, resamples=300, seed=n)["uf1"]["p"] < 0.05
    assert small <= 12


def test_clips_under_other_peoples_names_are_paired():
    ours = [
        Prediction("sub01/EP02_01f", "01", "x", "x", set="casme2"),
        Prediction("sub10/EP02_01f", "10", "x", "y", set="casme2"),
        Prediction("s1_ne_10", "1", "y", "y", set="smic_hs"),
    ]
    theirs = [
        dataclasses.replace(ours[1], clip="EP02_01f", subject="sub10"),
        dataclasses.replace(ours[0], clip="EP2_1f", subject="sub1"),
        dataclasses.replace(ours[2], clip="s01_ne_10", subject="s01"),
    ]
    assert paired(ours, theirs) == [ours[1], ours[0], ours[2]]
    assert compare(ours, theirs, resamples=100)["accuracy"]["difference"] == 0


def test_runs_that_cannot_be_compared():
    table = composite()
    with pytest.raises(UserError, match=r"same clips only: clip .* is in the first only"):
        compare(table, table[1:])
    with pytest.raises(UserError, match=r"in the second only \(2 such clips\)"):
        compare(table[2:], table)
    other = [dataclasses.replace(table[0], label="surprise"), *table[1:]]
    with pytest.raises(UserError, match=r"is labeled '\w+' in the first, 'surprise' in the sec"):
        compare(table, other)
    other = [dataclasses.replace(table[0], prediction="joy", probabilities={}), *table[1:]]
    with pytest.raises(UserError, match="'joy' is none of negative, positive, surprise"):
        compare(table, other)
    lone = [Prediction("a", "1", "x", "x")]
    with pytest.raises(UserError, match="one subject alone"):
        compare(lone, lone)
