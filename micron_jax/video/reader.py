"""Frames of clips, one at a time: (number, seconds, frame); their rates and numbers."""

from collections.abc import Iterator

import numpy as np

from micron_jax.video.clip_files import ClipFiles, image_names, number_in
from micron_jax.video.film import read_film, read_header
from micron_jax.video.image_files import Unreadable, read_image

Frames = Iterator[tuple[int, float | None, np.ndarray | Unreadable]]


def read_frames(clip: ClipFiles) -> Frames:
    """Yields the frames of a clip in order; numbers count its files, or a film's frames, from 0.

    Yields:
      (number, seconds, RGB uint8 [H, W, 3]). Seconds are a film's own, from its beginning; those
      of images are unknown: None. In place of a frame stands `Unreadable` where it cannot be
      decoded, where its size differs from the first one's, or, last, where a film breaks off.
    """
    number, film = None, not clip.path.is_dir()
    frames = read_film(clip.path, clip.first or 0, clip.last) if film else _read_folder(clip)
    for number, seconds, frame in of_one_size(frames):
        yield number, seconds, frame
    if number is None:
        yield 0, None, Unreadable("none of its frames is there")


def of_one_size(frames: Frames) -> Frames:
    """Yields the same; `Unreadable` in place of frames whose size differs from the first one's."""
    size = None
    for number, seconds, frame in frames:
        if not isinstance(frame, Unreadable):
            size = size or frame.shape
            if frame.shape != size:
                (h, w, _), (h0, w0, _) = frame.shape, size
                frame = Unreadable(f"frame {number} is {w}x{h}, the first one {w0}x{h0}")
        yield number, seconds, frame


def rate_and_length(clip: ClipFiles) -> tuple[float | None, int]:
    """Returns (frames per second, None where the files do not say; about how many frames)."""
    if clip.path.is_dir():
        if clip.first is clip.last is None:
            return clip.fps, clip.files
        return clip.fps, sum(clip.holds(number_in(name)) for name in image_names(clip.path))
    header = read_header(clip.path)
    end = header.count if clip.last is None else min(header.count, clip.last + 1)
    return clip.fps or header.fps, max(0, end - (clip.first or 0))


def frame_numbers(folder: ClipFiles) -> list[int]:
    """Returns the numbers in the names of a folder's images.

    Images are counted from 0 where two of them have one number, or one has none.
    """
    numbers = [number_in(name) for name in image_names(folder.path)]
    distinct = len(set(numbers)) == len(numbers) and min(numbers) >= 0
    return numbers if distinct else list(range(folder.files))


def _read_folder(clip: ClipFiles) -> Frames:
    try:
        names = image_names(clip.path)
    except OSError as error:
        yield 0, None, Unreadable(f"cannot be opened: {error.strerror}")
        return
    for number, name in enumerate(names):
        if clip.holds(number_in(name)):
            yield number, None, read_image(clip.path / name)
