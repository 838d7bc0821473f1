"""Figures of maps, against what can be worked out by hand."""

import dataclasses

import numpy as np
import pytest

from micron_jax.benchmarks.learn_scores import auc, difference, evaluate, figures
from micron_jax.benchmarks.learn_truth import Truth


def make_truth(rows, side=2):
    """Clips (amplitude, person, family, patches): m moved, u not, D and d the same in a blink."""
    letters = np.array([list(row[3]) for row in rows]).reshape(len(rows), side, -1)
    moved = (letters == "m") | (letters == "D")
    amplitude = np.array([float(row[0]) for row in rows])
    across = moved * amplitude[:, None, None]
    return Truth(
        moved=moved,
        unmoved=(letters == "u") | (letters == "d"),
        distracted=(letters == "d") | (letters == "D"),
        displacement=np.stack([across, np.zeros_like(across)], -1),
        face=np.ones(letters.shape, bool),
        rigid=np.ones(letters.shape, bool),
        amplitude=amplitude,
        head=np.zeros(len(rows)),
        person=np.array([row[1] for row in rows]),
        family=np.array([row[2] for row in rows]),
        kind=np.full(len(rows), "picture"),
        codec=np.full(len(rows), "jpeg"),
        control=np.full(len(rows), -1),
        frames=((None, "", 0, 0),) * len(rows),
    )


def make_maps(*rows):
    return np.array(rows, np.float32).reshape(len(rows), 2, -1)


def test_auc_counts_pairs():
    assert auc(np.array([3.0, 1.0]), np.array([2.0, 1.0, 0.0])) == pytest.approx(4.5 / 6)
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5


def test_scores_by_hand():
    """`.` is left out: it moved in part."""
    truth = make_truth(
        [
            (1, 0, "gaussian", "mu.u"),
            (1, 1, "plateau", "mmuu"),
            (0, 0, "none", "uuuu"),
            (0, 1, "none", "uuuu"),
        ]
    )
    maps = make_maps([5, 1, 9, 2], [3, 4, 0, 3.5], [4, 4, 1, 1], [2, 1, 1, 6])
    scores = evaluate(maps, truth)
    # 5 over 1 and 2: 2/2; of 3 and 4 over 0 and 3.5: 3/4.
    assert scores["1"]["auc"] == pytest.approx((1 + 0.75) / 2)
    # First patch: 5 and 3 against 4 and 2: 3 of 4. Second: 4 against 1, 4, 1: 2.5 of 3.
    assert scores["1"]["stratified"] == pytest.approx(5.5 / 7)
    assert scores["1"]["seen"]["stratified"] == 1
    assert scores["1"]["unseen"]["stratified"] == pytest.approx((1 + 2.5) / 5)
    assert (scores["1"]["clips"], scores["1"]["unseen"]["clips"]) == (2, 1)
    # Of 3, 4, 5 the threshold that finds 70 % is 3; of the motionless 4, 4, 6 reach it, of 8.
    assert scores["false_positives"] == pytest.approx(3 / 8)
    at = scores["false_positives_at"]
    assert at == dict.fromkeys(at) | {"1": pytest.approx(3 / 8)}
    assert list(at) == ["0.25", "0.5", "1", "2", "3", "5"]
    assert scores["false_positives_by"] == {"picture": scores["false_positives"]}
    assert scores["stratified"]["1"] == scores["1"]["stratified"]
    assert scores["0.5"]["auc"] is scores["2"]["stratified"] is scores["2"]["low"] is None


def test_false_positives_are_counted_at_seventy_percent_found():
    truth = make_truth([(2, 0, "gaussian", "m" * 10), (0, 0, "none", "u" * 10)])
    maps = make_maps(range(10), np.arange(10) + 0.5)
    # 3 and above are seven of ten; 3.5 to 9.5 are seven of ten.
    assert evaluate(maps, truth)["false_positives"] == pytest.approx(0.7)


def test_blinks_are_no_expression_and_counted_apart():
    truth = make_truth([(1, 0, "gaussian", "muud"), (0, 0, "none", "uudd")])
    maps = make_maps([5, 1, 1, 9], [1, 1, 8, 8])
    scores = evaluate(maps, truth)
    for of in (scores, scores["disturbed"]):
        assert of["1"]["auc"] == pytest.approx(2 / 3)
        assert of["false_positives"] == 0.5
    assert scores["1"]["stratified"] == 1
    assert scores["calm"]["1"]["auc"] == scores["calm"]["1"]["stratified"] == 1
    assert scores["calm"]["false_positives"] == 0


