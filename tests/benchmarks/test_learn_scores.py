"""Figures of maps, against what can be worked out by hand."""

import dataclasses

import numpy as np
import pytest

from micron_jax.benchmarks.learn_scores import auc, difference, evaluate, figures
from micron_jax.benchmarks.learn_truth import Truth


def truth(rows, side=2):
    """Clips (amplitude, person, family, patches): m moved, u not, D and d the same in a blink."""
    what = np.array([list(row[3]) for row in rows]).reshape(len(rows), side, -1)
    return Truth(
        moved=(what == "m") | (what == "D"),
        unmoved=(what == "u") | (what == "d"),
        distracted=(what == "d") | (what == "D"),
        amplitude=np.array([float(row[0]) for row in rows]),
        person=np.array([row[1] for row in rows]),
        family=np.array([row[2] for row in rows]),
        frames=((None, "", 0, 0),) * len(rows),
    )


def maps(*rows):
    return np.array(rows, np.float32).reshape(len(rows), 2, -1)


def test_auc_counts_pairs():
    assert auc(np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0])) == pytest.approx(4.5 / 6)
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5


def test_by_hand():
    """`.` is left out: it moved in part."""
    known = truth(
        [
            (1, 0, "gaussian", "mu.u"),
            (1, 1, "plateau", "mmuu"),
            (0, 0, "none", "uuuu"),
            (0, 1, "none", "uuuu"),
        ]
    )
    seen = maps([5, 1, 9, 2], [3, 4, 0, 3.5], [4, 4, 1, 1], [2, 1, 1, 6])
    told = evaluate(seen, known)
    # 5 over 1 and 2: 2/2; of 3 and 4 over 0 and 3.5: 3/4.
    assert told["1"]["auc"] == pytest.approx((1 + 0.75) / 2)
    # First patch: 5 and 3 against 4 and 2: 3 of 4. Second: 4 against 1, 4, 1: 2.5 of 3.
    assert told["1"]["stratified"] == pytest.approx(5.5 / 7)
    assert told["1"]["seen"]["stratified"] == 1
    assert told["1"]["unseen"]["stratified"] == pytest.approx((1 + 2.5) / 5)
    assert (told["1"]["clips"], told["1"]["unseen"]["clips"]) == (2, 1)
    # Of 3, 4, 5 the threshold that finds 70 % is 3; of the motionless 4, 4, 6 reach it, of 8.
    assert told["false_positives"] == pytest.approx(3 / 8)
    assert told["false_positives_at"] == {"0.5": None, "1": pytest.approx(3 / 8), "2": None}
    assert told["0.5"]["auc"] is told["2"]["stratified"] is told["2"]["low"] is None


def test_seventy_percent_are_found():
    known = truth([(2, 0, "gaussian", "m" * 10), (0, 0, "none", "u" * 10)])
    seen = maps(range(10), np.arange(10) + 0.5)
    # 3 and above are seven of ten; 3.5 to 9.5 are seven of ten.
    assert evaluate(seen, known)["false_positives"] == pytest.approx(0.7)


def test_blinks_are_no_expression_and_told_apart():
    known = truth([(1, 0, "gaussian", "muud"), (0, 0, "none", "uudd")])
    seen = maps([5, 1, 1, 9], [1, 1, 8, 8])
    told = evaluate(seen, known)
    for of in (told, told["disturbed"]):
        assert of["1"]["auc"] == pytest.approx(2 / 3)
        assert of["false_positives"] == 0.5
    assert told["1"]["stratified"] == 1
    assert told["calm"]["1"]["auc"] == told["calm"]["1"]["stratified"] == 1
    assert told["calm"]["false_positives"] == 0


def test_calm_clips_are_not_disturbed():
    known = truth([(1, 0, "gaussian", "mudd"), (1, 0, "gaussian", "muuu"), (0, 0, "none", "uuuu")])
    seen = maps([5, 1, 9, 1], [5, 1, 9, 1], [6, 6, 0, 0])
    told = evaluate(seen, known)
    assert told["1"]["auc"] == pytest.approx(2 / 3)
    assert told["calm"]["1"]["auc"] == pytest.approx((1 + 2 / 3) / 2)
    assert (told["1"]["clips"], told["calm"]["1"]["clips"]) == (2, 2)
    assert told["disturbed"]["1"]["clips"] == 1
    assert told["1"]["stratified"] == 0
    assert told["disturbed"]["1"]["stratified"] is None  # no motionless one was disturbed
    assert told["disturbed"]["false_positives"] is None
    assert told["false_positives"] == told["calm"]["false_positives"] == 0.5


