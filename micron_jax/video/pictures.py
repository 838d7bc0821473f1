"""One picture in any form that people have it in, as RGB uint8 [H, W, 3]."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from micron_jax.errors import UserError
from micron_jax.video.image_files import Unreadable, read_image

Picture = str | Path | Image.Image | np.ndarray | Sequence

# Of Pillow: the modes that have 8 bits. It cuts others off at 255.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "HSV", "LAB")


def as_rgb(picture: Picture, name: str = "picture") -> np.ndarray:
    """Reads a picture.

    Args:
      picture: the path of an image, an image of Pillow, or RGB uint8 [H, W, 3] as an array or as
        lists.
      name: of an array, in messages.

    Returns:
      uint8 [H, W, 3]; an EXIF rotation is applied.

    Raises:
      UserError: a file that is not there or cannot be read.
      ValueError: numbers or axes that are no RGB picture of 8 bits.
    """
    if isinstance(picture, str | Path):
        if not Path(picture).is_file():
            raise UserError(f"{picture}: no such image file")
        image = read_image(Path(picture))
        if isinstance(image, Unreadable):
            raise UserError(image)
        return image
    if isinstance(picture, Image.Image):
        if picture.mode not in _MODES:
            raise ValueError(f"{name} has Pillow's mode {picture.mode}: bring it to RGB of 8 bits")
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    image = np.asarray(picture)
    mend = _mend_of(image)
    if mend is not None:
        raise ValueError(
            f"{name} is {image.dtype} {list(image.shape)}; expected RGB uint8 [H, W, 3]{mend}"
        )
    return image.astype(np.uint8)  # lists hold int64


def _mend_of(image: np.ndarray) -> str | None:
    """What to do with an array that is no RGB picture; None: it is one."""
    shape = image.shape
    if image.ndim == 4:
        return ": give one picture of the batch"
    if image.ndim == 2 or (image.ndim == 3 and shape[-1] == 1):
        return ": repeat the gray level three times, np.repeat(gray.reshape(H, W, 1), 3, axis=2)"
    if image.ndim == 3 and shape[-1] == 4:
        return ": leave the alpha channel out, picture[..., :3]"
    if image.ndim == 3 and shape[0] == 3 and shape[-1] != 3:
        return ": the colors come last, np.moveaxis(picture, 0, -1)"
    if image.ndim != 3 or shape[-1] != 3:
        return ""
    if image.size == 0:
        return ": it is empty"
    if image.dtype == np.uint8:
        return None
    if not np.issubdtype(image.dtype, np.integer) or image.min() < 0 or image.max() > 255:
        return " with levels of 0 to 255"
    return None
