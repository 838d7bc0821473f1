"""Headers of image files: sizes, and how many pictures a file holds."""

import io
import struct
import warnings
import zlib
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from micron_jax.video.tiff_files import tiff_pages

HEAD = 64 << 10  # bytes, in which a PNG tells that it is animated
warnings.filterwarnings("ignore", module=r"PIL\.")  # of sizes and damage: callers tell both

NOT_AN_IMAGE = (  # what Pillow raises of damaged bytes
    *(ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError),
    *(TypeError, UnidentifiedImageError, ValueError, struct.error, zlib.error),
)


def size_of(data: bytes) -> tuple[int, int]:
    """Returns (width, height) of an encoded image in pixels, or (0, 0): its header is damaged."""
    if data[:2] == b"\xff\xd8":
        return _jpeg_size(data)
    if data[:4] == b"\x89PNG":
        return struct.unpack(">II", data[16:24]) if len(data) >= 24 else (0, 0)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except Image.DecompressionBombError:
        return 2**16, 2**16
    except NOT_AN_IMAGE:
        return 0, 0


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
        if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
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


def _jpeg_size(data: bytes) -> tuple[int, int]:
    place = 2
    while data[place : place + 1] == b"\xff" and place + 9 <= len(data):
        marker = data[place + 1]
        if marker == 0xFF:  # a byte that fills
            place += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return 0, 0
