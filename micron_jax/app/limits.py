"""Limits of the page: sizes of files, pixels of pictures, seconds of videos."""

import dataclasses
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from micron_jax.errors import UserError
from micron_jax.video.file_kinds import VIDEOS
from micron_jax.video.film import read_header
from micron_jax.video.image_files import IMAGES
from micron_jax.video.inputs import InputClip
from micron_jax.video.reader import Frames
from micron_jax.video.timing import ASSUMED_FPS

MEGAPIXELS = 50  # of a picture, or of a video's frame: a small file can hold a huge one
ASK = 20.0  # seconds: of a longer video the page asks how much of it one wants


@dataclasses.dataclass(frozen=True)
class Limits:
    """megabytes (10^6 bytes) of all files of one request; seconds of a video that are looked at."""

    megabytes: float = 500
    seconds: float = 600

    @property
    def first(self) -> float:
        """Seconds of a video that are looked at unless one asks for more."""
        return min(ASK, self.seconds)


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


def length_of(clip: InputClip) -> float:
    """The seconds that a clip lasts, as its header tells."""
    return clip.count / (clip.fps or ASSUMED_FPS)


@dataclasses.dataclass
class Beginning:
    """The first seconds of a clip.

    Attributes:
      clip: which ends there; headers may lie, and are not asked.
      cut: there is more of it; known when it is read.
    """

    clip: InputClip
    cut: bool = False

    @staticmethod
    def of(clip: InputClip, seconds: float) -> "Beginning":
        """The beginning of a clip, that long."""
        most = seconds * (clip.fps or ASSUMED_FPS)
        count = min(clip.count, max(1, round(most)))
        beginning = Beginning(clip)

        def read() -> Frames:
            for index, (number, second, frame) in enumerate(clip.read()):
                if index >= most + 1 if second is None else second > seconds:
                    beginning.cut = True
                    return
                yield number, second, frame

        beginning.clip = dataclasses.replace(clip, count=count, read=read)
        return beginning
