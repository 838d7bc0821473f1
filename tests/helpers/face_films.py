"""Films of a face that a bright dot marks, and a detector that finds the dot."""

import numpy as np
from helpers import drawn, films

from micron_jax.faces import landmarks

AT = landmarks.CANONICAL * 150 + (75.0, 40.0)  # of a face in a frame of 300 x 220


def detector(**_):
    """Finds the face of `film`: its landmarks by the bright dot that moves along, above it."""

    def detect(image):
        marker = (image[..., 1].astype(int) - image[..., 0] - image[..., 2]) >= 120
        if marker.sum() < 9:
            return np.zeros((0, 5, 2))
        y, x = np.argwhere(marker).mean(axis=0)
        return AT[None] + np.array([x - 150, y - 20])

    return detect


def film(path, seed, count=40, cut=None, dot=True):
    """A face before a wall, that sways by 6 px; a bright dot above it moves along."""
    gray = drawn.texture(seed, (240, 330), grain=1.6)[..., :1]
    wide = np.repeat(gray, 3, axis=-1)
    frames = []
    for t in range(count):
        shift = round(6 * np.sin(t / 5))
        image = wide[10:230, 15 + shift : 315 + shift].copy()
        if cut is not None and t >= cut:
            image = image[::-1, ::-1].copy()
        if dot:
            image[17:24, 147 - shift : 154 - shift] = (0, 255, 0)
        frames.append(image)
    films.write_video(path, frames, 25.0)
