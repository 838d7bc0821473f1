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
    assert first["energy"] == second["energy"] == pytest.approx(np.log(1.02))
    assert first["duration"] == pytest.approx(np.log(0.31))
    assert first["eyes"] == 1


def candidates(count=4000):
    """Right ones have more energy; how likely is known."""
    rng = np.random.default_rng(0)
    facts = rng.normal(size=(count, len(FACTS)))
    truth = 1 / (1 + np.exp(-(2 * facts[:, 0] - 1)))
    return facts, truth, rng.uniform(size=count) < truth


def test_a_fit_is_calibrated():
    facts, truth, right = candidates(16_000)
    fitted = fit(facts, right, np.ones(len(right), bool), minutes=10)
    np.testing.assert_allclose(fitted.probability(facts), truth, atol=0.08)


def test_a_threshold_bears_so_many_alarms():
    facts, _, right = candidates()
    ordinary = np.arange(len(right)) % 2 == 0
    fitted = fit(facts, right, ordinary, minutes=10)
    wrong = fitted.probability(facts[ordinary & ~right])
    for alarms in (1, 5, 50):
        least = fitted.threshold(alarms)
        assert (wrong >= least).sum() / 10 <= alarms
        assert (wrong >= least - 0.02).sum() / 10 > alarms, "no lower one would do"


@pytest.mark.parametrize("right", [np.zeros(9, bool), np.ones(9, bool)])
def test_nothing_to_learn_from_is_refused(right):
    with pytest.raises(UserError, match="nothing to fit"):
        fit(np.zeros((9, len(FACTS))), right, right, minutes=1)


def test_a_file_is_read_or_refused(tmp_path):
    path = tmp_path / "fit.json"
    one = {"weights": [0.0] * (len(FACTS) + 1), "alarms": [[0.0, 9.0], [0.5, 2.0]]}
    path.write_text(json.dumps({"confidence": {"motion": one, "flow": one}}))
    fitted = read(path)["flow"]
    assert fitted == Confidence((0.0,) * (len(FACTS) + 1), ((0.0, 9.0), (0.5, 2.0)))
    assert (fitted.threshold(3), fitted.threshold(1)) == (0.5, 1.0)
    for text in ("{}", "no JSON", json.dumps({"confidence": {"motion": {"weights": [1]}}})):
        path.write_text(text)
        with pytest.raises(UserError, match="bench spot --json"):
            read(path)
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path / "none.json")
