"""Baselines of the network: simple differences of the two frames, with the same head and folds.

With the head's default, one linear layer, each is logistic regression.
"""

import functools
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from micron_jax.faces.flow import METHODS, gray_of
from micron_jax.faces.registration import estimate_affine
from micron_jax.models.classifier import grid_mean


def features(
    kind: str,
    onset: np.ndarray,
    apex: np.ndarray,
    cells: int,
    *,
    progress: Callable[[Iterable], Iterable] = lambda pairs: pairs,
) -> np.ndarray:
    """Returns a baseline's features of pairs, uint8 [n, S, S, 3] twice -> float32 [n, 1, F].

    Args:
      kind: `frame_difference`, the absolute difference of the gray levels; `flow`, the optical
        flow (x, y, length) of DIS less its robust affine part, in px; `flow_tvl1` and
        `flow_farneback`, the same by these methods.
      cells: the face is parted into cells × cells, each of which gives its mean.
      progress: wraps the pairs, as `tqdm` does.
    """
    maps = np.stack([_MAPS[kind](*pair) for pair in progress(list(zip(onset, apex, strict=True)))])
    count, height, width, channels = maps.shape
    pooled = grid_mean(maps.reshape(count, -1, channels), (height, width), cells)
    return np.asarray(pooled, np.float32)[:, None]


def frame_difference(onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    """|apex - onset| of smoothed gray levels: uint8 [S, S, 3] twice -> float32 [S, S, 1]."""
    gray = [gray_of(frame).astype(np.float32) for frame in (onset, apex)]
    smooth = [cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in gray]
    return np.abs(smooth[1] - smooth[0])[..., None]


def flow(onset: np.ndarray, apex: np.ndarray, method: str = "dis") -> np.ndarray:
    """Optical flow from onset to apex, its robust affine part taken off: -> [S, S, 3].

    Args:
      method: one of `faces.flow.METHODS`.
    """
    motion = METHODS[method](gray_of(onset), gray_of(apex))
    affine, _ = estimate_affine(apex, onset)
    if affine is not None:
        height, width = motion.shape[:2]
        places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
        motion = motion - (places @ affine[:, :2].T + affine[:, 2] - places)
    length = np.linalg.norm(motion, axis=-1, keepdims=True)
    return np.concatenate([motion, length], axis=-1).astype(np.float32)


_MAPS = {
    "frame_difference": frame_difference,
    "flow": flow,
    "flow_tvl1": functools.partial(flow, method="tvl1"),
    "flow_farneback": functools.partial(flow, method="farneback"),
}
