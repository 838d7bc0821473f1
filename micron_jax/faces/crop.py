"""The one way to crop a frame: an aligned face, a whole frame, or a frame as the release reads it.

- `face`: five landmarks give one similarity transform, held for all frames of a clip.
- `whole`: the whole frame, stretched to the square; its aspect is not kept (see `Crop.aspect`).
- `release`: the whole frame, resized as the PyTorch release does (micron_bert.py, line 22):
  bilinear without a filter, so that it aliases where it shrinks.

`face` and `whole` are averaged where they shrink and bilinear where they do not.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from micron_jax.faces import landmarks
from micron_jax.video.image_files import Unreadable

VERSIONS = {"face": 1, "whole": 2, "release": 1}  # of the pixels that a kind gives
KINDS = (*VERSIONS,)
NO_FACE = "no face"  # the reason of a clip that `face` cannot use
FORMER_KINDS = {"ours": "face"}  # words of earlier versions in files


@dataclass(frozen=True)
class Crop:
    """A square crop, the same for all frames of a clip."""

    kind: str  # one of `KINDS`
    size: int  # side of the square in pixels
    frame_size: tuple[int, int]  # width and height in pixels
    transform: np.ndarray  # float64 [2, 3], from pixels (x, y) of a frame to those of the crop
    landmarks: np.ndarray | None = None  # of `face`, float64 [5, 2] in pixels of a frame

    @property
    def aspect(self) -> float:
        """Width over height of what the square shows."""
        width, height = self.frame_size
        return 1.0 if self.kind == "face" else width / height

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Crops a frame: RGB uint8 [H, W, 3] -> uint8 [size, size, 3]."""
        if self.kind == "release":
            return cv2.resize(frame, (self.size, self.size))
        return warp(frame, self.transform, self.size)


def settings(kind: str, size: int) -> dict:
    """Returns the record of a crop in files, which tells crops of other pixels apart."""
    version = {"crop_version": VERSIONS[kind]} if VERSIONS[kind] > 1 else {}
    layout = landmarks.LAYOUT if kind == "face" else None
    return {"crop": kind, "size": size, "layout": layout, **version}


def detector(kind: str) -> landmarks.Detector | None:
    """Returns the detector that a kind of crop needs; None: it needs none.

    Raises:
      UserError: the detector's weights are not installed.
    """
    return landmarks.all_faces_detector() if kind == "face" else None


def place_crop(
    frames: Iterable[np.ndarray | Unreadable],
    kind: str,
    size: int,
    detect: landmarks.Detector | None,
) -> Crop:
    """Places the crop of a clip by its first frames; see `Crop`.

    Args:
      frames: of the clip, in order, RGB uint8 [H, W, 3]; `Unreadable` ones are passed over.
      kind, size: of the crop.
      detect: finds faces; only `face` needs it.

    Raises:
      Unreadable: no frame can be read, or none shows a face (`NO_FACE`).
    """
    frames, reason = iter(frames), None
    for first in frames:
        if not isinstance(first, Unreadable):
            break
        reason = reason or first
    else:
        raise reason or Unreadable("no frame")
    height, width, _ = first.shape
    if kind != "face":
        x, y = size / width, size / height
        stretched = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])
        return Crop(kind, size, (width, height), stretched)
    others = (frame for frame in frames if not isinstance(frame, Unreadable))
    points = landmarks.find_landmarks(itertools.chain([first], others), detect)
    if points is None:
        raise Unreadable(NO_FACE)
    transform = landmarks.canonical_transform(points, size)
    return Crop(kind, size, (width, height), transform, points)


def warp(frame: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Draws a frame, uint8 [H, W, 3], through a transform to its pixels: uint8 [size, size, 3].

    Outside the frame its border goes on. Where the frame shrinks it is drawn `factor` times too
    large and then averaged: OpenCV's warp alone has no filter and would alias.
    """
    scale = min(math.hypot(*column) for column in transform.T[:2])
    factor = max(1, math.ceil(1 / scale - 1e-6))
    shift = np.array([[0, 0, (factor - 1) / 2]] * 2)
    large, repeat = (size * factor, size * factor), cv2.BORDER_REPLICATE
    image = cv2.warpAffine(frame, transform * factor + shift, large, borderMode=repeat)
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) if factor > 1 else image
