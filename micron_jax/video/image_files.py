"""Image files and JPEG bytes, from and to RGB uint8 `[H, W, 3]`."""

from pathlib import Path

import cv2
import numpy as np

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Unreadable(Exception):
    """A file, or one frame of a clip, that cannot be decoded; the message is the reason."""


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """Encodes RGB uint8 [H, W, 3] as JPEG, with a quality of 1..100."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decodes a JPEG, or any image that OpenCV can read, to RGB uint8 [H, W, 3], without the GIL.

    Gray, 16-bit and alpha images become 8-bit RGB; an EXIF rotation is applied. Bytes that are no
    image, or only a part of one, are `Unreadable`.
    """
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # no bytes at all
        image = None
    if image is None:
        raise Unreadable("not a whole image")
    return image


def read_image(path: Path) -> np.ndarray | Unreadable:
    """Returns an image file as RGB uint8 [H, W, 3], or the reason why it cannot be decoded."""
    try:
        return decode_jpeg(path.read_bytes())
    except (Unreadable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Unreadable(f"{path.name}: {reason}")
