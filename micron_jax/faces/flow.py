"""Optical flow between two frames of a face: TV-L1, Farnebäck, DIS; optical strain.

A finder takes two gray frames, uint8 [H, W], and returns the displacement (x, y) of each pixel of
the first until the second, px, float32 [H, W, 2].
"""

from collections.abc import Callable

import cv2
import numpy as np

Finder = Callable[[np.ndarray, np.ndarray], np.ndarray]


def gray_of(frame: np.ndarray) -> np.ndarray:
    """Returns the gray levels of an RGB frame: uint8 [H, W, 3] -> [H, W]."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def tvl1(
    gray: np.ndarray,
    other: np.ndarray,
    *,
    smoothness: float = 0.15,
    scales: int = 5,
    step: float = 0.8,
    warps: int = 5,
    stop: float = 0.01,
    inner: int = 30,
    outer: int = 10,
) -> np.ndarray:
    """Returns the TV-L1 flow (Zach et al. 2007); the settings are OpenCV's unless given.

    Args:
      smoothness: λ, the weight of the data: the smaller, the smoother.
      scales, step: of the pyramid, whose sides shrink by `step`.
      warps: on each scale.
      stop: ε, the change at which the iterations end.
      inner, outer: iterations at most.
    """
    finder = cv2.optflow.DualTVL1OpticalFlow_create(
        lambda_=smoothness,
        nscales=scales,
        scaleStep=step,
        warps=warps,
        epsilon=stop,
        innnerIterations=inner,
        outerIterations=outer,
    )
    return finder.calc(gray, other, None)


def farneback(
    gray: np.ndarray,
    other: np.ndarray,
    *,
    window: int = 15,
    poly: int = 5,
    levels: int = 4,
    iterations: int = 5,
    gaussian: bool = True,
) -> np.ndarray:
    """Returns Farnebäck's flow (2003).

    Args:
      window: side of the window that is averaged over, px.
      poly: side of the neighborhood of a polynomial, 5 or 7 px.
      gaussian: weight the window by a Gaussian, not evenly.
    """
    spread = {5: 1.1, 7: 1.5}[poly]  # as OpenCV advises
    flags = cv2.OPTFLOW_FARNEBACK_GAUSSIAN if gaussian else 0
    return cv2.calcOpticalFlowFarneback(
        gray, other, None, 0.5, levels, window, iterations, poly, spread, flags
    )


def dis(
    gray: np.ndarray, other: np.ndarray, *, preset: str = "MEDIUM", patch: int = 8, stride: int = 3
) -> np.ndarray:
    """Returns the flow of dense inverse search (Kroeger et al. 2016), down to the finest scale."""
    finder = cv2.DISOpticalFlow.create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{preset}"))
    finder.setFinestScale(0)
    finder.setPatchSize(patch)
    finder.setPatchStride(stride)
    return finder.calc(gray, other, None)


METHODS: dict[str, Finder] = {"tvl1": tvl1, "farneback": farneback, "dis": dis}


def strain(flow: np.ndarray) -> np.ndarray:
    """Returns the optical strain of a flow: [H, W, 2] -> float32 [H, W].

    sqrt(e_xx² + e_yy² + e_xy² + e_yx²) with e = (∇flow + ∇flowᵀ) / 2 (Shreve et al. 2009), in px
    per px; a shift and a turn of the whole frame have none.
    """
    (u_y, u_x), (v_y, v_x) = (np.gradient(flow[..., axis]) for axis in (0, 1))
    return np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2).astype(np.float32)


def residual_flow(frame: np.ndarray, registered: np.ndarray, grid: int, size: int) -> np.ndarray:
    """Returns mean lengths of the optical flow (Farnebäck) per patch, float32 [grid, grid].

    Args:
      frame, registered: uint8 [V, V, 3].
      grid: patches along a side.
      size: side of the network's input, px, the unit of the lengths.
    """
    settings = dict(window=15, poly=7, levels=3, iterations=3, gaussian=False)
    flow = farneback(gray_of(frame), gray_of(registered), **settings)
    length = np.hypot(flow[..., 0], flow[..., 1]) * (size / len(frame))
    return cv2.resize(length, (grid, grid), interpolation=cv2.INTER_AREA)
