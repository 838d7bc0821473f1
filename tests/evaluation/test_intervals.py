import dataclasses

import numpy as np
import pytest
from helpers.evaluated import composite

from micron_jax.datasets.protocols import THREE
from micron_jax.evaluation.intervals import draw, intervals, percentiles, resampled
from micron_jax.evaluation.metrics import confusion_matrix, scores
from micron_jax.evaluation.predictions import Prediction
from micron_jax.evaluation.tally import tally


@pytest.fixture(scope="module")
def table():
    return [*composite(0), *composite(1)]


def test_a_tally_holds_every_clip(table):
    counted = tally(table, THREE)
    assert counted.classes == THREE
    assert counted.seeds == (0, 1)
    assert counted.confusion.shape == (2, 68, 3, 3)
    for n, seed in enumerate(counted.seeds):
        part = [one for one in table if one.seed == seed]
        pairs = [[THREE.index(getattr(one, w)) for one in part] for w in ("label", "prediction")]
        assert counted.confusion[n].sum(0).tolist() == confusion_matrix(*pairs, 3).tolist()
    assert counted.sets == ("casme2", "samm", "smic_hs")
    assert np.bincount(counted.strata).tolist() == [24, 28, 16]
    samm = counted.part("samm", THREE)
    assert samm.confusion[0].sum() == 133
    assert samm.people == tuple(person for person in counted.people if person[0] == "samm")


def test_which_classes_count():
    rows = [Prediction("a", "1", "x", "x"), Prediction("b", "1", "y", "z")]
    assert tally(rows).classes == ("x", "y", "z")
    assert tally(rows).counted.tolist() == [True, True, False]
    counted = tally(rows, ("z", "y", "x", "w"))
    assert counted.classes == ("z", "y", "x", "w")
    assert counted.counted.all()
    wide = [dataclasses.replace(one, probabilities=dict(x=1, y=0, z=0, w=0)) for one in rows]
    assert tally(wide).classes == ("x", "y", "z", "w")
    assert tally(wide).counted.all()
    with pytest.raises(ValueError, match="no class z; there are x, y"):
        tally(rows, ("x", "y"))


def test_subjects_are_drawn_within_their_sets():
    strata = np.array([0, 1, 0, 0, 1, 2])
    times = draw(strata, 4000, seed=3)
    assert times.shape == (4000, 6)
    for stratum, size in enumerate((3, 2, 1)):
        assert (times[:, strata == stratum].sum(1) == size).all()
    assert (times[:, 5] == 1).all()
    np.testing.assert_allclose(times.mean(0), 1, atol=0.06)
    assert (draw(strata, 4000, seed=3) == times).all()
    assert (draw(strata, 4000, seed=4) != times).any()


def test_resamples_are_scored_as_tables_are(table):
    counted = tally(table, THREE)
    whole = resampled(counted, np.ones((1, 68), np.int64))
    expected = scores(counted.confusion.sum(1))
    assert whole["uf1"][0] == pytest.approx(expected.uf1.mean(), rel=1e-14)
    assert whole["accuracy"][0] == pytest.approx(expected.accuracy.mean(), rel=1e-14)
    # A resample is the table in which a subject's clips stand as often as the subject was drawn.
    times = draw(counted.strata, 3)
    again = [
        (THREE.index(one.label), THREE.index(one.prediction))
        for one in table
        if one.seed == 1
        for _ in range(times[2][counted.people.index(one.person)])
    ]
    lone = dataclasses.replace(counted, confusion=counted.confusion[1:])
    by_hand = scores(confusion_matrix(*zip(*again, strict=True), 3))
    assert resampled(lone, times)["uar"][2] == pytest.approx(float(by_hand.uar), rel=1e-14)


def test_intervals_hold_the_value_and_are_repeatable(table):
    counted = tally(table, THREE)
    bounds = intervals(counted, 2000)
    assert bounds == intervals(counted, 2000)
    assert bounds != intervals(counted, 2000, seed=1)
    for name, (low, high) in bounds.items():
        value = float(getattr(scores(counted.confusion.sum(1)), name).mean())
        assert low < value < high
        assert 0.01 < high - low < 0.2
    assert percentiles(np.arange(1001)) == pytest.approx((25, 975))
    assert intervals(tally([Prediction("a", "1", "x", "x")])) is None


def test_intervals_cover_the_truth_although_clips_of_a_subject_go_together():
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
        low, high = intervals(tally(rows, ("x", "y")), 400, seed=n)["accuracy"]
        covered.append(low <= 0.5 <= high)
    assert 0.89 <= np.mean(covered) <= 0.98
