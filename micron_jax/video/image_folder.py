"""The frames of a folder of images: their order, numbers and seconds."""

import functools
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from micron_jax.video.animation import is_animation
from micron_jax.video.clip_files import CROPS_OF_CLIP, ClipFiles, select_images
from micron_jax.video.folder_walk import is_file
from micron_jax.video.frame_order import order_frames
from micron_jax.video.image_files import (
    Unreadable,
    decode_samples,
    read_image,
    shared_bits,
    to_8_bits,
)


class FolderFrame(NamedTuple):
    """A frame of a folder.

    `seconds` count from the folder's first frame; None: the names are no times, and no film's times
    are kept beside them.
    """

    index: int  # counts the folder's frames from 0
    number: int  # the one in its name; the index, where names tell none
    seconds: float | None
    name: str  # of the file


def image_names(folder: Path) -> list[str]:
    """Returns the images of a folder by name, without animations, which are clips of their own."""
    return list(_image_names(folder, os.stat(folder).st_mtime_ns))


@functools.lru_cache(maxsize=4)  # a clip is read more than once
def _image_names(folder: Path, changed: int) -> tuple[str, ...]:
    with os.scandir(folder) as entries:
        names = select_images(entry.name for entry in entries if is_file(entry))
    return tuple(name for name in names if not is_animation(folder / name))


def list_frames(clip: ClipFiles) -> list[FolderFrame]:
    """Lists the frames of a folder, or of the part of it that the clip is, in order.

    Raises:
      Unreadable: the folder cannot be opened, its names do not tell the order, or, of a part, no
        numbers.
    """
    try:
        order = order_frames(image_names(clip.path))
    except OSError as error:
        raise Unreadable(f"cannot be opened: {error.strerror}") from None
    count = len(order.names)
    if order.numbers is None and (clip.first, clip.last) != (None, None):
        raise Unreadable("the names of its files tell no frame numbers, so it has no first or last")
    seconds = order.seconds or _kept_seconds(clip.path, order.numbers) or [None] * count
    columns = range(count), order.numbers or range(count), seconds
    frames = map(FolderFrame, *columns, order.names)
    return [frame for frame in frames if clip.holds(frame.number)]


def _kept_seconds(folder: Path, numbers: list[int] | None) -> list[float] | None:
    """Returns the times that `data faces` keeps beside a film's crops; None: not of all of them."""
    try:
        times = json.loads((folder / CROPS_OF_CLIP).read_bytes())["seconds"]
        seconds = [float(times[str(number)]) for number in numbers or ()]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    rising = all(a < b for a, b in itertools.pairwise(seconds))
    return [second - seconds[0] for second in seconds] if rising else None


def read_folder(clip: ClipFiles) -> Iterator[tuple[int, float | None, np.ndarray | Unreadable]]:
    """Yields (index, seconds, RGB uint8 [H, W, 3]) of a folder's frames, as `read_frames` does.

    Frames of 16 bits are scaled alike, by the bits that the largest value of the folder has.
    """
    try:
        frames = list_frames(clip)
    except Unreadable as error:
        yield 0, None, error
        return
    bits = None
    for frame in frames:
        image = read_image(clip.path / frame.name, decode_samples)
        if not isinstance(image, Unreadable) and image.dtype == np.uint16:
            bits = bits or _bits(clip)
            image = to_8_bits(image, bits)
        yield frame.index, frame.seconds, image


def _bits(clip: ClipFiles) -> int:
    names = image_names(clip.path)
    return shared_bits(read_image(clip.path / name, decode_samples) for name in names)
