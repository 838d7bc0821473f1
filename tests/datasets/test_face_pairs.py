import cv2
import numpy as np
import pytest
from helpers import drawn
from helpers.benchmarks import sample

from micron_jax.datasets.face_pairs import Opened, one_pair, read_pairs
from micron_jax.errors import UserError
from micron_jax.faces import landmarks
from micron_jax.video.image_files import Unreadable

SAMPLE = sample("casme2", "sub01/EP01", "01", "happiness")  # onset 1, apex 10


def record(images):
    return {"frames": {"number": list(images), "image": list(images.values())}}


def png(image):
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


@pytest.fixture(scope="module")
def face():
    return drawn.face(0)


def test_a_face_is_cut_out_of_both_frames_at_one_place(face):
    wide = np.full((drawn.SIDE, 2 * drawn.SIDE, 3), 90, np.uint8)
    wide[:, : drawn.SIDE] = face
    shifted = np.roll(wide, 3, axis=1)
    detect = drawn.all_faces_detector()
    frames = record({1: png(wide), 10: png(shifted)})
    onset, apex = one_pair(
        SAMPLE, frames, size=drawn.SIDE, crop="face", detect=lambda x: detect(x)[:1]
    )
    assert np.abs(onset[8:-8, 8:-8].astype(int) - face[8:-8, 8:-8]).mean() < 1
    # The crop is held: what moved in the frame moves in the crop.
    assert np.abs(apex[8:-8, 11:-8].astype(int) - onset[8:-8, 8:-11]).mean() < 1


def test_frames_can_be_whole_and_gray(face):
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[:200]
    frames = record({1: cv2.imencode(".bmp", gray)[1].tobytes(), 10: png(face[:200])})
    onset, apex = one_pair(SAMPLE, frames, size=64, crop="whole", detect=None)
    assert onset.shape == apex.shape == (64, 64, 3)
    assert (onset[..., 0] == onset[..., 2]).all()
    assert abs(int(onset.mean()) - int(apex.mean())) < 15


def test_the_nearest_frame_replaces_a_missing_one(face):
    dark = np.zeros_like(face)
    frames = record({1: png(dark), 8: png(dark), 11: png(face), 20: png(dark)})
    _, apex = one_pair(SAMPLE, frames, size=32, crop="whole", detect=None)
    assert apex.mean() > 50


def test_pairs_are_registered_on_demand(face):
    large = cv2.GaussianBlur(face, (0, 0), 1.5)
    frames = record({1: png(large), 10: png(np.roll(large, 2, axis=0))})
    opened = Opened([SAMPLE], [([frames], 0)], {}, {})
    differences = []
    for registered in (False, True):
        onset, apex = read_pairs(opened, [0], size=160, crop="whole", registered=registered)
        differences.append(np.abs(onset.astype(int) - apex)[:, 20:-20, 20:-20].mean())
    assert differences[1] < differences[0] / 3


def test_unusable_pairs_are_named(face, monkeypatch):
    small = record({1: png(face), 10: png(face[:100])})
    with pytest.raises(Unreadable, match="onset is"):
        one_pair(SAMPLE, small, size=32, crop="whole", detect=None)
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    nobody = record({1: png(face[:100]), 10: png(face[:100])})
    opened = Opened([SAMPLE], [([nobody], 0)], {}, {})
    with pytest.raises(UserError, match=r"casme2 sub01/EP01: no face found.*crop=whole"):
        read_pairs(opened, [0], size=32, crop="face", registered=True)
