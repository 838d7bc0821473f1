"""Expressions inserted into the frames of a face, and the true displacement of its skin.

A field tells how far the skin moves, in px of the 224 px crop of a face; a *canvas* samples it each
2 px, 96 px beyond the crop on every side. In each frame the crop lies where the face is: the
frame's landmarks, smoothed over time, give the similarity from its pixels to the crop's. Skin that
is at p now has come from p - field(p), as in `warps`.

Every frame, moved or not, is resampled once, by the same kernel and at the same sub-pixel offset:
blur is no sign of motion.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from micron_jax.faces import parts
from micron_jax.faces.landmarks import canonical_transform

SIZE, PATCH = 224, 8
GRID = SIZE // PATCH
STEP, MARGIN = 2, 96  # px of the crop: between a canvas's samples, and around the crop
CANVAS = (SIZE + 2 * MARGIN) // STEP
# Px of the frame. A look-up midway between pixels blurs most, one on a pixel not at all. At a
# quarter, skin at rest loses as much as skin loses on average that moves by any part of a pixel.
OFFSET = (0.25, 0.25)
_FINE = 2  # px of the crop between the points where the truth is computed
_ROUNDS = 16  # of the inversion, whose error shrinks to the field's steepness each time


def canvas_grid() -> np.ndarray:
    """Crop coordinates (x, y) of a canvas's samples, float32 [208, 208, 2]."""
    along = (np.arange(CANVAS, dtype=np.float32) + 0.5) * STEP - 0.5 - MARGIN
    return np.stack(np.meshgrid(along, along), -1)


def face_window(inside: float = 0.85, outside: float = 1.4) -> np.ndarray:
    """1 on the face, falling to 0 around it, float32 [208, 208].

    Args:
      inside, outside: where it begins to fall and is 0, in sizes of the face's oval.
    """
    at = (canvas_grid() + 0.5) / SIZE
    distance = np.hypot(*np.moveaxis((at - parts.CENTER) / parts.HALF, -1, 0))
    t = np.clip((outside - distance) / (outside - inside), 0, 1)
    return (t**3 * (t * (6 * t - 15) + 10)).astype(np.float32)


def look_up(canvas: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of a canvas [208, 208, C] at points [H, W, 2] of the crop, bicubic; beyond it: 0."""
    x, y = np.moveaxis((points + (MARGIN + 0.5)) / STEP - 0.5, -1, 0).astype(np.float32)
    return cv2.remap(
        canvas, np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.INTER_CUBIC, borderValue=0
    )


def compose(head: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """The field of an expression on a head that moves: canvases [208, 208, 2] -> the same.

    The skin at q now was at q - head(q) before the head moved, and there the expression moves it.
    """
    return head + look_up(expression, canvas_grid() - head)


def resample(
    frames: np.ndarray,
    landmarks: np.ndarray,
    fields: Iterable[np.ndarray | None],
    offset: tuple[float, float] = OFFSET,
) -> tuple[np.ndarray, np.ndarray]:
    """Moves the skin of the face in each frame by a field of its own.

    Args:
      frames: RGB uint8 [T, H, W, 3].
      landmarks: [T, 5, 2] in px of the frames, smooth over time.
      fields: for each frame a canvas [208, 208, 2], or None: nothing moves.
      offset: px of a frame by which all frames shift to the left and up.

    Returns:
      (frames, uint8 [T, H, W, 3]; their landmarks, float64 [T, 5, 2], by which the fields are
      placed).
    """
    moved = np.empty_like(frames)
    landmarks = np.asarray(landmarks, np.float64) - offset
    height, width = frames.shape[1:3]
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in (width, height)))
    x, y = x + np.float32(offset[0]), y + np.float32(offset[1])
    for frame, points, field, image in zip(frames, landmarks, fields, moved, strict=True):
        from_x, from_y = x, y
        if field is not None:
            across, down = np.moveaxis(_in_frame(field, points, width, height), -1, 0)
            from_x, from_y = x - across, y - down
        border = cv2.BORDER_REFLECT_101
        image[:] = cv2.remap(frame, from_x, from_y, cv2.INTER_LANCZOS4, borderMode=border)
    return moved, landmarks


def _in_frame(field: np.ndarray, landmarks: np.ndarray, width: int, height: int) -> np.ndarray:
    """A canvas at the pixels of a frame and in its px, float32 [H, W, 2]."""
    to_crop = canonical_transform(landmarks, SIZE)
    to_canvas = to_crop / STEP
    to_canvas[:, 2] += (MARGIN + 0.5) / STEP - 0.5
    inverse = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    here = cv2.warpAffine(field, to_canvas, (width, height), flags=inverse, borderValue=0)
    return here @ np.linalg.inv(to_crop[:, :2]).T.astype(np.float32)


def sum_of(fields: Sequence[np.ndarray], intensities: np.ndarray) -> list[np.ndarray | None]:
    """The field of each frame, from those of K expressions and intensities [K, T]; None: zero."""
    frames = np.asarray(intensities, np.float32).T
    return [
        sum(e * field for e, field in zip(column, fields, strict=True)) if column.any() else None
        for column in frames
    ]


def trace(canvas: np.ndarray | None, points: np.ndarray) -> np.ndarray:
    """The places to which a field takes skin that lies at points [H, W, 2] of the crop."""
    after = points
    if canvas is not None:
        for _ in range(_ROUNDS):
            after = points + look_up(canvas, after)
    return after


def fine_grid() -> np.ndarray:
    """Crop coordinates of the points where the truth is computed, float32 [112, 112, 2]."""
    along = (np.arange(SIZE // _FINE, dtype=np.float32) + 0.5) * _FINE - 0.5
    return np.stack(np.meshgrid(along, along), -1)


def per_patch(values: np.ndarray) -> np.ndarray:
    """Means of the fine grid's values [112, 112, C] over patches of 8 px: [28, 28, C]."""
    cells = values.reshape(GRID, PATCH // _FINE, GRID, PATCH // _FINE, -1)
    return cells.mean(axis=(1, 3))


def displacement(fields: Iterable[np.ndarray | None]) -> np.ndarray:
    """The displacement of the skin in each frame from where it lies without any expression.

    Returns:
      float32 [T, 28, 28, 2], (x, y) in px of the crop, means over the patches in which the skin
      lies without the expression.
    """
    points = fine_grid()
    truth = [
        np.zeros((GRID, GRID, 2)) if field is None else per_patch(trace(field, points) - points)
        for field in fields
    ]
    return np.asarray(truth, np.float32).reshape(-1, GRID, GRID, 2)


def seen_in(truth: np.ndarray, landmarks: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """The displacement of one frame as a crop shows it that does not follow the face.

    Args:
      truth: [28, 28, 2], as of `displacement`.
      landmarks: [5, 2] of that frame, px.
      transform: [2, 3], from the frame's pixels to those of the crop, of 224 px.

    Returns:
      float32 [28, 28, 2], in px of that crop and at its patches; 0 where the truth is unknown.
    """
    to_face = canonical_transform(landmarks, SIZE)
    whole = [np.vstack([t, (0, 0, 1)]) for t in (to_face, transform)]
    there_to_face = (whole[0] @ np.linalg.inv(whole[1]))[:2]
    centers = there_to_face.copy()  # from patch to patch in place of px to px
    half = (PATCH - 1) / 2
    centers[:, 2] = (there_to_face @ (half, half, 1) - half) / PATCH
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(np.float32(truth), centers, (GRID, GRID), flags=flags, borderValue=0)
    return there @ np.linalg.inv(there_to_face[:, :2]).T.astype(np.float32)
