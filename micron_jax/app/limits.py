"""What a page takes: how large files may be, and how long videos; told in one line otherwise."""

import dataclasses
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from micron_jax.errors import UserError
from micron_jax.video.clip_files import VIDEOS
from micron_jax.video.film import read_header
from micron_jax.video.image_files import IMAGES, Unreadable
from micron_jax.video.inputs import InputClip
from micron_jax.video.reader import Frames
from micron_jax.visualization.folder import ASSUMED

MEGAPIXELS = 50  # of a picture, or of a video's frame: a small file can hold a huge one


@dataclasses.dataclass(frozen=True)
class Limits:
    """megabytes (10^6 bytes) of all files of one request; seconds of a video."""

    megabytes: float = 200
    seconds: float = 20


def check_names(names: list[str]) -> None:
    """Two pictures or one video, by their names.

    Raises:
      UserError: they are something else.
    """
    kinds = [Path(name).suffix.lower() for name in names]
    for name, kind in zip(names, kinds, strict=True):
        if kind not in VIDEOS + IMAGES:
            raise UserError(f"{name}: neither a video nor a picture ({' '.join(VIDEOS + IMAGES)})")
    video = len(kinds) == 1 and kinds[0] in VIDEOS
    if not video and not (len(kinds) == 2 and {*kinds} <= {*IMAGES}):
        raise UserError("give one video, or two pictures of one face")


def check_pixels(path: Path) -> None:
    """Looks at the header alone: nothing is decoded.

    Raises:
      UserError: frames are larger than `MEGAPIXELS`, or there is no header of a picture.
    """
    if path.suffix.lower() in VIDEOS:
        header = read_header(path)
        size = header.width, header.height
    else:
        try:
            with Image.open(path) as picture:
                size = picture.size
        except Image.DecompressionBombError:
            size = (1e5, 1e5)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            raise UserError(f"{path.name}: not a picture that can be read") from None
    if size[0] * size[1] > MEGAPIXELS * 1e6:
        raise UserError(f"{path.name}: larger than {MEGAPIXELS} megapixels; make it smaller")


def limited(clip: InputClip, seconds: float) -> InputClip:
    """The clip, whose reading ends with a `UserError` once it lasts longer than it may.

    Raises:
      UserError: its header says so already.
    """
    fps = clip.fps or ASSUMED
    name = Path(clip.name).name
    too_long = f"{name}: longer than {seconds:g} s; cut it, or start the app with --max-seconds"
    if clip.count > seconds * fps + 1:
        raise UserError(too_long)

    def read() -> Frames:  # headers may lie
        for index, (number, second, frame) in enumerate(clip.read()):
            if index > seconds * fps and not isinstance(frame, Unreadable):
                raise UserError(too_long)
            yield number, second, frame

    return dataclasses.replace(clip, read=read)
