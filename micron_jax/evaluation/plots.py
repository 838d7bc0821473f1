"""The numbers and pictures of the report's figures; its templates draw them as SVG."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.ticker import MaxNLocator

SIDE = 160  # pixels of a frame in the report
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 220, 46, 408, 8, 190  # of a curve's SVG and axes


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
    first, last = steps[0], max(steps[-1], steps[0] + 1)
    ticks = nice_ticks(float(np.min(low)), float(np.max(high)))

    def x(step) -> list[float]:
        return np.interp(step, [first, last], [LEFT, RIGHT]).round(1).tolist()

    def y(value) -> list[float]:
        return np.interp(value, [ticks[0], ticks[-1]], [BOTTOM, TOP]).round(1).tolist()

    low, middle, high = (
        [f"{at},{value}" for at, value in zip(x(steps), y(line), strict=True)]
        for line in (low, middle, high)
    )
    epochs = list(dict.fromkeys((first, round((first + last) / 2), last)))
    return {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": RIGHT,
        "x_ticks": list(zip(x(epochs), epochs, strict=True)),
        "y_ticks": [(at, f"{tick:g}") for at, tick in zip(y(ticks), ticks, strict=True)],
        "band": " ".join([*low, *reversed(high)]),
        "curve": " ".join(middle),
    }


def nice_ticks(low: float, high: float) -> list[float]:
    """Returns three to six round numbers; all values lie between the first and the last."""
    high = max(high, low + 1e-6 * max(1.0, abs(low)))
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return ticks.round(12).tolist()


def over_epochs(
    rows: Mapping[tuple[str, str, int], Mapping[str, float]], name: str
) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray] | None:
    """Returns (epochs [E], lowest, median, highest [E]) over seeds and folds; None without rows."""
    by_epoch: dict[int, list[float]] = {}
    for (_, _, epoch), numbers in sorted(rows.items(), key=lambda row: row[0][2]):
        if np.isfinite(numbers.get(name, np.nan)):
            by_epoch.setdefault(epoch, []).append(numbers[name])
    if not by_epoch:
        return None
    quantiles = [np.quantile(values, [0, 0.5, 1]) for values in by_epoch.values()]
    return list(by_epoch), *np.array(quantiles).T


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
    """
    share = np.clip(np.nan_to_num(motion) / top, 0, 1).astype(np.float32)
    share = cv2.resize(share, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    color = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    alpha = 0.8 * share[..., None]
    return (image * (1 - alpha) + color * alpha).round().astype(np.uint8)
