import cv2
import numpy as np
import pytest
from helpers import drawn
from PIL import Image

from micron_jax.errors import UserError
from micron_jax.video.pictures import as_rgb

FACE = drawn.face(3)


def test_a_path_an_array_lists_and_an_image_of_pillow_are_the_same_picture(tmp_path):
    drawn.write(tmp_path / "a.png", 3)
    image = Image.fromarray(FACE)
    for picture in (tmp_path / "a.png", str(tmp_path / "a.png"), FACE, FACE.tolist(), image):
        rgb = as_rgb(picture)
        assert rgb.dtype == np.uint8
        np.testing.assert_array_equal(rgb, FACE)
    gray = np.asarray(image.convert("L"))
    np.testing.assert_array_equal(as_rgb(image.convert("L")), np.dstack([gray] * 3))


def test_a_rotation_in_the_file_is_applied():
    wide, exif = Image.fromarray(FACE[:100]), Image.Exif()
    exif[0x0112] = 6  # the picture is to be turned clockwise
    wide.getexif().update(exif)
    np.testing.assert_array_equal(as_rgb(wide), np.rot90(FACE[:100], -1))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (FACE[None], r"picture is uint8 \[1, 320, 320, 3\].*: give one picture of the batch"),
        (FACE[..., 0], r"\[320, 320\].*: repeat the gray level"),
        (FACE[..., :1], "repeat the gray level"),
        (np.dstack([FACE, FACE[..., :1]]), "leave the alpha channel out"),
        (np.moveaxis(FACE, -1, 0), "the colors come last"),
        (FACE[:0], "it is empty"),
        (FACE / 255, "float64.*levels of 0 to 255"),
        (FACE.astype(np.int32) * 2, "int32.*levels of 0 to 255"),
        (np.zeros(3, np.uint8), r"\[3\]; expected RGB uint8"),
        (Image.fromarray(FACE[..., 0].astype(np.int32)), "Pillow's mode I: bring it to RGB"),
    ],
)
def test_what_is_no_picture_is_named_with_the_mend(bad, message):
    with pytest.raises(ValueError, match=message):
        as_rgb(bad)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.png: no such image file"):
        as_rgb(tmp_path / "none.png")
    (tmp_path / "broken.png").write_bytes(cv2.imencode(".png", FACE)[1].tobytes()[:999])
    with pytest.raises(UserError, match=r"broken\.png: not a whole image"):
        as_rgb(tmp_path / "broken.png")
