"""Pixel differences and optical flow, the methods without learning.

Each takes two frames, uint8 [224, 224, 3], the second registered onto the first and in its light,
and returns a map, float32 [28, 28], larger where more moved. Flow is the mean of both directions,
which halves its noise, less the median vector or a robust affine motion, because a moving head is
no expression.
"""

import functools

import cv2
import numpy as np

from micron_jax.faces.flow import Finder, dis, farneback, gray_of
from micron_jax.synthetic.render import PATCH, SIZE

GRID = SIZE // PATCH
_CENTERS = np.stack(np.meshgrid(*[np.arange(GRID) * PATCH + (PATCH - 1) / 2] * 2), -1)
_PLANE = np.column_stack([_CENTERS.reshape(-1, 2), np.ones(GRID**2)])


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


def enlarged(finder: Finder, factor: int) -> Finder:
    """Returns a finder that works on larger frames; its flow is in px of the original ones."""

    def find(gray: np.ndarray, other: np.ndarray) -> np.ndarray:
        large = [
            cv2.resize(x, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            for x in (gray, other)
        ]
        return cv2.resize(finder(*large), gray.shape, interpolation=cv2.INTER_AREA) / factor

    return find


def together(*finders: Finder) -> Finder:
    """Returns a finder of the mean of several flows, whose errors differ."""
    return lambda gray, other: sum(find(gray, other) for find in finders) / len(finders)


_FARNEBACK = functools.partial(farneback, window=25, poly=5)
_DIS_8 = functools.partial(dis, stride=2)
_DIS_16 = functools.partial(dis, patch=16, stride=5)
_DIS_24 = functools.partial(dis, preset="FAST", patch=24, stride=8)

FINDERS: dict[str, Finder] = {
    "farneback 15": functools.partial(farneback, window=15, poly=5),
    "farneback 21": functools.partial(farneback, window=21, poly=5),
    "farneback 25": _FARNEBACK,
    "farneback 31": functools.partial(farneback, window=31, poly=7),
    "farneback 51 x2": enlarged(functools.partial(farneback, window=51, poly=7), 2),
    "dis ultrafast": functools.partial(dis, preset="ULTRAFAST", stride=2),
    "dis fast": functools.partial(dis, preset="FAST", stride=2),
    "dis medium": _DIS_8,
    "dis medium 16": _DIS_16,
    "dis fast 24": _DIS_24,
    "dis medium x2": enlarged(_DIS_8, 2),
    "both 16": together(_FARNEBACK, _DIS_16),
    "both 24": together(_FARNEBACK, _DIS_24),
}


def motion(finder: Finder, onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    """Returns each patch's mean vector, px: two frames uint8 [224, 224, 3] -> [28, 28, 2]."""
    first, second = gray_of(onset), gray_of(apex)
    return _cells((finder(first, second) - finder(second, first)) / 2)


def less_median(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors [28, 28, 2] less their median."""
    return vectors - np.median(vectors.reshape(-1, 2), axis=0)


def less_affine(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors [28, 28, 2] less their robust affine part.

    Least squares, reweighted 15 times: the patches of an expression are outliers.
    """
    values = vectors.reshape(-1, 2).astype(np.float64)
    plane = np.zeros((3, 2))
    plane[2] = np.median(values, axis=0)
    for _ in range(15):
        off = np.hypot(*(values - _PLANE @ plane).T)
        weight = 1 / (1 + (off / max(1.4826 * np.median(off), 0.01)) ** 2)  # the root of Cauchy's²
        plane = np.linalg.lstsq(_PLANE * weight[:, None], values * weight[:, None], rcond=None)[0]
    return (values - _PLANE @ plane).reshape(vectors.shape).astype(np.float32)


RESTS = {"median": less_median, "affine": less_affine}


def relative(values: np.ndarray, floor: float) -> np.ndarray:
    """Divides a map [28, 28] by its median, the clip's noise, because most patches are still.

    Args:
      floor: added to the median, in the map's unit, for frames without noise.
    """
    return values / (np.median(values) + np.float32(floor))


def flow_maps(finder: Finder, onset: np.ndarray, apex: np.ndarray) -> dict[str, np.ndarray]:
    """Returns lengths of the residual flow, float32 [28, 28] each.

    Returns:
      {"median", "affine": px, "median relative", "affine relative": see `relative`}.
    """
    vectors, maps = motion(finder, onset, apex), {}
    for name, rest in RESTS.items():
        maps[name] = np.hypot(*np.moveaxis(rest(vectors), -1, 0))
        maps[f"{name} relative"] = relative(maps[name], 0.02)
    return maps


def _cells(values: np.ndarray) -> np.ndarray:
    return values.reshape(GRID, PATCH, GRID, PATCH, -1).mean(axis=(1, 3), dtype=np.float32)
