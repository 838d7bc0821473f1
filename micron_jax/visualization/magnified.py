"""A face whose small motion is drawn larger, so that the eye sees it."""

import cv2
import numpy as np

FACTOR = 5  # times the displacement
STEPS = 6  # pictures from the onset to the magnified apex
SMOOTH = 1.0  # patches: standard deviation of the blur that keeps patches from tearing


def magnify(face: np.ndarray, displacement: np.ndarray, size: int) -> np.ndarray:
    """Moves the skin of a face by a displacement.

    Args:
      face: uint8 [V, V, 3].
      displacement: (x, y) of each patch, px of a face of `size`, float [h, w, 2].
      size: side of the network's input, px.

    Returns:
      uint8 [V, V, 3].
    """
    height, width = face.shape[:2]
    smooth = cv2.GaussianBlur(displacement.astype(np.float32), (0, 0), SMOOTH)
    field = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC) * (width / size)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    places = x - field[..., 0], y - field[..., 1]  # skin that is at p now has come from there
    return cv2.remap(face, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def magnified(
    face: np.ndarray, displacement: np.ndarray, size: int, *, factor: float = FACTOR
) -> list[np.ndarray]:
    """Draws a face from rest to `factor` times its displacement, in `STEPS` + 1 pictures.

    Arguments and pictures are those of `magnify`.
    """
    shares = (1 - np.cos(np.linspace(0, np.pi, STEPS + 1))) / 2  # slow at both ends
    return [magnify(face, factor * share * displacement, size) for share in shares]
