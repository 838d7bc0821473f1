"""Registration of two square crops of a face, and the optical flow that is left after it."""

import dataclasses

import cv2
import numpy as np

from micron_jax.faces.parts import BOX
from micron_jax.faces.registration import Registration, register, relight, warp_back


def shrink(frames: np.ndarray, size: int) -> np.ndarray:
    """Shrinks frames uint8 [B, V, V, 3] to [B, size, size, 3], size a divisor of V."""
    shape = size, size
    return np.stack([cv2.resize(x, shape, interpolation=cv2.INTER_AREA) for x in frames])


def register_crops(
    moving: np.ndarray, reference: np.ndarray, *, faces: bool = True
) -> tuple[np.ndarray, Registration]:
    """Registers two crops, uint8 [V, V, 3], as `register` does, by the box around the face alone.

    A wall behind a head stands still and has many corners: a fit to all of the crop would leave
    the head's motion in. Without `faces`, crops are no aligned faces, and all of them counts.
    """
    if not faces:
        return register(moving, reference)
    (left, top), (right, bottom) = np.rint(np.multiply(BOX, len(moving))).astype(int)
    inside = np.s_[top:bottom, left:right]
    boxes = (np.ascontiguousarray(crop[inside]) for crop in (moving, reference))
    _, registration = register(*boxes)
    transform = registration.transform.copy()
    transform[:, 2] += (left, top) - transform[:, :2] @ (left, top)
    moved = moving if registration.refused else warp_back(moving, transform)
    registered = relight(moved, registration.gain, registration.offset)
    return registered, dataclasses.replace(registration, transform=transform)


def residual_flow(frame: np.ndarray, registered: np.ndarray, grid: int, size: int) -> np.ndarray:
    """Returns mean lengths of the optical flow (Farnebäck) per patch, float32 [grid, grid].

    Args:
      frame, registered: uint8 [V, V, 3].
      grid: patches along a side.
      size: side of the network's input, px, the unit of the lengths.
    """
    gray, other = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (frame, registered))
    flow = cv2.calcOpticalFlowFarneback(gray, other, None, 0.5, 3, 15, 3, 7, 1.5, 0)
    length = np.hypot(flow[..., 0], flow[..., 1]) * (size / len(frame))
    return cv2.resize(length, (grid, grid), interpolation=cv2.INTER_AREA)
