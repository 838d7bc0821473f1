"""The report's pictures: SVG that takes the page's colors and width, and frames as PNG."""

import base64
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

SIDE = 160  # pixels of a shown frame


def strip(
    value: float, interval: Sequence[float] | None, marks: Sequence[float] = (), published=None
) -> str:
    """A value on a line from 0 to 1, its interval, its seeds as `marks`, and what was published."""
    width, middle, pad = 300, 16, 8

    def at(share: float) -> str:
        return f"{pad + share * (width - 2 * pad):.1f}"

    parts = [f'<line class="axis" x1="{at(0)}" x2="{at(1)}" y1="{middle}" y2="{middle}"/>']
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = at(tick)
        parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{middle - 3}" y2="{middle + 3}"/>')
        parts.append(f'<text x="{x}" y="{middle + 17}" text-anchor="middle">{tick:g}</text>')
    if interval:
        low, high = map(at, interval)
        parts.append(f'<line class="interval" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>')
    for mark in marks:
        parts.append(
            f'<line class="mark" x1="{at(mark)}" x2="{at(mark)}" y1="{middle - 8}" '
            f'y2="{middle + 8}"/>'
        )
    parts.append(f'<circle class="value" cx="{at(value)}" cy="{middle}" r="5"/>')
    if published is not None:
        parts.append(f'<circle class="published" cx="{at(published)}" cy="{middle}" r="5"/>')
    return _svg(width, 38, parts, f"{value:.4f} on a line from 0 to 1")


def curves(name: str, steps: Sequence[int], low, middle, high) -> str:
    """One quantity over the epochs: the median over seeds and folds, in a band of all of them.

    Args:
      name: what the picture shows, for readers who do not see it.
      steps: [E] epochs, ascending.
      low, middle, high: float [E].
    """
    width, height, left, bottom, top = 420, 220, 46, 30, 8
    first, last = steps[0], max(steps[-1], steps[0] + 1)
    ticks = nice_ticks(float(np.min(low)), float(np.max(high)))

    def x(step: float) -> float:
        return left + (step - first) / (last - first) * (width - left - 12)

    def y(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return height - bottom - share * (height - bottom - top)

    def line(values) -> str:
        return " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(steps, values, strict=True))

    parts = []
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{left}" x2="{width - 12}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}"/>'
            f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for step in dict.fromkeys((first, round((first + last) / 2), last)):
        parts.append(
            f'<text x="{x(step):.1f}" y="{height - 10}" text-anchor="middle">{step}</text>'
        )
    back = " ".join(reversed(line(high).split()))
    parts.append(f'<polygon class="band" points="{line(low)} {back}"/>')
    parts.append(f'<polyline class="curve" points="{line(middle)}"/>')
    return _svg(width, height, parts, name)


def nice_ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers of which the first and last hold all values."""
    spread = max(high - low, 1e-6 * max(1.0, abs(high)))
    power = 10.0 ** np.floor(np.log10(spread / 4))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if spread / (power * m) <= 4)
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return [float(round(n * step, 12)) for n in np.arange(first, max(last, first + 1) + 1)]


def over_epochs(
    rows: Mapping[tuple[str, str, int], Mapping[str, float]], name: str
) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray] | None:
    """(epochs [E], lowest, median, highest [E]) over seeds and folds; None without such numbers."""
    by_epoch: dict[int, list[float]] = {}
    for (_, _, epoch), numbers in rows.items():
        if name in numbers and np.isfinite(numbers[name]):
            by_epoch.setdefault(epoch, []).append(numbers[name])
    if not by_epoch:
        return None
    epochs = sorted(by_epoch)
    shares = [np.quantile(by_epoch[epoch], [0, 0.5, 1]) for epoch in epochs]
    return epochs, *np.array(shares).T


def frame(image: np.ndarray) -> str:
    """uint8 [H, W, 3] RGB -> the address of a PNG of at most `SIDE` pixels that holds itself."""
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = [max(1, round(edge * scale)) for edge in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    png = cv2.imencode(".png", small[..., ::-1])[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def heat_over(image: np.ndarray, heat: np.ndarray, top: float) -> np.ndarray:
    """A frame with its heat over it, where nothing moved the face alone.

    Args:
      image: uint8 [H, W, 3].
      heat: float32 [g, g]; below 0 is nothing.
      top: the heat that is shown at full strength, above 0.

    Returns:
      uint8 [H, W, 3].
    """
    share = np.clip(np.nan_to_num(heat) / top, 0, 1).astype(np.float32)
    share = cv2.resize(share, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    color = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    alpha = 0.8 * share[..., None]
    return (image * (1 - alpha) + color * alpha).round().astype(np.uint8)


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}">'
        f"{''.join(parts)}</svg>"
    )