@pytest.fixture(scope="module")
def drawn():
    """90 clips of 6 people on 4 x 4 patches; some places move much more often than others."""
    rng = np.random.default_rng(0)
    often = np.linspace(0.02, 0.6, 16)
    rows = []
    for n in range(90):
        amplitude = (0, 0.5, 1, 2)[n % 4]
        does = np.where(rng.uniform(size=16) < often, "m", "u") if amplitude else ["u"] * 16
        rows.append((amplitude, n % 6, ("gaussian", "tail")[n % 2], "".join(does)))
    return truth(rows, side=4), often.reshape(4, 4)


def test_places_alone_are_worth_nothing(drawn):
    known, often = drawn
    told = evaluate(np.broadcast_to(often, known.moved.shape), known)
    for amplitude in ("0.5", "1", "2"):
        assert told[amplitude]["auc"] > 0.7
        assert told[amplitude]["stratified"] == told[amplitude]["high"] == 0.5


def test_the_truth_is_perfect_and_its_opposite_is_nothing(drawn):
    known, _ = drawn
    perfect, opposite = (evaluate(sign * known.moved, known) for sign in (1.0, -1.0))
    for amplitude in ("0.5", "1", "2"):
        of = perfect[amplitude]
        assert (of["auc"], of["stratified"], of["low"], of["high"]) == (1, 1, 1, 1)
        assert opposite[amplitude]["stratified"] == 0
    assert (perfect["false_positives"], opposite["false_positives"]) == (0, 1)


def test_shuffled_labels_score_one_half(drawn):
    known, _ = drawn
    seen, rng = known.moved + np.random.default_rng(1).normal(0, 0.3, known.moved.shape), None
    assert evaluate(seen, known)["1"]["stratified"] > 0.95
    rng = np.random.default_rng(2)
    deals = [evaluate(seen, known.shuffled(rng), resamples=0)["1"] for _ in range(40)]
    assert np.mean([deal["stratified"] for deal in deals]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([deal["auc"] for deal in deals]) > 0.55  # it still knows the places


def test_intervals_are_over_people(drawn):
    """One whose maps are wrong widens them, however many clips there are."""
    known, _ = drawn
    seen = known.moved + np.random.default_rng(1).normal(0, 0.3, known.moved.shape)
    good = evaluate(seen, known)["1"]
    wrong = np.where((known.person == 0)[:, None, None], -seen, seen)
    bad = evaluate(wrong, known)["1"]
    assert good["high"] - good["low"] < 0.05 < bad["high"] - bad["low"]
    assert bad["low"] < bad["stratified"] < bad["high"]
    alone = dataclasses.replace(known, person=np.zeros_like(known.person))
    assert evaluate(seen, alone)["1"]["low"] is None


def test_seeds_are_averaged(drawn):
    known, _ = drawn
    one, two = known.moved.astype(float), -known.moved.astype(float)
    told = evaluate(np.stack([one, two]), known)
    assert told["1"]["stratified"] == told["1"]["auc"] == told["false_positives"] == 0.5


def test_differences_are_paired(drawn):
    known, _ = drawn
    noise = np.random.default_rng(1).normal(0, 0.6, (2, *known.moved.shape))
    better, worse = (figures(known.moved + part, known) for part in (0.5 * noise[0], noise[1]))
    told = difference(better, worse)["1"]
    assert 0 < told["low"] < told["difference"] < told["high"]
    assert difference(better, better)["1"] == {"difference": 0, "low": 0, "high": 0}


@pytest.mark.parametrize(
    ("shape", "value", "words"),
    [((3, 4, 4), 0, "expected"), ((90, 4, 4), np.nan, "NaN")],
)
def test_unusable_maps(drawn, shape, value, words):
    with pytest.raises(ValueError, match=words):
        evaluate(np.full(shape, value), drawn[0])
