import cv2
import numpy as np
import pytest
from helpers import drawn

from micron_jax.faces import crop
from micron_jax.faces.landmarks import CANONICAL
from micron_jax.spotting.pieces import AWAY, LOOK, UNSEEN, Pieces
from micron_jax.video.image_files import Unreadable
from micron_jax.video.inputs import InputClip

FPS, SIDE = 10, 60  # frames a second, and px of a face
SCENES = [drawn.texture(seed, (120, 240), 12.0) // 2 for seed in (0, 1)]


def frame(place, scene=0):
    """A mark where a face is, if one is, on a wall."""
    image = SCENES[scene].copy()
    if place is not None:
        cv2.circle(image, place, 3, (255, 0, 0), -1)
    return image


def detect(image):
    found = np.argwhere((image[..., 0] > 250) & (image[..., 1] < 5))
    if not len(found):
        return np.zeros((0, 5, 2))
    middle = found.mean(axis=0)[::-1]
    return ((CANONICAL - CANONICAL.mean(axis=0)) * SIDE + middle)[None]


def cut_up(places, scenes=None, detector=detect, seconds=True):
    """The pieces of a film: (first number, numbers, seconds, crops) of each; and what is noted."""
    scenes = [0] * len(places) if scenes is None else scenes
    frames = [frame(*each) for each in zip(places, scenes, strict=True)]

    def read():
        for number, image in enumerate(frames):
            yield number, 7 + number / FPS if seconds else None, image

    clip = InputClip("a.mp4", FPS, len(frames), "", read)
    first = crop.place_crop(frames, "face" if detector else "whole", 32, detector)
    pieces = Pieces(clip, first, detector, FPS)
    found = [[*zip(*piece, strict=True)] for piece in pieces]
    return found, pieces, first, frames


def sway(count, reach):
    return [(60 + round(reach * np.sin(n)), 60) for n in range(count)]


@pytest.mark.parametrize("seconds", [True, False])
def test_a_face_that_keeps_its_place_is_one_piece(seconds):
    looks = []

    def counted(image):
        looks.append(1)
        return detect(image)

    (piece,), pieces, first, frames = cut_up(
        sway(100, 0.8 * AWAY * SIDE), detector=counted, seconds=seconds
    )
    numbers, times, crops = piece
    assert numbers == tuple(range(100))
    np.testing.assert_allclose(times, np.arange(100) / FPS)
    np.testing.assert_array_equal(crops, [first(image) for image in frames])
    assert (pieces.moved, pieces.faceless, pieces.notes()) == ([], 0, [])
    assert len(looks) <= 100 / FPS / LOOK + 5


def test_a_face_that_leaves_its_place_is_followed_and_no_frame_is_lost():
    found, pieces, *_ = cut_up([(60, 60)] * 40 + [(160, 70)] * 40)
    before, after = found
    assert before[0] + after[0] == tuple(range(80))
    assert 40 < after[0][0] <= 40 + 2 * LOOK * FPS
    assert pieces.moved == [pytest.approx(after[0][0] / FPS)]
    assert f"at {pieces.moved[0]:.1f} s" in pieces.notes()[0]
    shown = [detect(cv2.resize(image, (120, 120)))[0].mean(axis=0) for image in (
        before[2][0], after[2][-1]
    )]  # fmt: skip
    np.testing.assert_allclose(shown[0], shown[1], atol=2)


def test_a_cut_begins_a_piece_at_once():
    found, *_ = cut_up([(60, 60)] * 60, scenes=[0] * 23 + [1] * 37)
    assert [piece[0][0] for piece in found] == [0, 23]
    assert [len(piece[0]) for piece in found] == [23, 37]


def test_frames_without_a_face_are_left_out_and_told():
    gone = 60
    found, pieces, *_ = cut_up([(60, 60)] * 40 + [None] * gone + [(60, 60)] * 40)
    before, after = found
    assert before[0] == tuple(range(len(before[0])))
    held = len(before[0]) - 40
    assert held == pytest.approx(UNSEEN * FPS, abs=LOOK * FPS)
    assert after[0][-1] == 139
    assert after[0][0] == pytest.approx(40 + gone, abs=10)
    assert pieces.faceless == pytest.approx((gone - held) / FPS, abs=1)
    assert "without a face are not searched" in pieces.notes()[-1]
    # A face that is hidden for a moment stays.
    assert len(cut_up([(60, 60)] * 30 + [None] * 12 + [(60, 60)] * 30)[0]) == 1


def test_a_film_that_ends_without_a_face_tells_it():
    (piece,), pieces, *_ = cut_up([(60, 60)] * 30 + [None] * 55)
    assert pieces.faceless == pytest.approx(8.4 - piece[1][-1])
    assert pieces.notes()[0].startswith(f"{pieces.faceless:.1f} s")


def test_a_whole_frame_is_one_piece_and_frames_that_cannot_be_read_are_passed_over():
    (piece,), *_ = cut_up([None] * 30, scenes=[0] * 15 + [1] * 15, detector=None)
    assert len(piece[0]) == 30

    def read():
        yield from ((0, 1.0, frame(None)), (1, 1.1, Unreadable("torn")), (2, 1.2, frame(None)))

    clip = InputClip("a.mp4", FPS, 3, "", read)
    first = crop.place_crop([frame(None)], "whole", 32, None)
    (piece,) = ([*piece] for piece in Pieces(clip, first, None, FPS))
    assert [(number, seconds) for number, seconds, _ in piece] == [(0, 0), (2, pytest.approx(0.2))]
