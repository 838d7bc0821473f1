"""Batches of frames as people give them, checked."""

import numpy as np


def as_batches(*batches) -> tuple:
    """Batches of frames as arrays of one shape.

    Args:
      batches: RGB uint8 [B, H, W, 3] each, as arrays or as lists of frames [H, W, 3].

    Returns:
      uint8 [B, H, W, 3] each; arrays, those of jax among them, come back as they are.

    Raises:
      ValueError: another dtype, shape or order of axes, or no frame; the message says what to do.
    """
    batches = tuple(_stacked(frames) for frames in batches)
    for frames in batches:
        shape = tuple(frames.shape)
        if frames.dtype != np.uint8 or frames.ndim != 4 or shape[-1] != 3 or not shape[0]:
            raise ValueError(
                f"frames are {frames.dtype} {shape}; expected uint8 [B, H, W, 3]{_mend_of(frames)}"
            )
    frames, reference = batches[0], batches[-1]
    if frames.shape != reference.shape:
        raise ValueError(f"frames are {frames.shape} and reference is {reference.shape}")
    return batches


def _stacked(frames):
    if hasattr(frames, "dtype"):
        return frames
    frames = [np.asarray(frame) for frame in frames]
    shapes = {frame.shape: None for frame in frames}
    if len(shapes) > 1:
        raise ValueError(f"frames of a batch have several sizes: {', '.join(map(str, shapes))}")
    return np.stack(frames) if frames else np.zeros((0, 0, 0, 3), np.uint8)


def _mend_of(frames) -> str:
    shape = frames.shape
    if frames.ndim == 4 and not shape[0]:
        return ": the batch is empty"
    if frames.ndim == 3 and shape[-1] == 3:
        return ": of one frame, frames[None]"
    if frames.ndim == 4 and shape[1] == 3 != shape[-1]:
        return ": the colors come last, np.moveaxis(frames, 1, -1)"
    if frames.dtype != np.uint8 and np.issubdtype(frames.dtype, np.floating):
        return ": levels of 0 to 255"
    return ""
