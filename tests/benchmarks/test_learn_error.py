"""Errors of displacements whose right values are known."""

import dataclasses

import numpy as np
import pytest

from micron_jax.benchmarks import learn, learn_error, learn_people
from micron_jax.benchmarks.learn_levels import AMPLITUDES
from micron_jax.benchmarks.learn_methods import Readout
from micron_jax.benchmarks.learn_truth import Truth

SPOT = np.s_[8:14, 10:16]  # 36 patches of 784


@pytest.fixture(scope="module")
def truth():
    """Two clips of each amplitude of each of four people, and two motionless ones."""
    levels = [0.0, *AMPLITUDES] * 2
    amplitude = np.array(levels * 4)
    moved = np.zeros((len(amplitude), 28, 28), bool)
    moved[:, *SPOT] = amplitude[:, None, None] > 0
    displacement = moved[..., None] * amplitude[:, None, None, None] * (0.6, -0.8)
    count = len(amplitude)
    return Truth(
        moved=moved,
        unmoved=~moved,
        distracted=np.zeros_like(moved),
        displacement=displacement.astype(np.float32),
        face=np.ones_like(moved),
        rigid=np.ones_like(moved),
        amplitude=amplitude,
        head=np.linspace(0, 3, count),
        person=np.arange(count) // len(levels),
        family=np.full(count, "gaussian"),
        kind=np.full(count, "picture"),
        codec=np.array(["none", "vp9"])[np.arange(count) % 2],
        control=np.full(count, -1),
        frames=((None, "", 0, 0),) * count,
    )


def scores_of(vector, truth, scale=None, floor=learn_error.STILL):
    vector = np.asarray(vector, np.float32)
    score = np.hypot(vector[..., 0], vector[..., 1])
    return learn.judge([Readout(score, vector, scale)], truth, floor)[1]


def test_the_truth_has_no_error(truth):
    scores = scores_of(truth.displacement, truth)
    for amplitude in AMPLITUDES:
        px = f"{amplitude:g}"
        assert scores["epe"][px] == scores["epe_moved"][px] == 0
        assert scores["stratified"][px] == 1
        of = scores["area"][px]
        assert (of["ratio"], of["right"], of["found"]) == (1, 1, 1)
        assert of["moved"] == pytest.approx(36 / 784)
    assert scores["correlation"] == pytest.approx(1)
    assert scores["area"]["0"]["lit"] == scores["false_positives"] == 0


def test_zero_errs_by_the_mean_length(truth):
    scores = scores_of(np.zeros_like(truth.displacement), truth)
    for amplitude in AMPLITUDES:
        px = f"{amplitude:g}"
        assert scores["epe"][px] == pytest.approx(amplitude * 36 / 784, rel=1e-5)
        assert scores["epe_moved"][px] == pytest.approx(amplitude, rel=1e-5)
        assert scores["stratified"][px] == 0.5
        assert scores["area"][px]["ratio"] == 0
        assert scores["area"][px]["right"] is None
    assert scores["epe"]["0"] == 0
    assert scores["correlation"] is None


def test_half_the_length_is_half_the_error(truth):
    scores = scores_of(truth.displacement / 2, truth)
    assert scores["epe_moved"]["2"] == pytest.approx(1, rel=1e-5)
    assert scores["correlation"] == pytest.approx(1)
    assert scores["epe_low"]["2"] == pytest.approx(scores["epe_high"]["2"])
    by = scores["epe_by"]
    assert set(by) == {
        *("codec none", "codec vp9", "kind picture"),
        *("head below 0.5 px", "head 0.5 to 2 px", "head above 2 px"),
    }
    assert by["codec vp9"]["2"] == pytest.approx(scores["epe"]["2"])


