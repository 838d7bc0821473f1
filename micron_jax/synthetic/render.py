"""Frames of a face that moves a little, and the true motion.

Every frame, the onset's too, goes one way: canvas -> one bicubic look-up at shifted places ->
the camera's blur -> average of 2 x 2 -> light -> noise -> JPEG. The head (`pose`), the face's units
and the distractors shift a pixel together; there is no second resampling that could mark a frame,
or a region, as the one that moved.

For a point x of frame t, y = A_t(x) undoes the head's similarity, and the face is looked up at
y - e(t) E(y) - b(t) B(y) - r(t) R(y): expression, blink, turn of the head. OpenCV's look-ups go
by 1/32 of the canvas's samples, hence places and truth are exact to about 0.01 px.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from micron_jax.data.warps import CANVAS, MARGIN, SIZE, SUPER
from micron_jax.faces.crop import warp
from micron_jax.faces.landmarks import canonical_transform

PATCH = 8
_CENTER = (SIZE - 1) / 2


@dataclass(frozen=True)
class Motion:
    """The motion in a clip of T frames; fields as in `warps`, [512, 512, 2], px at 224.

    Attributes:
      intensity, blinking, turning: [T], their factors; `intensity` is 0 at the onset and 1 at
        the apex.
      pose: [T, 4], the head's shift (x, y) in px, rotation in radians, log of its scale.
    """

    expression: np.ndarray
    blink: np.ndarray
    turn: np.ndarray
    intensity: np.ndarray
    blinking: np.ndarray
    turning: np.ndarray
    pose: np.ndarray

    def distraction(self, t: int) -> np.ndarray:
        """Displacements of frame t by blinks and turns."""
        return np.float32(self.blinking[t]) * self.blink + np.float32(self.turning[t]) * self.turn

    def field(self, t: int) -> np.ndarray:
        """All displacements of frame t."""
        return np.float32(self.intensity[t]) * self.expression + self.distraction(t)


@dataclass(frozen=True)
class Camera:
    """The effects of a camera, all per clip but the light, which drifts.

    Attributes:
      blur: standard deviation in px.
      noise: (read noise in gray levels, shot noise: variance a gray level).
      light: [T, 3], gain - 1 and its slopes over the crop's width and height.
    """

    blur: float
    noise: tuple[float, float]
    light: np.ndarray
    quality: int


def face_canvas(image: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a face: -> (uint8 [512, 512, 3], the landmarks [5, 2] in px of the 224 px crop)."""
    transform = canonical_transform(landmarks, SIZE)
    in_crop = landmarks @ transform[:, :2].T + transform[:, 2]
    large = transform * SUPER
    large[:, 2] += SUPER * (MARGIN + 0.5) - 0.5
    return warp(image, large, CANVAS), in_crop


def head(pose: np.ndarray) -> np.ndarray:
    """The head's similarity about the crop's center, [2, 3], of one row of `Motion.pose`."""
    scale = np.exp(pose[3])
    cos, sin = scale * np.cos(pose[2]), scale * np.sin(pose[2])
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([linear, pose[:2] + _CENTER - linear @ (_CENTER, _CENTER)])


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Transforms points [..., 2] by [2, 3]."""
    return points @ transform[:, :2].T + transform[:, 2]


def look_up(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of a canvas [512, 512, ...] at points [H, W, 2] of the crop (linearly)."""
    return _remap(field, points, cv2.INTER_LINEAR)


def render(canvas: np.ndarray, motion: Motion, t: int, camera: Camera, noise) -> np.ndarray:
    """Frame t of a clip, uint8 [224, 224, 3]; `noise` is the generator of the sensor's noise."""
    along = (np.arange(SIZE * SUPER) + 0.5) / SUPER - 0.5
    undo = cv2.invertAffineTransform(head(motion.pose[t]))
    places = apply(undo, np.stack(np.meshgrid(along, along), -1))
    large = _remap(canvas, places - look_up(motion.field(t), places), cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large.astype(np.float32), (0, 0), camera.blur * SUPER)
    frame = cv2.resize(large, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    slope = (np.arange(SIZE, dtype=np.float32) - _CENTER) / SIZE
    gain, across, down = np.float32(camera.light[t])
    frame *= (1 + gain + across * slope + down * slope[:, None])[..., None]
    read, shot = camera.noise
    deviation = np.sqrt(read**2 + shot * np.clip(frame, 0, 255))
    frame += deviation * noise.standard_normal(frame.shape, np.float32)
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def flow(motion: Motion, onset: int, apex: int) -> dict[str, np.ndarray]:
    """The motion of each pixel from the onset's frame to the apex's.

    The whole flow of pixel x is `head(x) - x + displacement + distraction`.

    Returns:
      head: [2, 3], the similarity of the head between the two frames.
      displacement: [224, 224, 2] float64 (x, y) px, by the expression alone.
      distraction: the same, by blinks and turns.
    """
    first, last = head(motion.pose[onset]), head(motion.pose[apex])
    pixels = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1).astype(np.float64)
    undo = cv2.invertAffineTransform(first)
    before = apply(undo, pixels)
    face = before - look_up(motion.field(onset), before)
    field, after = motion.field(apex), before
    for _ in range(30):  # contracts: no field is steeper than 1
        after = face + look_up(field, after)
    linear = last[:, :2].T
    expression = np.float32(motion.intensity[apex]) * motion.expression
    at_onset = np.float64(motion.intensity[onset]) * look_up(motion.expression, before)
    moved = look_up(expression, after).astype(np.float64) - at_onset
    return {
        "head": np.column_stack([last[:, :2] @ undo[:, :2], apply(last, undo[:, 2])]),
        "displacement": moved @ linear,
        "distraction": (after - before - moved) @ linear,
    }


def per_patch(values: np.ndarray, reduce=np.mean) -> np.ndarray:
    """Reduces [224, 224, ...] to [28, 28, ...] float32, patch by patch."""
    side = SIZE // PATCH
    cells = values.reshape(side, PATCH, side, PATCH, *values.shape[2:])
    return reduce(cells, axis=(1, 3)).astype(np.float32)


def _remap(canvas: np.ndarray, points: np.ndarray, interpolation: int) -> np.ndarray:
    places = ((points + (MARGIN + 0.5)) * SUPER - 0.5).astype(np.float32)
    x, y = np.ascontiguousarray(np.moveaxis(places, -1, 0))
    return cv2.remap(canvas, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
