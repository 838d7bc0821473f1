"""Whatever a user points at: images, folders, videos, clips of a built set, one way to read them.

An input is a clip: a video, a folder of images, an image of its own, or an example of a set.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from micron_jax.errors import UserError
from micron_jax.video import images
from micron_jax.video.images import ClipFiles, Unreadable

Frames = Iterator[tuple[int, float | None, np.ndarray | Unreadable]]


@dataclasses.dataclass(frozen=True)
class InputClip:
    """A clip that can be read, as often as one likes.

    Attributes:
      name: unique among the inputs: the path, or the set and the clip's name in it.
      fps: frames per second; None: unknown, as of images.
      count: about how many frames.
      facts: what tells this clip from another of the same name.
      read: () -> (number, seconds, frame RGB uint8 [H, W, 3]) of each frame, in order; the seconds
        are None where unknown, and the frame is `Unreadable` where it cannot be decoded. Numbers
        are those in the names of a folder's files, or count from 0.
      stride: between the numbers of two frames that follow each other.
    """

    name: str
    fps: float | None
    count: int
    facts: str
    read: Callable[[], Frames]
    stride: int = 1

    def frames(self) -> Iterator[np.ndarray | Unreadable]:
        """The frames alone."""
        return (frame for _, _, frame in self.read())

    def readable(self) -> Iterator[np.ndarray]:
        """The frames that can be decoded, uint8 [H, W, 3]."""
        return (frame for frame in self.frames() if not isinstance(frame, Unreadable))


def find_inputs(
    paths: Iterable[str | Path], *, stills: bool = False, fps: float | None = None
) -> list[InputClip]:
    """The clips that paths name, sorted within each folder.

    Args:
      paths: images, videos, and folders, which are searched with all below them.
      stills: an image in a folder is a clip of its own, not a frame of one.
      fps: rate of image folders, frames per second.

    Raises:
      UserError: a path is missing or of no kind we know, a folder holds none, one is given twice.
    """
    clips = []
    for path in map(Path, paths):
        suffix = path.suffix.lower()
        if path.is_dir():
            for files in images.find_clips(path):
                if stills and files.path.is_dir():
                    names = images.frame_names(files.path)
                    clips += [_still(files.path / name) for name in names]
                else:
                    name = path if files.name == "." else path / files.name
                    clips.append(_files(files, str(name), fps))
        elif not path.exists():
            raise UserError(f"{path}: no such file or folder")
        elif suffix in images.IMAGES:
            clips.append(_still(path))
        elif suffix in images.VIDEOS:
            files = ClipFiles(path.name, path, 1, path.stat().st_size)
            clips.append(_files(files, str(path), fps))
        else:
            known = " ".join(images.VIDEOS + images.IMAGES)
            raise UserError(f"{path}: neither a video nor an image ({known})")
    seen = set()
    for clip in clips:
        if clip.name in seen:
            raise UserError(f"{clip.name}: given twice")
        seen.add(clip.name)
    return clips


def frame_numbers(clip: ClipFiles) -> list[int] | None:
    """The numbers in the names of an image folder's files; None: count the frames from 0.

    They are counted for videos too, and where two files have one number, or a file has none.
    """
    if not clip.path.is_dir():
        return None
    numbers = [images.number_in(name) for name in images.frame_names(clip.path)]
    return numbers if len(set(numbers)) == len(numbers) and min(numbers) >= 0 else None


def _still(path: Path) -> InputClip:
    def read() -> Frames:
        yield 0, None, images.read_image(path)

    return InputClip(str(path), None, 1, str(path.stat().st_size), read)


def _files(files: ClipFiles, name: str, fps: float | None) -> InputClip:
    told, count = images.clip_facts(files)
    facts = f"{files.files} {files.bytes}"
    if not files.path.is_dir():
        return InputClip(name, told, count, facts, lambda: images.read_timed_frames(files))
    numbers = frame_numbers(files) or list(range(files.files))
    stride = min((b - a for a, b in itertools.pairwise(numbers)), default=1)

    def read() -> Frames:
        for index, _, frame in images.read_timed_frames(files):
            number = numbers[index]
            yield number, fps and (number - numbers[0]) / stride / fps, frame

    return InputClip(name, fps, count, facts, read, stride)
