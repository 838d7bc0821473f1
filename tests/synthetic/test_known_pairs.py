import cv2
import numpy as np
import pytest
from helpers.portrait import portrait

from micron_jax.synthetic import insertion, known_pairs
from micron_jax.synthetic.known_pairs import draw_pairs


@pytest.fixture(scope="module")
def face():
    rng = np.random.default_rng(0)
    crop = cv2.resize(portrait(), (448, 448)).astype(np.float32)
    grain = cv2.GaussianBlur(rng.normal(0, 60, crop.shape).astype(np.float32), (0, 0), 2.0)
    return np.uint8(np.clip(crop + 2 * grain, 0, 255))


def flow(reference, moved):
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    finder.setFinestScale(0)
    gray = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (reference, moved))
    return finder.calc(*gray, None).reshape(28, 8, 28, 8, 2).mean((1, 3))


def clean(monkeypatch):
    monkeypatch.setattr(known_pairs, "CODECS", {"none": 1.0})
    monkeypatch.setattr(known_pairs, "SIDES", (400, 401))


def test_all_motion_of_one_picture_is_known(face, monkeypatch):
    clean(monkeypatch)
    errors, lengths = [], []
    for seed in range(6):
        pairs = draw_pairs(face, face, np.random.default_rng(seed))
        assert pairs["known"]
        assert pairs["reference"].shape == pairs["moved"].shape == (2, 224, 224, 3)
        np.testing.assert_array_equal(pairs["reference"][0], pairs["moved"][1])
        for reference, moved, motion in zip(
            pairs["reference"], pairs["moved"], pairs["motion"], strict=True
        ):
            inside = np.s_[6:22, 7:21]
            off = flow(reference, moved)[inside] - motion[inside]
            errors.append(np.median(np.hypot(*np.moveaxis(off, -1, 0))))
            lengths.append(np.median(np.hypot(*np.moveaxis(motion[inside], -1, 0))))
    assert np.mean(lengths) > 0.3
    assert np.mean(errors) < 0.12


def test_of_two_frames_the_difference_is_known(face, monkeypatch):
    clean(monkeypatch)
    monkeypatch.setattr(known_pairs, "ALONE", 0.0)
    later = cv2.warpAffine(face, np.float32([[1, 0, 1.5], [0, 1, 0]]), (448, 448))
    for seed in range(4):
        pairs = draw_pairs(face, later, np.random.default_rng(seed))
        assert not pairs["known"]
        assert (pairs["displacement"][1] == 0).all()
        np.testing.assert_array_equal(pairs["reference"][0], pairs["reference"][1])
        with_, without = (flow(pairs["reference"][i], pairs["moved"][i]) for i in (0, 1))
        inside = np.s_[6:22, 7:21]
        off = (with_ - without - pairs["displacement"][0])[inside]
        assert np.median(np.hypot(*np.moveaxis(off, -1, 0))) < 0.15


def test_equal_generators_give_equal_pairs(face):
    first, second = (draw_pairs(face, face, np.random.default_rng(5)) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


@pytest.mark.parametrize("codec", known_pairs.CODECS)
def test_every_codec_keeps_the_picture(face, codec, monkeypatch):
    monkeypatch.setattr(known_pairs, "CODECS", {codec: 1.0})
    monkeypatch.setattr(known_pairs, "_skin", lambda rng: np.zeros_like(insertion.canvas_grid()))
    pairs = draw_pairs(face, face, np.random.default_rng(3))
    assert (pairs["displacement"] == 0).all()
    target = cv2.resize(face, (224, 224), interpolation=cv2.INTER_AREA)
    apart = [
        np.abs(frame.astype(float) - x).mean()
        for x in (target, target[:, ::-1])
        for frame in pairs["reference"][:1]
    ]
    assert min(apart) < 25


def test_nothing_tears():
    for seed in range(30):
        field = known_pairs._skin(np.random.default_rng(seed))
        steep = max(np.abs(x).max() for x in np.gradient(field, insertion.STEP, axis=(0, 1)))
        assert steep < 0.4
        assert np.hypot(*np.moveaxis(field, -1, 0)).max() < 6.1


def test_frames_of_a_film_are_registered(face, monkeypatch):
    clean(monkeypatch)
    monkeypatch.setattr(known_pairs, "ALONE", 0.0)
    later = cv2.warpAffine(face, np.float32([[1, 0, 8], [0, 1, -6]]), (448, 448))
    inside, apart = np.s_[40:170, 40:170], []
    for seed in range(4):
        pairs = draw_pairs(face, later, np.random.default_rng(seed))
        frames = (pairs[name][1][inside].astype(float) for name in ("reference", "moved"))
        apart.append(np.abs(np.subtract(*frames)).mean())
    far = np.abs(face.astype(float) - later)[80:340, 80:340].mean()
    assert np.mean(apart) < 0.3 * far


def test_a_share_of_the_pairs_of_a_film_shows_one_frame_twice(face):
    later = np.ascontiguousarray(face[:, ::-1])
    known = [draw_pairs(face, later, np.random.default_rng(seed))["known"] for seed in range(40)]
    assert 0.15 < np.mean(known) < 0.6
