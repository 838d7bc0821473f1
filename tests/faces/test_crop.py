import cv2
import jax
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.benchmarks import sample

from micron_jax.app.limits import Limits
from micron_jax.app.results import visualize_files
from micron_jax.datasets.face_pairs import Opened, read_pairs
from micron_jax.datasets.frames import open_frames
from micron_jax.datasets.frames.builder import build
from micron_jax.extraction.batches import Place, make_batches
from micron_jax.faces import landmarks
from micron_jax.faces.crop import NO_FACE, place_crop, settings, warp
from micron_jax.faces.crop_clips import crop_all
from micron_jax.pretrained import MicronBert, Weights
from micron_jax.training.state import init_params
from micron_jax.video.image_files import Unreadable, encode_jpeg
from micron_jax.video.inputs import find_inputs
from micron_jax.visualization.pairs import view_size

RNG = np.random.default_rng(0)


def transform(scale, angle, shift):
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[a, -b, shift[0]], [b, a, shift[1]]])


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def centered_detector(**_):
    """Stands for the real one: a face in the middle of every frame, its head a bit tilted."""

    def detect(frame):
        height, width, _ = frame.shape
        side = 0.7 * min(height, width)
        turned = apply(transform(side, 0.1, (0, 0)), landmarks.CANONICAL - 0.5)
        return (turned + np.array([width, height]) / 2)[None]

    return detect


@pytest.fixture(scope="module")
def model():
    shapes = jax.eval_shape(lambda: init_params(tiny.PAPER, jax.random.key(0)))
    params = jax.tree.map(lambda leaf: 0.1 * RNG.normal(size=leaf.shape).astype("f4"), shapes)
    return MicronBert(Weights(tiny.PAPER, params, {}, np.zeros((1, 0), np.float32), {}))


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("kind", ["face", "whole"])
@pytest.mark.parametrize(
    ("width", "height"), [(640, 480), (1920, 1080), (200, 200), (333, 517), (97, 1001)]
)
def test_all_callers_cut_the_same_pixels(model, tmp_path, monkeypatch, kind, width, height):
    monkeypatch.setattr(landmarks, "all_faces_detector", centered_detector)
    frame = drawn.texture(width, (height, width), grain=0.7)
    size, paths = view_size(model), [tmp_path / "in" / "clip" / f"{n}.png" for n in (1, 10)]
    paths[0].parent.mkdir(parents=True)
    for path in paths:
        cv2.imwrite(str(path), frame[..., ::-1])

    stored = {"frames": {"number": [1, 10], "image": [path.read_bytes() for path in paths]}}
    opened = Opened([sample("casme2", "sub01/EP01", "01", "happiness")], [([stored], 0)], {}, {})
    ((tuning,), _) = read_pairs(opened, [0], size=size, crop=kind, registered=False)

    settings = dict(crop=kind, size=size, detect=centered_detector(), batch_size=2, delta=1)
    (batch,) = make_batches(find_inputs([paths[0].parent]), **settings, start=Place())
    np.testing.assert_array_equal(batch.images[0], tuning)

    limits = Limits(megabytes=1000)
    settings = dict(limits=limits, report=lambda *_: None, crop=kind)
    visualize_files(model, paths, tmp_path / "app", **settings)
    with np.load(tmp_path / "app" / "pair.npz") as arrays:
        np.testing.assert_array_equal(arrays["frame"], tuning)

    build(tmp_path / "in", tmp_path / "corpus", size=size, crop=kind)
    assert open_frames(tmp_path / "corpus")[0][0]["image"] == encode_jpeg(tuning)
    crop_all(tmp_path / "in", tmp_path / "faces", size=size, kind=kind)
    assert (tmp_path / "faces" / "clip" / "1.jpg").read_bytes() == encode_jpeg(tuning)


def test_a_square_of_the_right_size_stays_as_it_is():
    frame = drawn.texture(0, (64, 64))
    for kind in ("whole", "release"):
        np.testing.assert_array_equal(place_crop([frame], kind, 64, None)(frame), frame)


@pytest.mark.parametrize(("width", "height"), [(96, 960), (960, 96), (480, 480)])
def test_whole_frames_do_not_alias(width, height):
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


def test_a_crop_is_placed_by_the_first_frames_that_can_be_read():
    bad, frame = Unreadable("1.png: not a whole image"), drawn.face(0)
    crop = place_crop(iter([bad, frame, bad, frame]), "face", 32, drawn.all_faces_detector())
    np.testing.assert_allclose(crop.landmarks, landmarks.CANONICAL * drawn.SIDE - 0.5)
    assert (crop.frame_size, crop.aspect) == ((320, 320), 1)
    for frames, reason in (([bad], str(bad)), ([], "no frame"), ([frame[:99]], NO_FACE)):
        with pytest.raises(Unreadable, match=reason):
            place_crop(frames, "face", 32, drawn.all_faces_detector())


def test_settings_tell_crops_of_other_pixels_apart():
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


def test_shrinking_does_not_alias():
    frame = np.zeros((480, 480, 3), np.uint8)
    frame[::2, ::2] = frame[1::2, 1::2] = 255
    crop = warp(frame, transform(0.11, 0.2, (12, 2)), 32)
    assert np.abs(crop[8:24, 8:24].astype(int) - 127).max() < 16


def test_border_goes_on():
    crop = warp(np.full((20, 20, 3), 90, np.uint8), transform(1.0, 0.0, (30, 30)), 64)
    assert (crop == 90).all()
