"""The frames of a folder of images: their order, numbers and seconds."""

import os
from pathlib import Path
from typing import NamedTuple

from micron_jax.video.clip_files import ClipFiles, select_images
from micron_jax.video.frame_order import order_frames
from micron_jax.video.image_files import Unreadable


class FolderFrame(NamedTuple):
    """A frame of a folder.

    `seconds` count from the folder's first frame; None: the names are no times.
    """

    index: int  # counts the folder's frames from 0
    number: int  # the one in its name; the index, where names tell none
    seconds: float | None
    name: str  # of the file


def image_names(folder: Path) -> list[str]:
    """Returns the images of a folder by name: photographs need no order."""
    return select_images(os.listdir(folder))


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
    columns = range(count), order.numbers or range(count), order.seconds or [None] * count
    frames = map(FolderFrame, *columns, order.names)
    return [frame for frame in frames if clip.holds(frame.number)]
