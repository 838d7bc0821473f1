"""Maps over faces: one scale, one legend, nothing stretched."""

import cv2
import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

COLORS = "inferno"
OPAQUE = 0.8  # where the map is at its top; the face shows where it is at zero
LABELS = {
    "motion": "displacement, px",
    "moved": "probability that it moved",
    "symmetric": "symmetric map, logits",
    "cosine": "1 − cosine of the tokens",
    "release": "release's map, 1 − d / max d",
}
# The ends of scales that are the same for all pictures.
FIXED = {"motion": 3.0, "moved": 1.0}
# Other scales end at this or above: noise is not stretched to full color.
LEAST = {"symmetric": 0.1, "cosine": 1e-4, "release": 1.0, "flow": 0.5}


def top_of(values: np.ndarray, kind: str) -> float:
    """The end of a map's scale, which starts at zero; a single patch does not set it."""
    return FIXED.get(kind) or max(float(np.percentile(values, 99.5)), LEAST[kind])


def overlay(face: np.ndarray, values: np.ndarray, top: float) -> np.ndarray:
    """Draws a map over a face.

    Args:
      face: uint8 [V, V, 3].
      values: float [h, w].
      top: the end of the scale, which starts at 0.

    Returns:
      uint8 [V, V, 3].
    """
    large = _enlarge(values / top, face)
    alpha = OPAQUE * large[..., None]
    return np.rint((1 - alpha) * face + alpha * _paint(large, COLORS)).astype(np.uint8)


def tint(face: np.ndarray, values: np.ndarray, low: float, high: float, colors: str) -> np.ndarray:
    """Draws a face in the colors of a map that has no zero, on the scale low..high."""
    large = _enlarge((values - low) / (high - low), face)
    return np.rint((face + _paint(large, colors)) / 2).astype(np.uint8)


def show_face(axis, face: np.ndarray, title: str, aspect: float = 1.0) -> None:
    """Shows a square crop with the aspect (width over height) of its content."""
    axis.set_axis_off()
    axis.set_title(title, fontsize=8)
    axis.imshow(face)
    axis.set_aspect(1 / aspect)


def show_map(
    axis, face: np.ndarray, values: np.ndarray, top: float, title: str, aspect: float = 1.0
) -> ScalarMappable:
    """Shows a map over a face; returns its scale, for a `legend`."""
    show_face(axis, overlay(face, values, top), title, aspect)
    return ScalarMappable(Normalize(0, top), COLORS)


def legend(axes, scale: ScalarMappable, label: str) -> None:
    """Draws a color bar beside a map, or beside several that share a scale."""
    bar = np.ravel(axes)[0].figure.colorbar(scale, ax=axes, fraction=0.045, pad=0.02)
    bar.ax.tick_params(labelsize=6)
    bar.set_label(label, fontsize=7)


def legend_below(axis, scale: ScalarMappable, label: str) -> None:
    """Draws a color bar that fills an axis below a map, or below several that share a scale."""
    axis.figure.colorbar(scale, cax=axis, orientation="horizontal", ticks=MaxNLocator(4))
    axis.tick_params(labelsize=7)
    axis.set_xlabel(label, fontsize=8)


def _enlarge(shares: np.ndarray, face: np.ndarray) -> np.ndarray:
    shares = np.clip(shares, 0, 1).astype(np.float32)
    return cv2.resize(shares, face.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _paint(shares: np.ndarray, colors: str) -> np.ndarray:
    return 255 * matplotlib.colormaps[colors](shares)[..., :3]
