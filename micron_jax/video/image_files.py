"""Image files and JPEG bytes, from and to RGB uint8 `[H, W, 3]`."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from micron_jax.errors import printable
from micron_jax.video.image_header import (
    NOT_AN_IMAGE,
    TIFF,
    count_pictures,
    has_whole_chunks,
    pixels_of,
)
from micron_jax.video.tiff_files import decode_page

IMAGES = (
    *(".apng", ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff"),
    ".webp",
)
MEGAPIXELS = 200  # of an image: a small file can hold a huge one
# In this order of colors: with IMREAD_COLOR_RGB, 16-bit TIFFs come out as memory never written.
DEEP = cv2.IMREAD_COLOR_BGR | cv2.IMREAD_ANYDEPTH
BROKEN = "not a whole image"
BITS = (8, 10, 12, 14, 16)  # that cameras store in 16

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Unreadable(Exception):
    """A file, or one frame of a clip, that cannot be decoded; the message is the reason."""

    def __init__(self, reason: object):
        """Takes the reason, and escapes in it what cannot be printed or stored."""
        super().__init__(printable(reason))


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """Encodes RGB uint8 [H, W, 3] as JPEG, with a quality of 1..100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decodes a JPEG, or another kind of image, to RGB uint8 [H, W, 3], without the GIL.

    Gray, CMYK, palette and 16-bit images become 8-bit RGB; an EXIF rotation is applied; alpha and
    color profiles are passed over. `Unreadable` are bytes that are no image, only a part of one, or
    several pictures; images of more than `MEGAPIXELS`; samples of 32 bits; and 16-bit images of
    low values, whose bits only their clip tells.
    """
    image = decode_samples(data)
    if image.dtype == np.uint8:
        return image
    bits = fewest_bits(int(image.max()))
    if bits < 16:
        raise Unreadable(
            f"16-bit values up to {image.max():,} only, perhaps {bits} bits: their scale is not "
            "known; store 8 bits, or all 16"
        )
    return to_8_bits(image, bits)


def decode_samples(data: bytes) -> np.ndarray:
    """Decodes an image to RGB [H, W, 3] of uint8 or, if it has 16 bits, of uint16.

    Raises:
      Unreadable: see `decode_jpeg`.
    """
    jpeg, pixels = data[:2] == b"\xff\xd8", pixels_of(data)
    if pixels > MEGAPIXELS * 1e6:
        raise Unreadable(f"more than {MEGAPIXELS} megapixels: make it smaller")
    # OpenCV might find a header of any size in the bytes that follow.
    if (jpeg and not pixels) or (data[:4] == b"\x89PNG" and not has_whole_chunks(data)):
        raise Unreadable(BROKEN)
    pictures = 1 if jpeg else count_pictures(io.BytesIO(data))
    if pictures > 1:
        raise Unreadable(f"holds {pictures:,} pictures, not one")
    try:
        image = _decode_by_pillow(data)
        if image is None:
            encoded = np.frombuffer(data, np.uint8)
            image = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB if jpeg else DEEP)
            image = image if jpeg or image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    except (cv2.error, *NOT_AN_IMAGE):  # as of no bytes at all
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise Unreadable("samples of other than 8 or 16 bits" if _is_float(data) else BROKEN)
    return image


def _decode_by_pillow(data: bytes) -> np.ndarray | None:
    """Decodes what OpenCV does not, and TIFFs, of whose damage OpenCV says nothing; else None."""
    if data[:4] not in (b"GIF8", *TIFF) and data[4:8] != b"ftyp":
        return None
    try:
        picture = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        return None  # perhaps a TIFF of 16-bit colors
    with picture:
        if data[:2] in (b"II", b"MM"):
            return decode_page(picture)
        return np.asarray(picture.convert("RGB"))


def fewest_bits(most: int) -> int:
    """Returns the bits, some of `BITS`, that values up to `most` have."""
    return next(bits for bits in BITS if most < 1 << bits)


def shared_bits(images: Iterable[np.ndarray | Unreadable]) -> int:
    """Returns the bits that the largest value of a clip's uint16 images has: their one scale."""
    most = 0
    for image in images:
        if not isinstance(image, Unreadable) and image.dtype == np.uint16:
            most = max(most, int(image.max()))
            if fewest_bits(most) == BITS[-1]:
                break
    return fewest_bits(most)


def to_8_bits(image: np.ndarray, bits: int) -> np.ndarray:
    """Scales values of 0 .. 2^bits - 1, uint16 [H, W, 3], to uint8."""
    if image.dtype == np.uint8:
        return image
    return cv2.convertScaleAbs(image, alpha=255 / ((1 << bits) - 1))


def read_image(
    path: Path, decode: Callable[[bytes], np.ndarray] = decode_jpeg
) -> np.ndarray | Unreadable:
    """Returns an image file as RGB uint8 [H, W, 3], or the reason why it cannot be decoded.

    `decode_samples` as `decode` leaves 16 bits as they are.
    """
    try:
        return decode(path.read_bytes())
    except (Unreadable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Unreadable(f"{path.name}: {reason}")


def _is_float(data: bytes) -> bool:
    if data[:2] not in (b"II", b"MM"):
        return False
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return image is not None and image.dtype not in (np.uint8, np.uint16)
