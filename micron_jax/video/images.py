"""Pictures on disk: finding clips below a folder, reading their frames, JPEG in and out.

A clip is a video file, or a folder that directly holds images. Every image here is RGB,
uint8 `[H, W, 3]`.
"""

import dataclasses
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# FFmpeg writes about damaged files to the terminal by itself; we report them in one line instead.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from micron_jax.errors import UserError

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

VIDEOS = (".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

CROPS, SHEET = "crops.json", "contact_sheet.png"  # what `data faces` writes beside its crops


class Unreadable(Exception):
    """A file, or one frame of a clip, that cannot be decoded; the message is the reason."""


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """Where a clip lies: `path` is a video file, or a folder of `files` images.

    `name` is the path below the searched folder, with forward slashes ("." for that folder).
    Where only a part is meant, `first` and `last` bound it, both included: by the numbers in the
    names of a folder's files, and in a video counted from 0. `fps`: told with the clip.
    """

    name: str
    path: Path
    files: int
    bytes: int
    first: int | None = None
    last: int | None = None
    fps: float | None = None

    def holds(self, number: int) -> bool:
        """Whether a frame of this number is meant."""
        return (self.first is None or number >= self.first) and (
            self.last is None or number <= self.last
        )


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """RGB uint8 [H, W, 3] -> JPEG bytes; quality 1..100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Bytes of a JPEG (or of any image OpenCV knows) -> RGB uint8 [H, W, 3].

    Gray, 16-bit and alpha images become 8-bit RGB; an EXIF rotation is applied. Without the GIL.

    Raises:
      Unreadable: the bytes are no image, or only a part of one.
    """
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # no bytes at all
        image = None
    if image is None:
        raise Unreadable("not a whole image")
    return image


def number_in(name: str) -> int:
    """The last integer in a file's name, which counts the frames; -1 if there is none."""
    digits = re.findall(r"\d+", Path(name).stem)
    return int(digits[-1]) if digits else -1


def find_clips(root: Path) -> list[ClipFiles]:
    """All clips below a folder, sorted by name; hidden files and folders are passed over.

    Raises:
      UserError: `root` is missing, is not a folder, or holds no video and no image.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UserError(f"{root} {what}; --source names a folder of videos or of image folders")
    clips = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        clips += _clips_among(names, Path(folder), root)
    if not clips:
        known = " ".join(VIDEOS + IMAGES)
        raise UserError(f"{root} holds no video and no image (looked for {known})")
    return sorted(clips, key=lambda clip: clip.name)


def clip_at(path: Path, name: str) -> ClipFiles | None:
    """The clip that this file or folder is, under another name; None: it is none."""
    names, folder = [path.name], path.parent
    if path.is_dir():
        names, folder = [entry.name for entry in path.iterdir()], path
    found = (clip for clip in _clips_among(names, folder, folder) if clip.path == path)
    return next((dataclasses.replace(clip, name=name) for clip in found), None)


def _clips_among(names: list[str], folder: Path, root: Path) -> list[ClipFiles]:
    """The videos among a folder's entries, and the folder itself if there are images."""
    clips, images, image_bytes = [], 0, 0
    if CROPS in names and SHEET in names:  # of `data faces`: not a frame, whatever it shows
        names = [name for name in names if name != SHEET]
    for name in names:
        suffix = os.path.splitext(name)[1].lower()
        if name.startswith(".") or suffix not in VIDEOS + IMAGES:
            continue
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            continue
        if suffix in VIDEOS:
            path = Path(path)
            clips.append(ClipFiles(_name(path, root), path, 1, path.stat().st_size))
        else:
            images, image_bytes = images + 1, image_bytes + os.path.getsize(path)
    if images:
        clips.append(ClipFiles(_name(folder, root), folder, images, image_bytes))
    return clips


def clip_facts(clip: ClipFiles) -> tuple[float | None, int]:
    """(frames per second, or None where the files do not say; about how many frames)."""
    if clip.path.is_dir():
        whole = clip.first is clip.last is None
        names = () if whole else frame_names(clip.path)
        return clip.fps, clip.files if whole else sum(clip.holds(number_in(n)) for n in names)
    video = cv2.VideoCapture(str(clip.path))
    fps, count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    video.release()
    known = math.isfinite(fps) and 1 <= fps <= 2000  # a time base such as 90000 is no rate
    count = int(count) if 0 < count < 1e9 else 0
    end = count if clip.last is None else min(count, clip.last + 1)
    return clip.fps or (fps if known else None), max(0, end - (clip.first or 0))


def read_frames(clip: ClipFiles) -> Iterator[tuple[int, np.ndarray | Unreadable]]:
    """Yields (number, frame), one at a time and in order; see `read_timed_frames`."""
    for number, _, frame in read_timed_frames(clip):
        yield number, frame


def read_timed_frames(
    clip: ClipFiles,
) -> Iterator[tuple[int, float | None, np.ndarray | Unreadable]]:
    """Yields (number, seconds, frame), one at a time and in order; numbers count files from 0.

    Images of a folder are ordered by the last integer in their names. In place of a frame stands
    `Unreadable` where an image cannot be decoded, where its size differs from the first one's,
    or, last, where a video breaks off long before its end. Seconds are a video's own, from its
    beginning; those of images are unknown: None.
    """
    size = number = None
    for number, seconds, frame in _folder(clip) if clip.path.is_dir() else _video(clip):
        if not isinstance(frame, Unreadable):
            size = size or frame.shape
            if frame.shape != size:
                (h, w, _), (h0, w0, _) = frame.shape, size
                frame = Unreadable(f"frame {number} is {w}x{h}, the first one {w0}x{h0}")
        yield number, seconds, frame
    if number is None:
        yield 0, None, Unreadable("none of its frames is there")


def frame_names(folder: Path) -> list[str]:
    """The images of a folder that is a clip, in order: by the last integer in their names."""
    return picture_names(os.listdir(folder))


def picture_names(names: Iterable[str]) -> list[str]:
    """Those of a folder's names that are images', by the last integer in them."""
    names = [name for name in names if not name.startswith(".")]
    names = [name for name in names if Path(name).suffix.lower() in IMAGES]
    return sorted(names, key=lambda name: (number_in(name), name))


def read_image(path: Path) -> np.ndarray | Unreadable:
    """An image file -> RGB uint8 [H, W, 3], or why it cannot be decoded; see `decode_jpeg`."""
    try:
        return decode_jpeg(path.read_bytes())
    except (Unreadable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Unreadable(f"{path.name}: {reason}")


def _folder(clip: ClipFiles) -> Iterator[tuple[int, None, np.ndarray | Unreadable]]:
    try:
        names = frame_names(clip.path)
    except OSError as error:
        yield 0, None, Unreadable(f"cannot be opened: {error.strerror}")
        return
    for number, name in enumerate(names):
        if clip.holds(number_in(name)):
            yield number, None, read_image(clip.path / name)


def _video(clip: ClipFiles) -> Iterator[tuple[int, float | None, np.ndarray | Unreadable]]:
    video = cv2.VideoCapture(str(clip.path))
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    number = read = 0
    try:
        # Frame by frame: where a seek ends depends on how the video was encoded.
        while (clip.last is None or number <= clip.last) and video.grab():
            if clip.holds(number):
                frame = video.retrieve()[1]
                if frame is None:
                    break
                seconds = video.get(cv2.CAP_PROP_POS_MSEC) / 1000  # a phone's frames come unevenly
                yield number, seconds, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                read += 1
            number += 1
    finally:
        video.release()
    promised = clip_facts(clip)[1]
    if clip.last is not None:
        promised = clip.last - (clip.first or 0) + 1
    if number == 0:
        yield 0, None, Unreadable("no frame can be decoded")
    elif read < 0.9 * promised:  # the promised count is itself an estimate
        yield number, None, Unreadable(f"breaks off after {read} of {promised} frames")


def _name(path: Path, root: Path) -> str:
    # A name that is no UTF-8 (an old archive) must still become text that can be stored.
    name = path.relative_to(root).as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")
