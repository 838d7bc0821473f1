"""Whatever a user points at: images, folders, videos, clips of a built set, one way to read them.

An input is a clip: a video, a folder of images, an image of its own, or an example of a set.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from micron_jax.errors import UserError
from micron_jax.faces import crop_clips
from micron_jax.faces import landmarks as faces
from micron_jax.video import images
from micron_jax.video.images import ClipFiles, Unreadable

CROPS = ("face", "whole")
NO_FACE = "no face"  # why a clip cannot be used; `whole` needs none
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

    def readable(self) -> Iterator[np.ndarray]:
        """The frames that can be decoded, uint8 [H, W, 3]."""
        return (frame for _, _, frame in self.read() if not isinstance(frame, Unreadable))


@dataclasses.dataclass(frozen=True)
class Cut:
    """One square crop of all frames of a clip.

    Attributes:
      kind: `face`, aligned as the corpus is (see `faces`); `whole`, the whole frame resized to a
        square as the release reads it.
      size: side in pixels.
      transform: [2, 3], from pixels of a frame to those of the crop.
      aspect: width over height of what the square shows.
    """

    kind: str
    size: int
    transform: np.ndarray
    aspect: float

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] -> uint8 [size, size, 3]."""
        kind = {"face": "ours", "whole": "release"}[self.kind]
        return crop_clips.crop(frame, self.transform, self.size, kind)


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


def find_in_set(data_dir: str | Path, name: str, clip: str | None = None) -> list[InputClip]:
    """The clips of a built benchmark, or one of them.

    Raises:
      UserError: no such set is built there, or it has no such clip.
    """
    from micron_jax.datasets.clips import built_keep, open_clips

    source, samples = open_clips(data_dir, name)
    pairs = built_keep(data_dir, name) == "pair"

    def read(number: int) -> Frames:
        sample, frames = samples[number], source[number]["frames"]
        for frame, data in zip(frames["number"], frames["image"], strict=True):
            try:
                image = images.decode_jpeg(data)
            except Unreadable as error:
                image = error
            yield int(frame), int(frame) / sample.fps, image

    chosen = [n for n, sample in enumerate(samples) if clip in (None, sample.clip)]
    if not chosen:
        some = ", ".join(sample.clip for sample in samples[:3])
        raise UserError(f"--clip {clip}: no such clip in {name}; it has {some}, ...")
    return [
        InputClip(
            name=f"{name}/{sample.clip}",
            fps=sample.fps,
            count=2 if pairs else sample.offset - sample.onset + 1,
            facts=f"{sample.onset} {sample.apex} {sample.offset}",
            read=functools.partial(read, number),
            stride=max(1, sample.apex - sample.onset) if pairs else 1,
        )
        for number, sample in ((number, samples[number]) for number in chosen)
    ]


def cut_of(clip: InputClip, kind: str, size: int, detect: faces.Detector | None) -> Cut:
    """The crop of a clip, found in its first frames and held for all.

    Args:
      kind: one of `CROPS`.
      size: side of the crop, pixels.
      detect: finds faces; not needed for `whole`.

    Raises:
      Unreadable: not a frame can be read, or none shows a face.
    """
    first = next(clip.readable(), None)
    if first is None:
        raise next((frame for _, _, frame in clip.read()), Unreadable("no frame"))
    height, width, _ = first.shape
    if kind == "whole":
        transform = crop_clips.whole_frame_transform(width, height, size)
        return Cut(kind, size, transform, width / height)
    landmarks = faces.find_landmarks(clip.readable(), detect)
    if landmarks is None:
        raise Unreadable(NO_FACE)
    return Cut(kind, size, faces.canonical_transform(landmarks, size), 1.0)


def _still(path: Path) -> InputClip:
    def read() -> Frames:
        yield 0, None, images.read_image(path)

    return InputClip(str(path), None, 1, str(path.stat().st_size), read)


def _files(files: ClipFiles, name: str, fps: float | None) -> InputClip:
    told, count = images.clip_facts(files)
    facts = f"{files.files} {files.bytes}"
    if not files.path.is_dir():
        return InputClip(name, told, count, facts, lambda: images.read_timed_frames(files))
    numbers = crop_clips.frame_numbers(files) or list(range(files.files))
    stride = min((b - a for a, b in itertools.pairwise(numbers)), default=1)

    def read() -> Frames:
        for index, _, frame in images.read_timed_frames(files):
            number = numbers[index]
            yield number, fps and (number - numbers[0]) / stride / fps, frame

    return InputClip(name, fps, count, facts, read, stride)
