"""Pictures on disk: finding clips below a folder, reading their frames, JPEG in and out.

A clip is a video file, or a folder that directly holds images. Every image here is RGB,
uint8 `[H, W, 3]`.
"""

import math
import os
import re
from collections.abc import Iterator
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


@dataclass(frozen=True)
class ClipFiles:
    """Where a clip lies: `path` is a video file, or a folder of `files` images.

    `name` is the path below the searched folder, with forward slashes ("." for that folder).
    """

    name: str
    path: Path
    files: int
    bytes: int


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """RGB uint8 [H, W, 3] -> JPEG bytes; quality 1..100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Bytes of a JPEG (or of any image OpenCV knows) -> RGB uint8 [H, W, 3].

    Grey, 16-bit and alpha images become 8-bit RGB; an EXIF rotation is applied. Without the GIL.

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
        images = image_bytes = 0
        if CROPS in names and SHEET in names:  # of `data faces`: not a frame, whatever it shows
            names.remove(SHEET)
        for name in names:
            path, suffix = Path(folder, name), Path(name).suffix.lower()
            if name.startswith(".") or suffix not in VIDEOS + IMAGES or not path.is_file():
                continue
            if suffix in VIDEOS:
                clips.append(ClipFiles(_name(path, root), path, 1, path.stat().st_size))
            else:
                images, image_bytes = images + 1, image_bytes + path.stat().st_size
        if images:
            clips.append(ClipFiles(_name(Path(folder), root), Path(folder), images, image_bytes))
    if not clips:
        known = " ".join(VIDEOS + IMAGES)
        raise UserError(f"{root} holds no video and no image (looked for {known})")
    return sorted(clips, key=lambda clip: clip.name)


def clip_facts(clip: ClipFiles) -> tuple[float | None, int]:
    """(frames per second, or None where the files do not say; about how many frames)."""
    if clip.path.is_dir():
        return None, clip.files
    video = cv2.VideoCapture(str(clip.path))
    fps, count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    video.release()
    known = math.isfinite(fps) and 1 <= fps <= 2000  # a time base such as 90000 is no rate
    return (fps if known else None), (int(count) if 0 < count < 1e9 else 0)


def read_frames(clip: ClipFiles) -> Iterator[tuple[int, np.ndarray | Unreadable]]:
    """Yields (number in the clip, frame), one at a time and in order; see `read_timed_frames`."""
    for number, _, frame in read_timed_frames(clip):
        yield number, frame


def read_timed_frames(
    clip: ClipFiles,
) -> Iterator[tuple[int, float | None, np.ndarray | Unreadable]]:
    """Yields (number in the clip, seconds from its beginning, frame), one at a time and in order.

    Images of a folder are ordered by the last integer in their names; their times are unknown:
    None. In place of a frame stands `Unreadable` where an image cannot be decoded, where its size
    differs from the first one's, or, last, where a video breaks off long before its end.
    """
    size = None
    for number, seconds, frame in _folder(clip.path) if clip.path.is_dir() else _video(clip):
        if not isinstance(frame, Unreadable):
            size = size or frame.shape
            if frame.shape != size:
                (h, w, _), (h0, w0, _) = frame.shape, size
                frame = Unreadable(f"frame {number} is {w}x{h}, the first one {w0}x{h0}")
        yield number, seconds, frame


def frame_names(folder: Path) -> list[str]:
    """The images of a folder that is a clip, in order: by the last integer in their names."""
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    names = [name for name in names if Path(name).suffix.lower() in IMAGES]
    return sorted(names, key=lambda name: (number_in(name), name))


def read_image(path: Path) -> np.ndarray | Unreadable:
    """An image file -> RGB uint8 [H, W, 3], or why it cannot be decoded; see `decode_jpeg`."""
    try:
        return decode_jpeg(path.read_bytes())
    except (Unreadable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Unreadable(f"{path.name}: {reason}")


def _folder(folder: Path) -> Iterator[tuple[int, None, np.ndarray | Unreadable]]:
    for number, name in enumerate(frame_names(folder)):
        yield number, None, read_image(folder / name)


def _video(clip: ClipFiles) -> Iterator[tuple[int, float | None, np.ndarray | Unreadable]]:
    video = cv2.VideoCapture(str(clip.path))
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    number = 0
    try:
        while (frame := video.read()[1]) is not None:
            seconds = video.get(cv2.CAP_PROP_POS_MSEC) / 1000  # a phone's frames come unevenly
            yield number, seconds, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            number += 1
    finally:
        video.release()
    promised = clip_facts(clip)[1]
    if number == 0:
        yield 0, None, Unreadable("no frame can be decoded")
    elif number < 0.9 * promised:  # the promised count is itself an estimate
        yield number, None, Unreadable(f"breaks off after {number} of {promised} frames")


def _name(path: Path, root: Path) -> str:
    # A name that is no UTF-8 (an old archive) must still become text that can be stored.
    name = path.relative_to(root).as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")
