"""Film files, by OpenCV: no other module opens one."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# FFmpeg writes about damaged files to the terminal; callers report them in one line instead.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from micron_jax.video.image_files import Unreadable


@dataclass(frozen=True)
class Header:
    """The header of a film file, which may be wrong."""

    fps: float | None  # None: unknown
    count: int  # of frames; 0: unknown
    width: float  # of a frame, in pixels
    height: float


def read_header(path: Path) -> Header:
    """Reads the header of a film; no frame is decoded."""
    film = cv2.VideoCapture(str(path))
    fps, count = film.get(cv2.CAP_PROP_FPS), film.get(cv2.CAP_PROP_FRAME_COUNT)
    width, height = film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FRAME_HEIGHT)
    film.release()
    rate = math.isfinite(fps) and 1 <= fps <= 2000  # a time base such as 90000 is no rate
    return Header(fps if rate else None, int(count) if 0 < count < 1e9 else 0, width, height)


def read_film(
    path: Path, first: int = 0, last: int | None = None
) -> Iterator[tuple[int, float | None, np.ndarray | Unreadable]]:
    """Yields (number, seconds, RGB uint8 [H, W, 3]) of the frames `first` to `last`, in order.

    A rotation that a phone notes is applied. The last frame is `Unreadable` where the film breaks
    off long before its end.
    """
    film = cv2.VideoCapture(str(path))
    film.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    number = decoded = 0
    try:
        # Frame by frame: where a seek ends depends on how the film was encoded.
        while (last is None or number <= last) and film.grab():
            if number >= first:
                frame = film.retrieve()[1]
                if frame is None:
                    break
                seconds = film.get(cv2.CAP_PROP_POS_MSEC) / 1000  # a phone's frames come unevenly
                yield number, seconds, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                decoded += 1
            number += 1
    finally:
        film.release()
    promised = (read_header(path).count if last is None else last + 1) - first
    if number == 0:
        yield 0, None, Unreadable("no frame can be decoded")
    elif decoded < 0.9 * promised:  # the promised count is itself an estimate
        yield number, None, Unreadable(f"breaks off after {decoded} of {promised} frames")
