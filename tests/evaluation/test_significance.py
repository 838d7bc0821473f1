import dataclasses

import numpy as np
import pytest
from helpers.evaluated import composite

from micron_jax.datasets.protocols import THREE
from micron_jax.errors import UserError
from micron_jax.evaluation.metrics import confusion_matrix, count, scores
from micron_jax.evaluation.prediction import Prediction
from micron_jax.evaluation.significance import (
    Bootstrap,
    compare,
    draw_subjects,
    match_clips,
    percentiles,
    resampled_metrics,
    two_sided,
)


@pytest.fixture(scope="module")
def table():
    return [*composite(0), *composite(1)]


def test_subjects_are_drawn_within_their_sets():
    strata = np.array([0, 1, 0, 0, 1, 2])
    times = draw_subjects(strata, 4000, seed=3)
    assert times.shape == (4000, 6)
    for stratum, size in enumerate((3, 2, 1)):
        assert (times[:, strata == stratum].sum(1) == size).all()
    assert (times[:, 5] == 1).all()
    np.testing.assert_allclose(times.mean(0), 1, atol=0.06)
    assert (draw_subjects(strata, 4000, seed=3) == times).all()
    assert (draw_subjects(strata, 4000, seed=4) != times).any()


def test_resamples_are_drawn_once():
    bootstrap, strata = Bootstrap(100), np.array([0, 0, 1, 1])
    assert bootstrap.draws(strata) is bootstrap.draws(strata.copy())
    assert (bootstrap.draws(strata) == draw_subjects(strata, 100)).all()
    assert bootstrap.draws(strata[:2]).shape == (100, 2)


def test_resamples_are_scored_as_tables_are(table):
    confusions = count(table, THREE)
    metrics = resampled_metrics(confusions, np.ones((1, 68), np.int64))
    expected = scores(confusions.matrices.sum(1))
    assert metrics["uf1"][0] == pytest.approx(expected.uf1.mean(), rel=1e-14)
    assert metrics["accuracy"][0] == pytest.approx(expected.accuracy.mean(), rel=1e-14)
    # A resample is the table in which a subject's clips stand as often as the subject was drawn.
    times = draw_subjects(confusions.strata, 3)
    again = [
        (THREE.index(row.label), THREE.index(row.prediction))
        for row in table
        if row.seed == 1
        for _ in range(times[2][confusions.people.index(row.person)])
    ]
    lone = dataclasses.replace(confusions, matrices=confusions.matrices[1:])
    by_hand = scores(confusion_matrix(*zip(*again, strict=True), 3))
    assert resampled_metrics(lone, times)["uar"][2] == pytest.approx(float(by_hand.uar), rel=1e-14)


def test_intervals_contain_the_value_and_are_repeatable(table):
    confusions = count(table, THREE)
    bootstrap = Bootstrap(2000)
    bounds = bootstrap.intervals(confusions)
    assert bounds == bootstrap.intervals(confusions) == Bootstrap(2000).intervals(confusions)
    assert bounds != Bootstrap(2000, seed=1).intervals(confusions)
    for name, (low, high) in bounds.items():
        value = float(getattr(confusions.scores(), name).mean())
        assert low < value < high
        assert 0.01 < high - low < 0.2
    assert percentiles(np.arange(1001)) == pytest.approx((25, 975))
    assert Bootstrap().intervals(count([Prediction("a", "1", "x", "x")])) is None


