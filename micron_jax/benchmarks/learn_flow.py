"""Pixel differences and optical flow, the methods without learning.

Each takes two frames, uint8 [224, 224, 3], the second registered onto the first and in its light.
Flow is the mean of both directions, which halves its noise, less the median vector or a robust
affine motion, because a moving head is no expression.
"""

import functools
from collections.abc import Mapping

import cv2
import numpy as np

from micron_jax.faces.flow import Finder, dis, farneback, gray_of, tvl1
from micron_jax.synthetic.render import PATCH, SIZE

GRID = SIZE // PATCH
_CENTERS = np.stack(np.meshgrid(*[np.arange(GRID) * PATCH + (PATCH - 1) / 2] * 2), -1)
_PLANE = np.column_stack([_CENTERS.reshape(-1, 2), np.ones(GRID**2)])
_UNIT = np.array([SIZE, SIZE, 1.0])  # of the columns of _PLANE: keeps the equations well scaled


def difference_maps(onset: np.ndarray, apex: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the mean absolute difference of smoothed gray levels in each patch.

    Returns:
      {"plain", "relative": see `relative`, "graded": divided by 6 plus the mean gradient in gray
      levels a px, because the same motion changes strong edges more}; float32 [28, 28] each.
    """
    gray, other = (
        cv2.GaussianBlur(gray_of(x).astype(np.float32), (0, 0), 1.0) for x in (onset, apex)
    )
    plain = _cells(np.abs(other - gray))[..., 0]
    # Sobel's weights sum to 8 times the gradient.
    slope = np.hypot(cv2.Sobel(gray, -1, 1, 0), cv2.Sobel(gray, -1, 0, 1)) / 8
    graded = plain / (_cells(slope)[..., 0] + 6)
    return {"plain": plain, "relative": relative(plain, 0.25), "graded": graded}


# Coarse and quick: scales by halves, and few rounds. More of them cost ten times as much and change
# the error by 5 %.
_TVL1 = dict(step=0.5, scales=4, warps=3, stop=0.02, inner=15, outer=4)

FINDERS: dict[str, Finder] = {
    "farneback 15": functools.partial(farneback, window=15, poly=5),
    "farneback 25": functools.partial(farneback, window=25, poly=5),
    "farneback 31": functools.partial(farneback, window=31, poly=7),
    "farneback 45": functools.partial(farneback, window=45, poly=7),
    "dis ultrafast": functools.partial(dis, preset="ULTRAFAST", stride=2),
    "dis medium 16": functools.partial(dis, patch=16, stride=5),
    "dis fast 24": functools.partial(dis, preset="FAST", patch=24, stride=8),
    "tvl1 0.02": functools.partial(tvl1, smoothness=0.02, **_TVL1),
    "tvl1 0.05": functools.partial(tvl1, smoothness=0.05, **_TVL1),
    "tvl1 0.15": functools.partial(tvl1, smoothness=0.15, **_TVL1),
}
# Means of several flows, whose errors differ.
MIXES: dict[str, tuple[str, ...]] = {
    "both 16": ("farneback 25", "dis medium 16"),
    "both 24": ("farneback 25", "dis fast 24"),
    "all 24": ("farneback 25", "dis fast 24", "tvl1 0.05"),
    "all 31": ("farneback 31", "dis fast 24", "tvl1 0.02"),
}


def finders_of(name: str) -> tuple[str, ...]:
    """Returns the names in `FINDERS` that a flow needs."""
    return MIXES.get(name, (name,))


def mixed(vectors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Returns the vectors of a flow of `FINDERS` or `MIXES`, from those of `FINDERS`."""
    parts = [vectors[part] for part in finders_of(name)]
    return sum(parts) / len(parts)


def motion(finder: Finder, onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    """Returns each patch's mean vector, px: two frames uint8 [224, 224, 3] -> [28, 28, 2]."""
    first, second = gray_of(onset), gray_of(apex)
    return _cells((finder(first, second) - finder(second, first)) / 2)


def less_median(vectors: np.ndarray, rigid: np.ndarray | None = None) -> np.ndarray:
    """Returns vectors [..., 28, 28, 2] less their median over the patches of `rigid`.

    Args:
      rigid: bool [..., 28, 28], the patches that move with the head; None: all.
    """
    values, chosen = _rows(vectors, rigid)
    middle = np.nanmedian(np.where(chosen[..., None], values, np.nan), axis=1, keepdims=True)
    return (values - middle).reshape(vectors.shape).astype(np.float32)


def less_affine(vectors: np.ndarray, rigid: np.ndarray | None = None) -> np.ndarray:
    """Returns vectors [..., 28, 28, 2] less their robust affine part; see `less_median`.

    Least squares, reweighted 15 times: the patches of an expression are outliers.
    """
    values, chosen = _rows(vectors, rigid)
    basis = _PLANE / _UNIT
    plane = np.zeros((len(values), 3, 2))
    plane[:, 2] = np.nanmedian(np.where(chosen[..., None], values, np.nan), axis=1)
    for _ in range(15):
        off = np.hypot(*np.moveaxis(values - basis @ plane, -1, 0))
        scale = 1.4826 * np.nanmedian(np.where(chosen, off, np.nan), axis=1, keepdims=True)
        weight = chosen / (1 + (off / np.maximum(scale, 0.01)) ** 2) ** 2  # Cauchy's, squared
        weighted = weight[..., None] * basis
        plane = np.linalg.solve(
            np.swapaxes(weighted, 1, 2) @ basis, np.swapaxes(weighted, 1, 2) @ values
        )
    return (values - basis @ plane).reshape(vectors.shape).astype(np.float32)


RESTS = {"median": less_median, "affine": less_affine}


def relative(values: np.ndarray, floor: float) -> np.ndarray:
    """Divides maps [..., 28, 28] by their medians, the clips' noise: most patches are still.

    Args:
      floor: added to the median, in the map's unit, for frames without noise.
    """
    return values / (np.median(values, axis=(-2, -1), keepdims=True) + np.float32(floor))


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Returns the lengths of vectors: [..., 2] -> [...]."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _rows(vectors: np.ndarray, rigid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns vectors float64 [C, 784, 2], and bool [C, 784]; with fewer than 30 patches, all."""
    values = vectors.reshape(-1, GRID**2, 2).astype(np.float64)
    if rigid is None:
        return values, np.ones(values.shape[:2], bool)
    chosen = np.broadcast_to(rigid, vectors.shape[:-1]).reshape(-1, GRID**2)
    return values, chosen | (chosen.sum(axis=1, keepdims=True) < 30)


def _cells(values: np.ndarray) -> np.ndarray:
    return values.reshape(GRID, PATCH, GRID, PATCH, -1).mean(axis=(1, 3), dtype=np.float32)
