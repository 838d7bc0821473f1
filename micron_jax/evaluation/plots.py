"""The numbers and pictures of the report's figures; its templates draw them as SVG."""

import base64
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from matplotlib.ticker import MaxNLocator

SIDE = 320  # pixels of a frame in the report, at most
QUALITY = 92  # of its JPEG: 15 kB, of which a page has three dozen


def curve_figure(
    curves: Mapping[tuple[str, str, int], Mapping[str, float]], name: str, title: str
) -> dict[str, Any] | None:
    """Returns a curve of fine-tuning over its epochs, all seeds and folds in a band.

    Args:
      curves: `Run.curves`, the numbers of each seed, fold and epoch.
      title: for the caption, and for readers who do not see the figure.

    Returns:
      {"title", "epochs", "low", "middle", "high": [E] the median between the extremes, "ticks"};
      None without finite numbers.
    """
    by_epoch: dict[int, list[float]] = {}
    for (_, _, epoch), numbers in curves.items():
        if np.isfinite(numbers.get(name, np.nan)):
            by_epoch.setdefault(epoch, []).append(numbers[name])
    if not by_epoch:
        return None
    epochs = sorted(by_epoch)
    quantiles = [np.quantile(by_epoch[epoch], [0, 0.5, 1]) for epoch in epochs]
    low, middle, high = np.transpose(quantiles).tolist()
    figure = {"title": title, "epochs": epochs, "low": low, "middle": middle, "high": high}
    return figure | {"ticks": nice_ticks(min(low), max(high))}


def keyframe_figure(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns UF1 over errors of onset and apex, a line for each of them.

    Args:
      record: `Run.keyframe_errors`.

    Returns:
      {"title", "unit", "lines": [{"name", "points": [(error, UF1)]}], "x_ticks", "ticks"}; None
      without an error that has figures.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    for error in record["errors"]:
        if "uf1" in error:
            points = lines.setdefault(error["keyframe"], [(0.0, record["uf1"])])
            points.append((error["error"], error["uf1"]))
    if not lines:
        return None
    x, y = zip(*(point for points in lines.values() for point in points), strict=True)
    return {
        "title": "UF1 with onset and apex moved",
        "unit": record["unit"],
        "lines": [{"name": name, "points": sorted(points)} for name, points in lines.items()],
        "x_ticks": nice_ticks(min(x), max(x)),
        "ticks": nice_ticks(min(y), max(y)),
    }


def nice_ticks(low: float, high: float) -> list[float]:
    """Returns three to six round numbers; all values lie between the first and the last."""
    high = max(high, low + 1e-6 * max(1.0, abs(low)))
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return ticks.round(12).tolist()


def picture_address(image: np.ndarray) -> str:
    """Returns an address that holds a JPEG of at most `SIDE` pixels of a uint8 [H, W, 3] RGB."""
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = [max(1, round(edge * scale)) for edge in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def gradient(stops: int = 9) -> str:
    """The colors of `map_over` from nothing to its top, as CSS has them."""
    levels = np.linspace(0, 255, stops).astype(np.uint8)[None]
    colors = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[0, :, ::-1]
    return f"linear-gradient(to right, {', '.join('#' + bytes(c).hex() for c in colors)})"


def map_over(image: np.ndarray, motion: np.ndarray, top: float) -> np.ndarray:
    """Returns a frame with its map of motion over it; without motion the face alone.

    Args:
      image: uint8 [H, W, 3].
      motion: float32 [g, g]; below 0 is nothing.
      top: the motion that is shown at full strength, above 0.
    """
    share = np.clip(np.nan_to_num(motion) / top, 0, 1).astype(np.float32)
    share = cv2.resize(share, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    color = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    alpha = 0.8 * share[..., None]
    return (image * (1 - alpha) + color * alpha).round().astype(np.uint8)