def test_calm_clips_are_not_disturbed():
    truth = make_truth(
        [(1, 0, "gaussian", "mudd"), (1, 0, "gaussian", "muuu"), (0, 0, "none", "uuuu")]
    )
    maps = make_maps([5, 1, 9, 1], [5, 1, 9, 1], [6, 6, 0, 0])
    scores = evaluate(maps, truth)
    assert scores["1"]["auc"] == pytest.approx(2 / 3)
    assert scores["calm"]["1"]["auc"] == pytest.approx((1 + 2 / 3) / 2)
    assert (scores["1"]["clips"], scores["calm"]["1"]["clips"]) == (2, 2)
    assert scores["disturbed"]["1"]["clips"] == 1
    assert scores["1"]["stratified"] == 0
    assert scores["disturbed"]["1"]["stratified"] is None  # no motionless one was disturbed
    assert scores["disturbed"]["false_positives"] is None
    assert scores["false_positives"] == scores["calm"]["false_positives"] == 0.5


@pytest.fixture(scope="module")
def random_truth():
    """90 clips of 6 people on 4 x 4 patches; some places move much more often than others."""
    rng = np.random.default_rng(0)
    often = np.linspace(0.02, 0.6, 16)
    rows = []
    for n in range(90):
        amplitude = (0, 0.5, 1, 2)[n % 4]
        does = np.where(rng.uniform(size=16) < often, "m", "u") if amplitude else ["u"] * 16
        rows.append((amplitude, n % 6, ("gaussian", "tail")[n % 2], "".join(does)))
    return make_truth(rows, side=4), often.reshape(4, 4)


def test_fixed_maps_score_one_half(random_truth):
    truth, often = random_truth
    scores = evaluate(np.broadcast_to(often, truth.moved.shape), truth)
    for amplitude in ("0.5", "1", "2"):
        assert scores[amplitude]["auc"] > 0.7
        assert scores[amplitude]["stratified"] == scores[amplitude]["high"] == 0.5


def test_the_truth_scores_one_and_its_opposite_zero(random_truth):
    truth, _ = random_truth
    perfect, opposite = (evaluate(sign * truth.moved, truth) for sign in (1.0, -1.0))
    for amplitude in ("0.5", "1", "2"):
        of = perfect[amplitude]
        assert (of["auc"], of["stratified"], of["low"], of["high"]) == (1, 1, 1, 1)
        assert opposite[amplitude]["stratified"] == 0
    assert (perfect["false_positives"], opposite["false_positives"]) == (0, 1)


def test_shuffled_labels_score_one_half(random_truth):
    truth, _ = random_truth
    maps = truth.moved + np.random.default_rng(1).normal(0, 0.3, truth.moved.shape)
    assert evaluate(maps, truth)["1"]["stratified"] > 0.95
    rng = np.random.default_rng(2)
    deals = [evaluate(maps, truth.shuffled(rng), resamples=0)["1"] for _ in range(40)]
    assert np.mean([deal["stratified"] for deal in deals]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([deal["auc"] for deal in deals]) > 0.55  # it still knows the places


def test_intervals_are_over_people(random_truth):
    """One whose maps are wrong widens them, however many clips there are."""
    truth, _ = random_truth
    maps = truth.moved + np.random.default_rng(1).normal(0, 0.3, truth.moved.shape)
    good = evaluate(maps, truth)["1"]
    wrong = np.where((truth.person == 0)[:, None, None], -maps, maps)
    bad = evaluate(wrong, truth)["1"]
    assert good["high"] - good["low"] < 0.05 < bad["high"] - bad["low"]
    assert bad["low"] < bad["stratified"] < bad["high"]
    alone = dataclasses.replace(truth, person=np.zeros_like(truth.person))
    assert evaluate(maps, alone)["1"]["low"] is None


def test_seeds_are_averaged(random_truth):
    truth, _ = random_truth
    one, two = truth.moved.astype(float), -truth.moved.astype(float)
    scores = evaluate(np.stack([one, two]), truth)
    assert scores["1"]["stratified"] == scores["1"]["auc"] == scores["false_positives"] == 0.5


def test_differences_are_paired(random_truth):
    truth, _ = random_truth
    noise = np.random.default_rng(1).normal(0, 0.6, (2, *truth.moved.shape))
    better, worse = (figures(truth.moved + part, truth) for part in (0.5 * noise[0], noise[1]))
    scores = difference(better, worse)["1"]
    assert 0 < scores["low"] < scores["difference"] < scores["high"]
    assert difference(better, better)["1"] == {"difference": 0, "low": 0, "high": 0}


@pytest.mark.parametrize(
    ("shape", "value", "words"),
    [((3, 4, 4), 0, "expected"), ((90, 4, 4), np.nan, "NaN")],
)
def test_unusable_maps(random_truth, shape, value, words):
    with pytest.raises(ValueError, match=words):
        evaluate(np.full(shape, value), random_truth[0])
