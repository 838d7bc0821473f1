"""Rates, lengths and frame numbers of clips."""

from micron_jax.video.clip_files import ClipFiles, image_names, number_in
from micron_jax.video.film import read_header


def rate_and_length(clip: ClipFiles) -> tuple[float | None, int]:
    """Returns (frames per second, None where the files do not say; about how many frames)."""
    if clip.path.is_dir():
        if clip.first is clip.last is None:
            return clip.fps, clip.files
        return clip.fps, sum(clip.holds(number_in(name)) for name in image_names(clip.path))
    header = read_header(clip.path)
    end = header.count if clip.last is None else min(header.count, clip.last + 1)
    return clip.fps or header.fps, max(0, end - (clip.first or 0))


def frame_numbers(clip: ClipFiles) -> list[int] | None:
    """Returns the numbers in the names of an image folder's files; None: count frames from 0.

    Frames are counted in films too, and where two files have one number, or a file has none.
    """
    if not clip.path.is_dir():
        return None
    numbers = [number_in(name) for name in image_names(clip.path)]
    return numbers if len(set(numbers)) == len(numbers) and min(numbers) >= 0 else None
