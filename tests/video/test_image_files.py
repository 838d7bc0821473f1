import io
import resource
import struct

import cv2
import numpy as np
import pytest
from helpers.films import gradient
from PIL import Image, ImageOps

from micron_jax.video.image_files import Unreadable, decode_jpeg, encode_jpeg, read_image


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
        "16-bit": gray.astype(np.uint16) * 257,
        "alpha": np.dstack([gray, gray, gray, np.full_like(gray, 100)]),
    }[kind]
    image = decode_jpeg(cv2.imencode(".png", stored)[1].tobytes())
    np.testing.assert_array_equal(image, np.dstack([gray] * 3))


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: b"text", lambda d: d[: len(d) // 2]])
def test_damaged_images_are_refused(damage):
    with pytest.raises(Unreadable, match="not a whole image"):
        decode_jpeg(damage(encode_jpeg(gradient())))


def encoded(image, **settings):
    data = io.BytesIO()
    image.save(data, **settings)
    return data.getvalue()


PLAIN = Image.fromarray(gradient())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    data = encoded(PLAIN, format=kind, exif=exif, quality=95, lossless=True)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    np.testing.assert_array_equal(decode_jpeg(data), upright)


@pytest.mark.parametrize(
    ("image", "settings", "most"),
    [
        (PLAIN.convert("CMYK"), dict(format="JPEG", quality=100), 1.5),
        (PLAIN.convert("CMYK"), dict(format="TIFF"), 0.1),
        (PLAIN.convert("LA"), dict(format="PNG"), 0),
        (PLAIN.convert("P"), dict(format="PNG"), 0),
        (PLAIN.convert("1"), dict(format="PNG"), 0),
        (PLAIN.convert("1"), dict(format="TIFF", compression="group4"), 0),
        (PLAIN, dict(format="GIF"), 0),
        (PLAIN, dict(format="AVIF", quality=100), 1.5),
        (PLAIN, dict(format="JPEG", quality=95, icc_profile=b"unknown"), 0),
    ],
)
def test_other_kinds_become_rgb(image, settings, most):
    data = encoded(image, **settings)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert np.abs(decode_jpeg(data) - expected).mean() <= most


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_part_of_an_image_is_refused(kind, share, capfd):
    data = encoded(PLAIN, format=kind)
    with pytest.raises(Unreadable, match="not a whole image"):
        decode_jpeg(data[: int(share * len(data))])


def test_16_bits_are_scaled_to_the_nearest_level():
    samples = np.array([[0, 100, 257 * 77, 65535 - 100, 65535]], np.uint16)
    image = decode_jpeg(cv2.imencode(".tiff", samples)[1].tobytes())
    assert image[0, :, 0].tolist() == [0, 0, 77, 255, 255]


@pytest.mark.parametrize(("most", "bits"), [(255, 8), (1023, 10), (4095, 12), (16383, 14)])
def test_one_image_does_not_tell_how_few_bits_it_has(most, bits):
    data = cv2.imencode(".png", np.array([[0, most]], np.uint16))[1].tobytes()
    with pytest.raises(Unreadable, match=f"16-bit values up to {most:,} only, perhaps {bits} bits"):
        decode_jpeg(data)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_is_refused(kind):
    data = cv2.imencode(".tiff", gradient()[..., 0].astype(kind) / 255)[1].tobytes()
    with pytest.raises(Unreadable, match="samples of other than 8 or 16 bits"):
        decode_jpeg(data)


def test_16_bit_colors_keep_their_order():
    samples = np.full((8, 8, 3), (10, 120, 250), np.uint16) * 257
    for suffix in (".png", ".tiff"):
        image = decode_jpeg(cv2.imencode(suffix, samples)[1].tobytes())
        assert image[4, 4].tolist() == [250, 120, 10]


def test_an_image_of_another_kind_than_its_name(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(PLAIN, format="PNG"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), gradient())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF"])
def test_a_huge_image_is_refused_by_its_header(kind):
    data = bytearray(encoded(PLAIN, format=kind))
    width, height = {
        "JPEG": (struct.pack(">H", 64), struct.pack(">H", 48)),
        "PNG": (struct.pack(">I", 64), struct.pack(">I", 48)),
        "BMP": (struct.pack("<I", 64), struct.pack("<I", 48)),
        "TIFF": (struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 257, 4, 1, 48)),
    }[kind]
    huge = struct.pack((">" if kind in ("JPEG", "PNG") else "<") + "I", 30_000)
    huge = huge[-2:] if kind == "JPEG" else huge
    start = data.index(b"\xff\xc0") if kind == "JPEG" else 0
    for side in (width, height):
        place = data.index(side, start) + len(side) - len(huge)
        data[place : place + len(huge)] = huge
    with pytest.raises(Unreadable, match="more than 200 megapixels: make it smaller"):
        decode_jpeg(bytes(data))


def test_a_png_whose_part_claims_gigabytes_is_refused():
    data = bytearray(cv2.imencode(".png", np.full((8, 8, 3), 90, np.uint8))[1].tobytes())
    data[33:37] = b"\xff\xff\xff\xf0"  # the size of the pixels' part
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unreadable, match="not a whole image"):
        decode_jpeg(bytes(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 100 << 10


def test_a_damaged_tiff_is_not_black():
    data = bytearray(encoded(PLAIN, format="TIFF", compression="tiff_adobe_deflate"))
    with Image.open(io.BytesIO(data)) as image:
        strip = image.tag_v2[273][0]  # where its pixels begin
    data[strip : strip + 100] = bytes(100)
    with pytest.raises(Unreadable, match="not a whole image"):
        decode_jpeg(bytes(data))


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_16_bit_gray_tiffs(mode):
    gray = gradient()[..., 0].astype(np.uint16) * 257
    image = Image.frombytes(
        mode, gray.shape[::-1], gray.astype(">u2" if "B" in mode else "<u2").tobytes()
    )
    np.testing.assert_array_equal(
        decode_jpeg(encoded(image, format="TIFF")), np.dstack([gray // 257] * 3)
    )
