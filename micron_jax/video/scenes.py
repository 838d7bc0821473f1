"""Cuts in films: where one frame shows another scene than the one before it."""

import cv2
import numpy as np

CUT = 0.6  # correlation of the gray thumbnails of two frames below which the scene is another


def scene(frame: np.ndarray) -> np.ndarray:
    """A gray thumbnail of a frame, RGB uint8 [H, W, 3]: float32 [576], of mean 0 and length 1."""
    small = cv2.resize(frame, (32, 18), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32).ravel()
    gray -= gray.mean()
    return gray / max(float(np.linalg.norm(gray)), 1e-6)


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Tells whether the scene changes between two frames, by their thumbnails."""
    return float(before @ after) < CUT
