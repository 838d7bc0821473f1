"""Headers of image files: sizes, and how many pictures a file holds."""

import io
import struct
import warnings
import zlib
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from micron_jax.video.tiff_files import tiff_pages

TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # the first bytes
HEAD = 64 << 10  # bytes, in which a PNG tells that it is animated
warnings.filterwarnings("ignore", module=r"PIL\.")  # of sizes and damage: callers tell both

NOT_AN_IMAGE = (  # what Pillow raises of damaged bytes
    *(ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError),
    *(TypeError, UnidentifiedImageError, ValueError, struct.error, zlib.error),
)


def pixels_of(data: bytes) -> int:
    """Returns how many pixels an encoded image has by its header; 0: the header is damaged."""
    try:
        if data[:2] == b"\xff\xd8" and (pixels := _jpeg_pixels(data)):
            return pixels
        if data[:4] == b"\x89PNG":
            width, height = struct.unpack_from(">II", data, 16)
            return width * height
        if data[:4] in TIFF:  # Pillow does not know all kinds
            return max((page.pixels for page in tiff_pages(io.BytesIO(data))[0]), default=0)
        with Image.open(io.BytesIO(data)) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return 1 << 32
    except NOT_AN_IMAGE:
        return 0


def has_whole_chunks(png: bytes) -> bool:
    """Tells whether the parts of a PNG end within it; OpenCV makes room for what they claim."""
    place = 8
    while place + 12 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, place)
        place += 12 + size
        if kind == b"IEND":
            break
    return place <= len(png)


def count_pictures(file: BinaryIO) -> int:
    """Counts the pictures of an animation (GIF, WebP, PNG, AVIF) or the pages of a TIFF.

    Returns:
      1 for other images, and for what is none.
    """
    head = file.read(32).ljust(32, b"\0")
    file.seek(0)
    try:
        if head[:4] == b"\x89PNG":
            return _png_frames(file)
        if head[:4] in TIFF:
            return max(1, len(tiff_pages(file)[0]))
        animated_webp = head[8:16] == b"WEBPVP8X" and head[20] & 2
        if head[:4] == b"GIF8" or animated_webp or head[4:12] == b"ftypavis":
            with Image.open(file) as image:
                return image.n_frames
    except (*NOT_AN_IMAGE, Image.DecompressionBombError):
        pass
    return 1


def _png_frames(file: BinaryIO) -> int:
    """Counts the frames that a PNG's animation control tells, which comes before any pixel."""
    head = file.read(1024)
    if b"IDAT" not in head:
        head += file.read(HEAD)
    before = head.partition(b"IDAT")[0]
    place = before.find(b"acTL")
    return max(1, struct.unpack_from(">I", before, place + 4)[0]) if place > 0 else 1


def _jpeg_pixels(data: bytes) -> int:
    place = 2
    while data[place : place + 1] == b"\xff" and place + 9 <= len(data):
        marker = data[place + 1]
        if marker == 0xFF:  # a byte that fills
            place += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width * height
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return 0
