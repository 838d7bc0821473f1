"""Clips in one image file: animations (GIF, WebP, PNG, AVIF) and the pages of a TIFF."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from micron_jax.video.image_files import (
    DEEP,
    MEGAPIXELS,
    Unreadable,
    shared_bits,
    to_8_bits,
)
from micron_jax.video.image_header import NOT_AN_IMAGE, count_pictures
from micron_jax.video.tiff_files import TiffPage, decode_page, tiff_pages

SUFFIXES = (".apng", ".avif", ".gif", ".png", ".tif", ".tiff", ".webp")
TIFF = (".tif", ".tiff")
UNTIMED = 100  # milliseconds that browsers show a picture of a GIF that tells no time
DAMAGE = (cv2.error, *NOT_AN_IMAGE, Image.DecompressionBombError)

Pictures = Iterator[tuple[int, float | None, np.ndarray | Unreadable]]


def is_animation(path: str | Path) -> bool:
    """Returns whether a file of one of `SUFFIXES` holds several pictures; reads its header."""
    if not str(path).lower().endswith(SUFFIXES):
        return False
    try:
        with open(path, "rb") as file:
            return count_pictures(file) > 1
    except OSError:
        return False  # reading it tells the reason


def rate_and_count(path: Path) -> tuple[float | None, int]:
    """Returns (frames per second, None of a TIFF; number of pictures before any damage)."""
    seconds, count = 0.0, 0
    try:
        if path.suffix.lower() in TIFF:
            with open(path, "rb") as file:
                return None, len(tiff_pages(file)[0])
        for number, begin, _ in _seconds(path):
            count, seconds = number + 1, begin
    except DAMAGE:
        pass
    return (count - 1) / seconds if seconds else None, count


def read_animation(
    path: Path, first: int = 0, last: int | None = None, fps: float | None = None
) -> Pictures:
    """Yields (number, seconds, RGB uint8 [H, W, 3]) of pictures `first` to `last`, both included.

    Seconds are those that an animation tells, from its first picture, unless `fps` does; pages
    tell none: None. Pages of 16 bits are scaled alike, by the bits that the largest value of all
    pages has.
    """
    read = _read_pages if path.suffix.lower() in TIFF else _read_frames
    number = -1
    try:
        for number, seconds, picture in read(path):
            if last is not None and number > last:
                return
            if number >= first:
                yield number, number / fps if fps else seconds, picture
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or f"breaks off after {number + 1} pictures"
        yield number + 1, None, Unreadable(reason)


def _read_frames(path: Path) -> Pictures:
    for number, seconds, image in _seconds(path):
        if image.width * image.height > MEGAPIXELS * 1e6:
            raise ValueError
        yield number, seconds, np.asarray(image.convert("RGB"))


def _seconds(path: Path) -> Iterator[tuple[int, float, Image.Image]]:
    """Yields (number, seconds, image, not decoded yet) of an animation."""
    milliseconds = 0
    with Image.open(path) as image:
        first = 1 if getattr(image, "default_image", False) else 0  # shown where nothing moves
        for number in range(first, image.n_frames):
            image.seek(number)
            image.load()
            yield number - first, milliseconds / 1000, image
            milliseconds += image.info.get("duration", 0) or UNTIMED


def _read_pages(path: Path) -> Pictures:
    bits = None
    for number, page in _pages(path):
        if not isinstance(page, Unreadable) and page.dtype == np.uint16:
            bits = bits or shared_bits(page for _, page in _pages(path))
            page = to_8_bits(page, bits)
        yield number, None, page


def _pages(path: Path) -> Iterator[tuple[int, np.ndarray | Unreadable]]:
    with open(path, "rb") as file:
        pages, whole = tiff_pages(file)
    data = np.memmap(path, np.uint8, "r")  # a stack may be larger than memory
    try:
        image = Image.open(path)
    except UnidentifiedImageError:
        image = None
    with image or contextlib.nullcontext():
        for number, page in enumerate(pages):
            yield number, _decode(image, data, page)
    if not whole:
        yield len(pages), Unreadable(f"breaks off after {len(pages)} pages")


def _decode(image: Image.Image | None, data: np.ndarray, page: TiffPage) -> np.ndarray | Unreadable:
    """Returns RGB [H, W, 3] of uint8 or uint16; Pillow's `image` is None where it knows none."""
    if page.pixels > MEGAPIXELS * 1e6:
        return Unreadable(f"page of more than {MEGAPIXELS} megapixels: make it smaller")
    pixels, place = None, page.directory
    try:
        if image is not None:
            image.seek(place)
            pixels = decode_page(image)
        if pixels is None:
            _, pages = cv2.imdecodemulti(data, DEEP, range=(place, place + 1))
            pixels = cv2.cvtColor(pages[0], cv2.COLOR_BGR2RGB)
    except DAMAGE:
        pixels = None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        return Unreadable("page that is damaged, or has samples of other than 8 or 16 bits")
    return pixels
