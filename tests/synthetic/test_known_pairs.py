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


def test_all_motion_is_known(face, monkeypatch):
    clean(monkeypatch)
    errors, lengths = [], []
    for seed in range(6):
        pairs = draw_pairs(face, np.random.default_rng(seed))
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


def test_equal_generators_give_equal_pairs(face):
    first, second = (draw_pairs(face, np.random.default_rng(5)) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


@pytest.mark.parametrize("codec", known_pairs.CODECS)
def test_every_codec_keeps_the_picture(face, codec, monkeypatch):
    monkeypatch.setattr(known_pairs, "CODECS", {codec: 1.0})
    monkeypatch.setattr(known_pairs, "_skin", lambda rng: np.zeros_like(insertion.canvas_grid()))
    pairs = draw_pairs(face, np.random.default_rng(3))
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
