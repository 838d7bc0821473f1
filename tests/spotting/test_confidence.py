import json

import numpy as np
import pytest

from micron_jax.errors import UserError
from micron_jax.spotting.confidence import FACTS, Confidence, facts_of, fit, read
from micron_jax.spotting.intervals import Interval

SECONDS = np.arange(90) / 30


def test_facts_tell_a_lone_peak_from_one_among_others():
    alone, among = np.zeros(90, np.float32), np.full(90, 0.8, np.float32)
    alone[40:50] = among[40:50] = 1.0
    interval = Interval(40, 45, 49, 1.0, 0.5, 20.0, "eyes")
    first, second = (
        dict(zip(FACTS, facts_of(interval, x, SECONDS), strict=True)) for x in (alone, among)
    )
    assert first["isolation"] > second["isolation"] + 2
    assert first["highest"] > second["highest"] + 2
    assert first["share"] == pytest.approx(0.5)
    assert first["height"] == second["height"] == pytest.approx(np.log(1.02))
    assert first["duration"] == pytest.approx(np.log(0.31))
    assert first["eyes"] == 1


def candidates(count=4000, seed=0):
    """Right ones are higher, or at a middle duration; how likely is known."""
    rng = np.random.default_rng(seed)
    facts = rng.normal(size=(count, len(FACTS)))
    logit = 2 * facts[:, 0] - 2 * np.abs(facts[:, FACTS.index("duration")])
    truth = 1 / (1 + np.exp(-logit))
    return facts, truth, rng.uniform(size=count) < truth, np.arange(count) % 20


def test_a_fit_is_calibrated():
    facts, truth, right, people = candidates(16_000)
    fitted = fit(facts, right, np.ones(len(right), bool), people, minutes=10)
    sure = fitted.probability(facts)
    for low in np.arange(0, 1, 0.1):
        some = (sure >= low) & (sure < low + 0.1)
        assert truth[some].mean() == pytest.approx(sure[some].mean(), abs=0.04)
    assert np.corrcoef(sure, truth)[0, 1] > 0.97


def test_a_threshold_bears_so_many_alarms_of_people_unseen():
    facts, _, right, people = candidates(8000)
    ordinary = np.arange(len(right)) % 2 == 0
    fitted = fit(facts, right, ordinary, people, minutes=20)
    others = candidates(16_000, seed=1)
    wrong = np.sort(fitted.probability(others[0][~others[2]]))
    for alarms in (1, 5, 50):
        least = fitted.threshold(alarms)
        assert (wrong >= least).sum() / 80 == pytest.approx(alarms, rel=0.35, abs=1)


def test_one_person_s_face_is_not_enough():
    """A fact that only tells people apart does not lower the alarms that are promised."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(6), 50)
    facts = rng.normal(size=(300, len(FACTS)))
    facts[:, 1] = 10.0 * rng.normal(size=6)[people]
    right = rng.uniform(size=300) < np.array([0.9, 0.1, 0.5, 0.9, 0.1, 0.5])[people]
    fitted = fit(facts, right, np.ones(300, bool), people, minutes=1)
    least = fitted.threshold(20)
    seen = (fitted.probability(facts[~right]) >= least).sum()
    assert seen < 20, "those of people unseen are more"
    with pytest.raises(UserError, match="one person alone"):
        fit(facts, right, np.ones(300, bool), np.where(right, 0, people), minutes=1)


@pytest.mark.parametrize("right", [np.zeros(9, bool), np.ones(9, bool)])
def test_nothing_to_learn_from_is_refused(right):
    with pytest.raises(UserError, match="nothing to fit"):
        fit(np.zeros((9, len(FACTS))), right, right, np.arange(9), minutes=1)


def test_a_file_is_read_or_refused(tmp_path):
    path = tmp_path / "fit.json"
    curves = [[[0.0, -1.0], [1.0, 1.0]]] * len(FACTS)
    one = {"constant": 0.5, "curves": curves, "alarms": [[0.0, 9.0], [0.5, 2.0]]}
    path.write_text(json.dumps({"confidence": {"motion": one, "flow": one}}))
    fitted = read(path)["flow"]
    assert fitted == Confidence(0.5, (((0, -1), (1, 1)),) * len(FACTS), ((0, 9), (0.5, 2)))
    logit = 0.5 + len(FACTS) - 1 - 0.5, 0.5 - len(FACTS)
    facts = np.array([[0.25, *[2.0] * (len(FACTS) - 1)], [-9.0] * len(FACTS)])
    np.testing.assert_allclose(fitted.probability(facts), 1 / (1 + np.exp(-np.array(logit))))
    assert (fitted.threshold(3), fitted.threshold(1)) == (0.5, 1.0)
    few = one | {"curves": curves[1:]}
    for text in ("{}", "no JSON", json.dumps({"confidence": {"motion": few, "flow": one}})):
        path.write_text(text)
        with pytest.raises(UserError, match="bench spot --json"):
            read(path)
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "none.json")
