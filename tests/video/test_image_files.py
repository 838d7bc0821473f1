import cv2
import numpy as np
import pytest
from helpers.films import gradient

from micron_jax.video.image_files import Unreadable, decode_jpeg, encode_jpeg


def test_jpeg_keeps_colors_and_their_order():
    image = gradient()
    back = decode_jpeg(encode_jpeg(image))
    assert back.dtype == np.uint8
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 2
    assert len(encode_jpeg(image, 30)) < len(encode_jpeg(image, 95))


@pytest.mark.parametrize("kind", ["gray", "16-bit", "alpha"])
def test_every_kind_of_image_becomes_rgb(kind):
    gray = gradient()[..., 0]
    stored = {
        "gray": gray,
        "16-bit": gray.astype(np.uint16) * 256,
        "alpha": np.dstack([gray, gray, gray, np.full_like(gray, 100)]),
    }[kind]
    image = decode_jpeg(cv2.imencode(".png", stored)[1].tobytes())
    np.testing.assert_array_equal(image, np.dstack([gray] * 3))


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: b"text", lambda d: d[: len(d) // 2]])
def test_damaged_images_are_refused(damage):
    with pytest.raises(Unreadable, match="not a whole image"):
        decode_jpeg(damage(encode_jpeg(gradient())))
