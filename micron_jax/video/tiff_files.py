"""TIFF files: their pages, and the pixels of a page by Pillow, which notices damage."""

import struct
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps

SUBFILE_TYPE, WIDTH, HEIGHT, BITS = 254, 256, 257, 258  # tags of a page
REDUCED, SHORT, MOST_TAGS = 1, 3, 4096  # flag of a small copy; type of 16 bits
PLAIN = ("1", "CMYK", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr")
DEEP_GRAY = ("I;16", "I;16B", "I;16L", "I;16N")


class TiffPage(NamedTuple):
    """A page of a TIFF; `directory` counts small copies of pages, too."""

    directory: int
    pixels: int


def tiff_pages(file: BinaryIO) -> tuple[list[TiffPage], bool]:
    """Returns (the pages of a TIFF, whether all were found, or the file breaks off)."""
    head = file.read(16)
    order, big = "<" if head[:2] == b"II" else ">", b"+" in head[2:4]
    count_type, link_type, entry_size, value_at = ("Q", "Q", 20, 12) if big else ("H", "I", 12, 8)
    pages, places = [], {}
    try:
        (place,) = struct.unpack_from(order + link_type, head, 8 if big else 4)
        while place and place not in places:
            file.seek(place)
            (count,) = _unpack(file, order + count_type)
            if count > MOST_TAGS:
                return pages, False
            entries, values = file.read(count * entry_size), {}
            for at in range(0, count * entry_size, entry_size):
                tag, kind = struct.unpack_from(order + "HH", entries, at)
                form = "H" if kind == SHORT else "I"
                (values[tag],) = struct.unpack_from(order + form, entries, at + value_at)
            if not values.get(SUBFILE_TYPE, 0) & REDUCED:
                pages.append(TiffPage(len(places), values.get(WIDTH, 0) * values.get(HEIGHT, 0)))
            places[place] = None
            (place,) = _unpack(file, order + link_type)
    except struct.error:
        return pages, False
    return pages, not place


def _unpack(file: BinaryIO, form: str) -> tuple:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def decode_page(image: Image.Image) -> np.ndarray | None:
    """Decodes an opened page to RGB [H, W, 3], uint8 or, of gray with 16 bits, uint16.

    Returns:
      None: Pillow does not know the kind, as colors of 16 bits.

    Raises:
      OSError, ValueError, ...: the page is damaged.
    """
    if image.mode in PLAIN and max(image.tag_v2.get(BITS, (1,))) <= 8:  # else it cuts 16 to 8
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    if image.mode in DEEP_GRAY:
        gray = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
        return np.dstack([gray] * 3)
    return None