def test_noise_alone_finds_nothing(truth):
    noise = np.random.default_rng(0).normal(0, 0.3, truth.displacement.shape)
    floor = learn_error.floor_of(noise, truth)
    assert floor == pytest.approx(0.3 * np.sqrt(2 * np.log(20)), rel=0.03)  # Rayleigh's 95 %
    scores = scores_of(noise, truth, floor=floor)
    assert scores["epe"]["0"] == pytest.approx(0.3 * np.sqrt(np.pi / 2), rel=0.02)
    assert scores["stratified"]["1"] == pytest.approx(0.5, abs=0.05)
    assert scores["correlation"] == pytest.approx(0, abs=0.02)
    assert scores["area"]["0"]["lit"] == pytest.approx(0.05, abs=0.002)
    assert scores["area"]["1"]["right"] == pytest.approx(36 / 784, abs=0.03)


def test_patches_outside_the_face_do_not_count(truth):
    vector = truth.displacement.copy()
    vector[:, 20:] = 9
    face = truth.face.copy()
    face[:, 20:] = False
    inside = dataclasses.replace(truth, face=face)
    assert scores_of(vector, inside)["epe"]["1"] == 0
    assert scores_of(vector, truth)["epe"]["1"] > 2


def test_a_film_counts_less_its_control(truth):
    """What the face of a film does by itself is in both, and no error."""
    of = truth.clips(truth.amplitude == 1)
    count = len(of)
    controls = dataclasses.replace(
        of,
        moved=np.zeros_like(of.moved),
        unmoved=np.ones_like(of.moved),
        displacement=np.zeros_like(of.displacement),
        amplitude=np.zeros(count),
    )
    fields = [f.name for f in dataclasses.fields(Truth) if f.name != "frames"]
    both = Truth(
        **{name: np.concatenate([getattr(of, name), getattr(controls, name)]) for name in fields},
        frames=of.frames + controls.frames,
    )
    both = dataclasses.replace(
        both,
        kind=np.full(2 * count, "film"),
        control=np.concatenate([np.arange(count, 2 * count), np.full(count, -1)]),
    )
    talk = np.random.default_rng(0).normal(0, 2, of.displacement.shape)
    vector = np.concatenate([of.displacement + talk, talk])
    scores = scores_of(vector, both)
    assert scores["epe"]["1"] == pytest.approx(0, abs=1e-6)
    assert scores["epe"]["0"] is None  # nobody knows how the controls move
    assert scores["correlation"] == pytest.approx(1)
    assert scores["area"]["1"]["ratio"] == 1
    assert scores["false_positives"] is None
    assert learn_error.floor_of(vector, both) is None
    assert learn_error.calibration(vector, np.ones(vector.shape[:3]), both) is None
    assert both.clips(np.arange(count)).control.tolist() == [-1] * count  # they are not there
    assert both.clips(np.arange(count - 1, 2 * count)).control[0] == count


def test_a_right_scale_covers(truth):
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.05, 0.5, truth.moved.shape)
    vector = truth.displacement + rng.laplace(0, scale[..., None], truth.displacement.shape)
    of = scores_of(vector, truth, scale)["calibration"]
    assert of["coverage"] == {
        "0.5": pytest.approx(0.5, abs=0.01),
        "0.9": pytest.approx(0.9, abs=0.01),
    }
    for part in of["deciles"]:
        assert part["error"] == pytest.approx(part["scale"], rel=0.05)
    assert of["deciles"][0]["scale"] < 0.1 < 0.45 < of["deciles"][-1]["scale"]
    sure = learn_error.calibration(vector, scale / 3, truth)
    assert sure["coverage"]["0.9"] == pytest.approx(1 - 10 ** (-1 / 3), abs=0.01)


def test_differences_are_paired(truth):
    times = learn_people.draw(truth.person)
    half, quarter = (
        learn_error.figures(truth.displacement * share, truth, times, None) for share in (0.5, 0.25)
    )
    of = learn_error.difference(half, quarter)["epe"]["2"]
    assert of["ratio"] == of["ratio_low"] == of["ratio_high"] == pytest.approx(0.5 / 0.75)
    assert of["difference"] == pytest.approx(-0.25 * 2 * 36 / 784, rel=1e-4)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (None, "expected")])
def test_unusable_vectors(truth, value, words):
    vector = np.full_like(truth.displacement, value) if value else truth.displacement[1:]
    with pytest.raises(ValueError, match=words):
        learn_error.figures(vector, truth, learn_people.draw(truth.person), None)
