"""Inputs that a user names: films, folders of images, and images of their own, as clips."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from micron_jax.errors import UserError
from micron_jax.video.animation import is_animation
from micron_jax.video.clip_files import ClipFiles, find_clips
from micron_jax.video.file_kinds import VIDEOS, reason_against, reason_against_content
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.folder_walk import storable
from micron_jax.video.image_files import IMAGES, Unreadable, read_image
from micron_jax.video.image_folder import image_names, list_frames
from micron_jax.video.reader import Frames, rate_and_length, read_frames
from micron_jax.video.timing import seconds_of, step_of


@dataclasses.dataclass(frozen=True)
class InputClip:
    """A clip that can be read, as often as one likes.

    `read` yields (number, seconds, frame) as `read_frames`; but numbers are those in the names of a
    folder's files, and images have seconds, too, where their rate is known.
    """

    name: str  # unique among the inputs: the path, or the set and the clip's name in it
    fps: float | None  # frames per second; None: unknown, as of images
    count: int  # about how many frames
    facts: str  # tell this clip from another of the same name
    read: Callable[[], Frames]
    stride: int = 1  # between the numbers of two frames that follow each other

    def frames(self) -> Iterator[np.ndarray | Unreadable]:
        """Yields the frames alone."""
        return (frame for _, _, frame in self.read())

    def readable(self) -> Iterator[np.ndarray]:
        """Yields the frames that can be decoded, uint8 [H, W, 3]."""
        return (frame for frame in self.frames() if not isinstance(frame, Unreadable))


def find_inputs(
    paths: Iterable[str | Path],
    *,
    stills: bool = False,
    fps: float | None = None,
    notes: FileNotes | None = None,
) -> list[InputClip]:
    """Finds the clips that paths name, sorted within each folder.

    Args:
      paths: images, films, and folders, which are searched with all below them.
      stills: an image in a folder is a clip of its own, not a frame of one.
      fps: rate of the recording, frames per second, in place of what a film tells.
      notes: gets the files in folders that are not read.

    Raises:
      UserError: a path is missing or of no kind we know, a folder holds none, one is given twice.
    """
    clips, notes = [], FileNotes() if notes is None else notes
    for path in map(Path, paths):
        suffix = path.suffix.lower()
        if path.is_dir():
            notes.folder = storable(path)
            for files in find_clips(path, notes, ordered=not stills):
                if stills and files.path.is_dir():
                    clips += [_still(files.path / name) for name in image_names(files.path)]
                else:
                    name = path if files.name == "." else path / files.name
                    clips.append(open_clip(files, storable(name), fps))
        elif not path.exists():
            raise UserError(f"{path}: no such file or folder")
        elif not path.is_file():
            raise UserError(f"{path}: no file, but a pipe, socket or device")
        elif suffix in IMAGES and not is_animation(path):
            clips.append(_still(path))
        elif suffix in VIDEOS + IMAGES:
            if reason := reason_against_content(str(path)):
                raise UserError(f"{path}: {reason}")
            files = ClipFiles(path.name, path, 1, path.stat().st_size)
            clips.append(open_clip(files, storable(path), fps))
        else:
            suffixes = " ".join(VIDEOS + IMAGES)
            reason = f" ({reason_against(path.name)})"
            raise UserError(f"{path}: neither a video nor an image{reason}; read are {suffixes}")
    for name, times in Counter(clip.name for clip in clips).items():
        if times > 1:
            raise UserError(f"{name}: given twice")
    return clips


def open_clip(files: ClipFiles, name: str, fps: float | None = None) -> InputClip:
    """Returns a clip to read, under a name; `fps` is its rate, if not None."""
    if not files.path.is_dir():
        files = dataclasses.replace(files, fps=fps or files.fps)
    rate, count = rate_and_length(files)
    facts = f"{files.files} {files.bytes}"
    if not files.path.is_dir():
        return InputClip(name, rate, count, facts, lambda: read_frames(files))
    try:
        frames = list_frames(files)
    except Unreadable:  # reading it tells the reason
        frames = []
    numbers = [frame.number for frame in frames]
    times = [frame.seconds for frame in frames]
    if fps:
        times = seconds_of(numbers, fps)
    elif len(frames) > 1 and times[-1]:
        fps = (len(frames) - 1) / times[-1]

    def read() -> Frames:
        for index, seconds, frame in read_frames(files):
            if frames:
                yield numbers[index], times[index], frame
            else:
                yield index, seconds, frame

    return InputClip(name, fps, count, facts, read, step_of(numbers))


def _still(path: Path) -> InputClip:
    size = str(path.stat().st_size)
    return InputClip(storable(path), None, 1, size, lambda: iter([(0, None, read_image(path))]))
