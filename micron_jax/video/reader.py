"""Frames of clips, one at a time: (number, seconds, frame); their rates and numbers."""

from collections.abc import Iterator

import numpy as np

from micron_jax.video import animation
from micron_jax.video.clip_files import ClipFiles
from micron_jax.video.film import read_film, read_header
from micron_jax.video.image_files import Unreadable
from micron_jax.video.image_folder import list_frames, read_folder

Frames = Iterator[tuple[int, float | None, np.ndarray | Unreadable]]


def read_frames(clip: ClipFiles) -> Frames:
    """Yields the frames of a clip in order; numbers count its files, or a film's frames, from 0.

    Yields:
      (number, seconds, RGB uint8 [H, W, 3]). Seconds are a film's own, from its beginning; those
      of images are unknown, None, unless their names are times. In place of a frame stands
      `Unreadable` where it cannot be decoded, where its size differs from the first one's, or,
      last, where a film breaks off.
    """
    number = None
    if clip.path.is_dir():
        frames = read_folder(clip)
    else:
        read = animation.read_animation if _is_animation(clip) else read_film
        frames = read(clip.path, clip.first or 0, clip.last, clip.fps)
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
        whole = clip.first is clip.last is None
        return clip.fps, clip.files if whole else len(list_frames(clip))
    if _is_animation(clip):
        fps, count = animation.rate_and_count(clip.path)
    else:
        header = read_header(clip.path)
        fps, count = header.fps, header.count
    end = count if clip.last is None else min(count, clip.last + 1)
    return clip.fps or fps, max(0, end - (clip.first or 0))


def _is_animation(clip: ClipFiles) -> bool:
    return clip.path.suffix.lower() in animation.SUFFIXES