def test_intervals_cover_the_truth_with_correlated_clips():
    """Subjects of all skills, 8 clips each; over clips the interval would cover 7 of 10 times."""
    rng = np.random.default_rng(0)
    covered = []
    for n in range(200):
        skill = rng.beta(1, 1, 30)  # accuracy of 0.5 over all people there could be
        rows = [
            Prediction(f"{c}", f"{s}", "x", "x" if rng.random() < skill[s] else "y")
            for s in range(30)
            for c in range(8)
        ]
        confusions = count(rows, ("x", "y"))
        low, high = Bootstrap(400, seed=n).intervals(confusions)["accuracy"]
        covered.append(low <= 0.5 <= high)
    assert 0.89 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    # 2 (C(20,0) + ... + C(20,5)) / 2^20
    [(10, 0, 2 / 1024), (0, 0, 1), (4, 4, 1), (15, 5, 43400 / 2**20)],
)
def test_mcnemar_is_the_exact_binomial_test(only_first, only_second, p):
    clips = range(only_first + only_second + 2)
    rows = [Prediction(str(n), str(n % 2), "x", "x") for n in clips]
    first = [
        dataclasses.replace(row, prediction="y" if n < only_second else "x")
        for n, row in enumerate(rows)
    ]
    second = [
        dataclasses.replace(row, prediction="y" if only_second <= n < len(rows) - 2 else "x")
        for n, row in enumerate(rows)
    ]
    result = compare(first, second, bootstrap=Bootstrap(100))["mcnemar"]
    assert result == {
        "only_ours": only_first,
        "only_theirs": only_second,
        "p": pytest.approx(p, rel=1e-14),
    }


def test_two_sided():
    assert two_sided(np.zeros(99)) == 1.0
    assert two_sided(np.ones(99)) == pytest.approx(2 / 100)
    assert two_sided(np.repeat([-1.0, 1.0], [10, 89])) == pytest.approx(22 / 100)


def test_a_run_against_itself_and_a_better_one():
    good, bad = composite(0, right=0.8), composite(1, right=0.3)
    bootstrap = Bootstrap(500)
    same = compare(good, good, bootstrap=bootstrap)
    for name in ("uf1", "uar", "accuracy"):
        assert same[name] == {"difference": 0.0, "interval": (0.0, 0.0), "p": 1.0}
    assert same["mcnemar"] == {"only_ours": 0, "only_theirs": 0, "p": 1.0}
    better, worse = (compare(*pair, bootstrap=bootstrap) for pair in ((good, bad), (bad, good)))
    for name in ("uf1", "uar", "accuracy"):
        low, high = better[name]["interval"]
        assert 0.1 < low < better[name]["difference"] < high
        assert worse[name]["difference"] == pytest.approx(-better[name]["difference"])
        assert better[name]["p"] == pytest.approx(2 / 501)
    right = [[row.label == row.prediction for row in run] for run in (good, bad)]
    alone = [sum(a and not b for a, b in zip(*pair, strict=True)) for pair in (right, right[::-1])]
    counts = better["mcnemar"]
    assert [counts["only_ours"], counts["only_theirs"]] == alone
    assert counts["p"] < 1e-6


def test_several_seeds_are_compared_by_their_means():
    runs = [composite(seed) for seed in range(3)]
    bootstrap = Bootstrap(300)
    result = compare([*runs[0], *runs[1]], runs[2], bootstrap=bootstrap)
    assert result["mcnemar"] is None
    alone = [compare(run, runs[2], bootstrap=bootstrap)["uf1"]["difference"] for run in runs[:2]]
    assert result["uf1"]["difference"] == pytest.approx(np.mean(alone))


def test_equal_runs_seldom_differ_significantly():
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
        small += compare(*runs, bootstrap=Bootstrap(300, seed=n))["uf1"]["p"] < 0.05
    assert small <= 12


def test_clips_match_under_other_spellings():
    first = [
        Prediction("sub01/EP02_01f", "01", "x", "x", set="casme2"),
        Prediction("sub10/EP02_01f", "10", "x", "y", set="casme2"),
        Prediction("s1_ne_10", "1", "y", "y", set="smic_hs"),
    ]
    second = [
        dataclasses.replace(first[1], clip="EP02_01f", subject="sub10"),
        dataclasses.replace(first[0], clip="EP2_1f", subject="sub1"),
        dataclasses.replace(first[2], clip="s01_ne_10", subject="s01"),
    ]
    assert match_clips(first, second) == [first[1], first[0], first[2]]
    assert compare(first, second, bootstrap=Bootstrap(100))["accuracy"]["difference"] == 0


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
