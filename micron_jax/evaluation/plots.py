"""The numbers and pictures of the report's figures; its templates draw them as SVG."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

SIDE = 160  # pixels of a frame in the report


def curve_figure(title: str, steps: Sequence[int], low, middle, high) -> dict[str, Any]:
    """Returns a curve in its band, in the coordinates of an SVG.

    Args:
      title: for the caption, and for readers who do not see the figure.
      steps: [E] epochs, ascending.
      low, middle, high: float [E].

    Returns:
      {"title", "width", "height", "left", "right", "x_ticks", "y_ticks": [(coordinate, text)],
      "band", "curve": points of a polygon and of a line}.
    """
    width, height, left, right, top, bottom = 420, 220, 46, 408, 8, 190
    first, last = steps[0], max(steps[-1], steps[0] + 1)
    ticks = nice_ticks(float(np.min(low)), float(np.max(high)))

    def x(step: float) -> float:
        return round(left + (step - first) / (last - first) * (right - left), 1)

    def y(value: float) -> float:
        return round(
            float(bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - top)), 1
        )

    def points(values) -> list[str]:
        return [f"{x(step)},{y(value)}" for step, value in zip(steps, values, strict=True)]

    return {
        "title": title,
        "width": width,
        "height": height,
        "left": left,
        "right": right,
        "x_ticks": [(x(n), n) for n in dict.fromkeys((first, round((first + last) / 2), last))],
        "y_ticks": [(y(tick), f"{tick:g}") for tick in ticks],
        "band": " ".join([*points(low), *reversed(points(high))]),
        "curve": " ".join(points(middle)),
    }


def nice_ticks(low: float, high: float) -> list[float]:
    """Returns three to six round numbers; all values lie between the first and the last."""
    spread = max(high - low, 1e-6 * max(1.0, abs(high)))
    power = 10.0 ** np.floor(np.log10(spread / 4))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if spread / (power * m) <= 4)
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return [float(round(n * step, 12)) for n in np.arange(first, max(last, first + 1) + 1)]


def over_epochs(
    rows: Mapping[tuple[str, str, int], Mapping[str, float]], name: str
) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray] | None:
    """Returns (epochs [E], lowest, median, highest [E]) over seeds and folds; None without rows."""
    by_epoch: dict[int, list[float]] = {}
    for (_, _, epoch), numbers in rows.items():
        if name in numbers and np.isfinite(numbers[name]):
            by_epoch.setdefault(epoch, []).append(numbers[name])
    if not by_epoch:
        return None
    epochs = sorted(by_epoch)
    quantiles = [np.quantile(by_epoch[epoch], [0, 0.5, 1]) for epoch in epochs]
    return epochs, *np.array(quantiles).T


def png_address(image: np.ndarray) -> str:
    """Returns an address that holds a PNG of at most `SIDE` pixels of a uint8 [H, W, 3] RGB."""
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = [max(1, round(edge * scale)) for edge in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    png = cv2.imencode(".png", small[..., ::-1])[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def map_over(image: np.ndarray, motion: np.ndarray, top: float) -> np.ndarray:
    """Returns a frame with its map of motion over it; without motion the face alone.

    Args:
      image: uint8 [H, W, 3].
      motion: float32 [g, g]; below 0 is nothing.
      top: the motion that is shown at full strength, above 0.

    Returns:
      uint8 [H, W, 3].
    """
    share = np.clip(np.nan_to_num(motion) / top, 0, 1).astype(np.float32)
    share = cv2.resize(share, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    color = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    alpha = 0.8 * share[..., None]
    return (image * (1 - alpha) + color * alpha).round().astype(np.uint8)
