import dataclasses

import cv2
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights
from PIL import Image

from micron_jax.pretrained import MicronBert
from micron_jax.visualization.flicker import write_flicker
from micron_jax.visualization.magnified import STEPS, magnified, magnify
from micron_jax.visualization.pairs import compare_pair

pytestmark = pytest.mark.usefixtures("quickly")


def test_skin_is_moved_as_far_and_that_way():
    face = np.full((64, 64, 3), 90, np.uint8)
    cv2.circle(face, (32, 32), 3, (255, 255, 255), -1)
    right = np.zeros((8, 8, 2), np.float32)
    right[..., 0] = 3  # px of a face of 32, which is 6 of this one
    for picture, far in ((magnify(face, right, 32), 6), (magnify(face, -right, 32), -6)):
        y, x = np.argwhere(picture[..., 0] > 200).mean(axis=0)
        assert (x, y) == pytest.approx((32 + far, 32), abs=0.3)
    pictures = magnified(face, right, 32, factor=2)
    assert len(pictures) == STEPS + 1
    np.testing.assert_array_equal(pictures[0], face)
    np.testing.assert_array_equal(pictures[-1], magnify(face, 2 * right, 32))


@pytest.mark.parametrize("unsure", [False, True])
def test_the_two_frames_come_in_turn(tmp_path, unsure):
    model = MicronBert(draw_weights(tiny.OURS, decoder=False))
    frame = drawn.texture(1, (64, 64))
    view = compare_pair(model, frame, np.roll(frame, 1, axis=0), faces=False)
    scale = np.full_like(view.motion.scale, 9.0 if unsure else 0.01)
    view = dataclasses.replace(view, motion=view.motion._replace(scale=scale))
    assert view.apart == unsure
    write_flicker(tmp_path / "flicker.png", view, model.config.img_size, aspect=2.0)
    with Image.open(tmp_path / "flicker.png") as image:
        assert image.n_frames == 2
        assert image.size == (448 if unsure else 896, 224)
        first = np.asarray(image.convert("RGB"))
        image.seek(1)
        assert (np.asarray(image.convert("RGB")) != first).any()
