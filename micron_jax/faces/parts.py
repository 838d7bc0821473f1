"""The parts of a face in an aligned crop, whose layout `landmarks.CANONICAL` gives."""

import functools

import numpy as np

from micron_jax.faces.landmarks import CANONICAL

_EYES, _NOSE, _CORNERS = CANONICAL[:2], CANONICAL[2], CANONICAL[3:]
_MOUTH = _CORNERS.mean(axis=0)

# Points (x, y) in units of the crop's side; a patch is of the part that has the nearest one.
PARTS = {
    "forehead": np.array([[0.35, 0.08], [0.5, 0.08], [0.65, 0.08]]),
    "brows": np.concatenate([_EYES - (0, 0.11), [[0.5, _EYES[0, 1] - 0.11]]]),
    "eyes": _EYES,
    "nose": np.array([_NOSE, (_NOSE + _EYES.mean(axis=0)) / 2]),
    "cheeks": _EYES + np.array([[-0.08, 0.19], [0.08, 0.19]]),
    "mouth": np.concatenate([_CORNERS, [_MOUTH]]),
    "chin": _MOUTH + np.array([[-0.1, 0.16], [0, 0.17], [0.1, 0.16]]),
}

CENTER, HALF = (0.5, 0.48), (0.33, 0.46)  # of the oval that a face fills
BOX = (np.subtract(CENTER, HALF), np.add(CENTER, HALF))  # around it: left and top, right and bottom


def _centers(grid: int) -> np.ndarray:
    """(x, y) of each patch's center, [grid, grid, 2], in units of the side."""
    along = (np.arange(grid) + 0.5) / grid
    return np.stack(np.meshgrid(along, along), axis=-1)


@functools.cache
def oval(grid: int) -> np.ndarray:
    """The patches that lie on the face, bool [grid, grid]; the rest is wall, hair and collar."""
    x, y = np.moveaxis((_centers(grid) - CENTER) / HALF, -1, 0)
    return x**2 + y**2 <= 1


def part_of(values: np.ndarray) -> str:
    """The part of the face that holds the most of a map, float [h, h], not below 0."""
    centers = _centers(len(values))
    nearest = [
        np.linalg.norm(centers[:, :, None] - points, axis=-1).min(axis=-1)
        for points in PARTS.values()
    ]
    owner = np.argmin(nearest, axis=0)
    high = np.where(values >= np.quantile(values, 0.95), values, 0)
    return [*PARTS][int(np.argmax(np.bincount(owner.ravel(), high.ravel(), len(PARTS))))]
