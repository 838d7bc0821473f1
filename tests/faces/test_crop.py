import cv2
import numpy as np
import pytest
from helpers import drawn
from helpers.transforms import apply, transform

from micron_jax.faces import landmarks
from micron_jax.faces.crop import NO_FACE, place_crop, settings, warp
from micron_jax.video.image_files import Unreadable

RNG = np.random.default_rng(0)


def test_a_square_of_the_right_size_is_unchanged():
    frame = drawn.texture(0, (64, 64))
    for kind in ("whole", "release"):
        np.testing.assert_array_equal(place_crop([frame], kind, 64, None)(frame), frame)


@pytest.mark.parametrize(("width", "height"), [(96, 960), (960, 96), (480, 480)])
def test_whole_frames_are_filtered(width, height):
    frame = np.zeros((height, width, 3), np.uint8)
    frame[::2, ::2] = frame[1::2, 1::2] = 255  # finer than the crop can show: must become gray
    crop = place_crop([frame], "whole", 32, None)
    assert np.abs(crop(frame).astype(int) - 127).max() < 16
    assert crop.aspect == width / height


def test_release_is_resized_without_a_filter():
    frame = drawn.texture(5, (90, 160))
    crop = place_crop([frame], "release", 224, None)
    square = crop(frame)
    np.testing.assert_array_equal(square, cv2.resize(frame, (224, 224)))
    inner = cv2.warpAffine(frame, crop.transform, (224, 224))[2:-2, 2:-2]  # it says the same
    assert np.abs(inner.astype(int) - square[2:-2, 2:-2]).max() <= 8


def test_the_first_readable_frames_place_the_crop():
    bad, frame = Unreadable("1.png: not a whole image"), drawn.face(0)
    crop = place_crop(iter([bad, frame, bad, frame]), "face", 32, drawn.all_faces_detector())
    np.testing.assert_allclose(crop.landmarks, landmarks.CANONICAL * drawn.SIDE - 0.5)
    assert (crop.frame_size, crop.aspect) == ((320, 320), 1)
    for frames, reason in (([bad], str(bad)), ([], "no frame"), ([frame[:99]], NO_FACE)):
        with pytest.raises(Unreadable, match=reason):
            place_crop(frames, "face", 32, drawn.all_faces_detector())


def test_settings_differ_for_other_pixels():
    assert settings("face", 32) == {"crop": "face", "size": 32, "layout": landmarks.LAYOUT}
    assert settings("whole", 32)["crop_version"] == 2  # until then, high frames aliased


@pytest.mark.parametrize("scale", [0.08, 0.3, 0.6, 1.0, 2.5])
def test_landmarks_land_on_the_layout(scale):
    """Dots drawn at a face's landmarks lie where the layout says, at every scale."""
    size, target = 96, landmarks.CANONICAL * 96 - 0.5
    points = apply(transform(1 / scale, 0.3, (0, 0)), target)
    points += 20 / scale - points.min(0)
    y, x = np.mgrid[: int(points[:, 1].max() + 20 / scale), : int(points[:, 0].max() * 1.2)]
    radius = 3 / scale
    frame = np.zeros((*x.shape, 3))
    for px, py in points:
        frame += 250 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2))[..., None]
    matrix = landmarks.canonical_transform(points, size)
    crop = warp(frame.clip(0, 255).astype(np.uint8), matrix, size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    y, x = np.mgrid[:size, :size]
    for px, py in target:
        weight = crop[..., 0] * (np.hypot(x - px, y - py) < 8)
        center = [(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()]
        np.testing.assert_allclose(center, (px, py), atol=0.3)


def test_warp_by_the_identity_changes_nothing():
    frame = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warp(frame, np.eye(2, 3), 40), frame)


def test_warps_that_shrink_are_filtered():
    frame = np.zeros((480, 480, 3), np.uint8)
    frame[::2, ::2] = frame[1::2, 1::2] = 255
    crop = warp(frame, transform(0.11, 0.2, (12, 2)), 32)
    assert np.abs(crop[8:24, 8:24].astype(int) - 127).max() < 16


def test_borders_are_replicated():
    crop = warp(np.full((20, 20, 3), 90, np.uint8), transform(1.0, 0.0, (30, 30)), 64)
    assert (crop == 90).all()
