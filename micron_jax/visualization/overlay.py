"""Maps over faces: one scale, one legend, nothing stretched."""

import cv2
import matplotlib
import numpy as np

COLORS = "inferno"
OPAQUE = 0.8  # where the map is at its top; the face shows where it is at zero
LABELS = {
    "motion": "probability that it moved",
    "symmetric": "symmetric heat, logits",
    "cosine": "1 − cosine of the tokens",
    "release": "release's heat, 1 − d / max d",
}
# Where a scale ends at least: noise is not stretched to full color.
LEAST = {"motion": 1.0, "symmetric": 0.1, "cosine": 1e-4, "release": 1.0}


def top_of(heat: np.ndarray, kind: str) -> float:
    """The end of a map's scale, which starts at zero; a single patch does not set it."""
    return max(float(np.percentile(heat, 99.5)), LEAST[kind])


def overlay(face: np.ndarray, heat: np.ndarray, top: float) -> np.ndarray:
    """A map over a face: uint8 [V, V, 3], float [h, w], scale 0..top -> uint8 [V, V, 3]."""
    part = np.clip(heat / top, 0, 1).astype(np.float32)
    large = cv2.resize(part, face.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colors = 255 * matplotlib.colormaps[COLORS](large)[..., :3]
    alpha = OPAQUE * large[..., None]
    return np.rint((1 - alpha) * face + alpha * colors).astype(np.uint8)


def tint(face: np.ndarray, values: np.ndarray, low: float, high: float, colors: str) -> np.ndarray:
    """A face in the colors of a map that has no zero, on the scale low..high; see `overlay`."""
    part = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    large = cv2.resize(part, face.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colored = 255 * matplotlib.colormaps[colors](large)[..., :3]
    return np.rint((face + colored) / 2).astype(np.uint8)


def show_face(axis, face: np.ndarray, title: str, aspect: float = 1.0):
    """A square crop, drawn with the aspect (width over height) of what it shows."""
    axis.set_axis_off()
    axis.set_title(title, fontsize=8)
    image = axis.imshow(face)
    axis.set_aspect(1 / aspect)
    return image


def show_heat(
    axis, face: np.ndarray, heat: np.ndarray, top: float, title: str, aspect: float = 1.0
):
    """A map over a face; -> what a color bar needs."""
    show_face(axis, overlay(face, heat, top), title, aspect)
    return matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, top), COLORS)


def legend(figure, axis, shown, label: str) -> None:
    """A color bar beside a map."""
    bar = figure.colorbar(shown, ax=axis, fraction=0.045, pad=0.02)
    bar.ax.tick_params(labelsize=6)
    bar.set_label(label, fontsize=7)
