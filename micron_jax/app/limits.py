"""Limits of the page: sizes of files, pixels of pictures, seconds of videos."""

import dataclasses
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from micron_jax.errors import UserError
from micron_jax.video.file_kinds import VIDEOS
from micron_jax.video.film import read_header
from micron_jax.video.image_files import IMAGES, Unreadable
from micron_jax.video.inputs import InputClip
from micron_jax.video.reader import Frames
from micron_jax.video.timing import ASSUMED_FPS

MEGAPIXELS = 50  # of a picture, or of a video's frame: a small file can hold a huge one


@dataclasses.dataclass(frozen=True)
class Limits:
    """megabytes (10^6 bytes) of all files of one request; seconds of a video."""

    megabytes: float = 200
    seconds: float = 20


def check_names(names: list[str]) -> None:
    """Checks by their names that files are two pictures or one video.

    Raises:
      UserError: they are something else.
    """
    kinds = [Path(name).suffix.lower() for name in names]
    for name, kind in zip(names, kinds, strict=True):
        if kind not in VIDEOS + IMAGES:
            raise UserError(f"{name}: neither a video nor a picture ({' '.join(VIDEOS + IMAGES)})")
    pictures = [kind for kind in kinds if kind in IMAGES]
    if (len(kinds), len(pictures)) not in ((1, 0), (2, 2)):
        raise UserError("give one video, or two pictures of one face")


def check_pixels(path: Path) -> None:
    """Checks the size of frames by the header alone: nothing is decoded.

    Raises:
      UserError: frames are larger than `MEGAPIXELS`, or there is no header of a picture.
    """
    if path.suffix.lower() in VIDEOS:
        header = read_header(path)
        width, height = header.width, header.height
    else:
        try:
            with Image.open(path) as picture:
                width, height = picture.size
        except Image.DecompressionBombError:
            width = height = 1e5
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            raise UserError(f"{path.name}: not a picture that can be read") from None
    if width * height > MEGAPIXELS * 1e6:
        raise UserError(f"{path.name}: larger than {MEGAPIXELS} megapixels; make it smaller")


def limit_seconds(clip: InputClip, seconds: float) -> InputClip:
    """Returns the clip, whose reading ends with a `UserError` when it lasts too long.

    Raises:
      UserError: its header tells a longer time.
    """
    most = seconds * (clip.fps or ASSUMED_FPS)
    name = Path(clip.name).name
    too_long = f"{name}: longer than {seconds:g} s, the app's max-seconds; cut it"
    if clip.count > most + 1:
        raise UserError(too_long)

    def read() -> Frames:  # headers may lie
        for index, (number, second, frame) in enumerate(clip.read()):
            after = index > most if second is None else second > seconds
            if after and not isinstance(frame, Unreadable):
                raise UserError(too_long)
            yield number, second, frame

    return dataclasses.replace(clip, read=read)
