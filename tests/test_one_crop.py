"""One frame through all callers of the crop: equal pixels."""

import cv2
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.benchmarks import sample
from helpers.drawn_weights import draw_weights
from helpers.transforms import apply, transform

import micron_jax
from micron_jax.app.limits import Limits
from micron_jax.app.results import visualize_files
from micron_jax.datasets.face_pairs import Opened, read_pairs
from micron_jax.datasets.frames import open_frames
from micron_jax.datasets.frames.builder import build
from micron_jax.extraction.batches import Place, make_batches
from micron_jax.extraction.pairing import Pairing
from micron_jax.faces import landmarks
from micron_jax.faces.crop_clips import crop_all
from micron_jax.pretrained import MicronBert
from micron_jax.video.image_files import encode_jpeg
from micron_jax.video.inputs import find_inputs
from micron_jax.visualization.pairs import view_size


def centered_detector(**_):
    """In place of the real one: a face in the middle of every frame, its head a bit tilted."""

    def detect(frame):
        height, width, _ = frame.shape
        side = 0.7 * min(height, width)
        turned = apply(transform(side, 0.1, (0, 0)), landmarks.CANONICAL - 0.5)
        return (turned + np.array([width, height]) / 2)[None]

    return detect


@pytest.fixture(scope="module")
def model():
    return MicronBert(draw_weights(tiny.PAPER))


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("kind", ["face", "whole"])
@pytest.mark.parametrize(
    ("width", "height"), [(640, 480), (1920, 1080), (200, 200), (333, 517), (97, 1001)]
)
def test_all_commands_cut_the_same_pixels(model, tmp_path, monkeypatch, kind, width, height):
    monkeypatch.setattr(landmarks, "all_faces_detector", centered_detector)
    frame = drawn.texture(width, (height, width), grain=0.7)
    size, paths = view_size(model), [tmp_path / "in" / "clip" / f"{n}.png" for n in (1, 10)]
    paths[0].parent.mkdir(parents=True)
    for path in paths:
        cv2.imwrite(str(path), frame[..., ::-1])

    stored = {"frames": {"number": [1, 10], "image": [path.read_bytes() for path in paths]}}
    opened = Opened([sample("casme2", "sub01/EP01", "01", "happiness")], [([stored], 0)], {}, {})
    ((expected,), _) = read_pairs(opened, [0], size=size, crop=kind, registered=False)

    settings = dict(crop=kind, size=size, detect=centered_detector(), batch_size=2)
    settings |= dict(pairing=Pairing(), start=Place())
    batch = next(make_batches(find_inputs([paths[0].parent]), **settings))
    np.testing.assert_array_equal(batch.images[0], expected)

    limits = Limits(megabytes=1000)
    settings = dict(limits=limits, report=lambda *_: None, crop=kind)
    visualize_files(model, paths, tmp_path / "app", **settings)
    with np.load(tmp_path / "app" / "pair.npz") as arrays:
        np.testing.assert_array_equal(arrays["frame"], expected)

    np.testing.assert_array_equal(micron_jax.read_face(frame, size=size, crop=kind), expected)
    build(tmp_path / "in", tmp_path / "corpus", size=size, crop=kind)
    assert open_frames(tmp_path / "corpus")[0][0]["image"] == encode_jpeg(expected)
    crop_all(tmp_path / "in", tmp_path / "faces", size=size, kind=kind)
    assert (tmp_path / "faces" / "clip" / "1.jpg").read_bytes() == encode_jpeg(expected)
