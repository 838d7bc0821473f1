"""Two frames of a face in turn, in one animated picture: the eye sees 1 px of motion."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from micron_jax.visualization.magnified import FACTOR, magnify
from micron_jax.visualization.pairs import PairView

SIDE = 448  # px: of the longer side of a face
TURN = 500  # milliseconds
FONT, WHITE = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)


def write_flicker(path: Path, view: PairView, size: int, *, aspect: float = 1.0) -> None:
    """Writes an animated PNG: the reference, registered, and the frame, in turn.

    Beside them is the reference with `FACTOR` times the motion, where the network knows it.

    Args:
      size: side of the network's input, px.
      aspect: width over height of what the square crops show.
    """
    rest, moved = [view.registered], [view.frame]
    words = [["reference"], ["frame"]]
    if view.motion is not None and not view.apart:
        rest.append(view.registered)
        moved.append(magnify(view.registered, FACTOR * np.asarray(view.motion.lit), size))
        for names in words:
            names.append(f"motion x {FACTOR}")
    shape = round(SIDE * min(1, aspect)), round(SIDE * min(1, 1 / aspect))
    frames = [
        np.hstack(
            [_labeled(picture, shape, word) for picture, word in zip(some, names, strict=True)]
        )
        for some, names in zip((rest, moved), words, strict=True)
    ]
    first, second = (Image.fromarray(frame) for frame in frames)
    first.save(path, save_all=True, append_images=[second], duration=TURN, loop=0)


def _labeled(picture: np.ndarray, shape: tuple[int, int], word: str) -> np.ndarray:
    """A picture, uint8 [V, V, 3], of another size (width, height), with a word in its corner."""
    large = cv2.resize(picture, shape, interpolation=cv2.INTER_CUBIC)
    at = 10, shape[1] - 12
    cv2.putText(large, word, at, FONT, 0.7, (0, 0, 0), 4, cv2.LINE_AA)
    cv2.putText(large, word, at, FONT, 0.7, WHITE, 1, cv2.LINE_AA)
    return large
