"""A picture of example maps: a row a clip with its frames, the truth and the maps."""

from collections.abc import Sequence

import cv2
import numpy as np

from micron_jax.benchmarks.learn_truth import AMPLITUDES, Truth, read_pair
from micron_jax.faces.contact_sheet import FONT, GAP, LABEL, SCALE, SIDE
from micron_jax.visualization.overlay import overlay

SHOWN = ("ours", "flow", "difference", "release")
_EACH = 2  # clips of each amplitude, and as many motionless ones


def png(truth: Truth, maps: dict[str, np.ndarray]) -> bytes:
    """Draws the picture; each map's scale is its 99th percentile over all rows.

    Args:
      maps: [S, C, 28, 28] by name; the picture shows the first of S seeds.
    """
    clips = examples(truth)
    shown = [name for name in SHOWN if name in maps]
    tops = {name: max(float(np.percentile(maps[name][0][clips], 99)), 1e-6) for name in shown}
    rows = []
    for n in clips:
        onset, apex = (
            cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for x in read_pair(truth, n)
        )
        # Blinks and turns are dark.
        moved = np.where(truth.moved[n], 1.0, 0.35 * truth.distracted[n])
        amplitude = truth.amplitude[n]
        title = f"{amplitude:g} px, {truth.family[n]}" if amplitude else "motionless"
        tiles = [_tile(onset, f"onset: {title}"), _tile(apex, "apex")]
        tiles.append(_tile(overlay(onset, moved, 1.0), "truth (dark: head, lids)"))
        for name in shown:
            values = np.maximum(maps[name][0][n], 0)
            tiles.append(_tile(overlay(onset, values, tops[name]), name))
        rows.append(np.hstack(tiles))
    return cv2.imencode(".png", np.vstack(rows)[..., ::-1])[1].tobytes()


def examples(truth: Truth) -> Sequence[int]:
    """Chooses clips of each amplitude and motionless ones, of as many people as possible."""
    chosen: list[int] = []
    for amplitude in (*sorted(AMPLITUDES, reverse=True), 0.0):
        free = np.flatnonzero(truth.amplitude == amplitude)
        for _ in range(_EACH):
            used = {truth.person[n] for n in chosen}
            fresh = [n for n in free if n not in chosen]
            fresh.sort(key=lambda n: (truth.person[n] in used, truth.distracted[n].mean()))
            chosen += [int(n) for n in fresh[:1]]
    return chosen


def _tile(image: np.ndarray, name: str) -> np.ndarray:
    """Adds white margins and a name to a square, uint8 [SIDE, SIDE, 3]."""
    tile = cv2.copyMakeBorder(image, LABEL, GAP, GAP, 0, cv2.BORDER_CONSTANT, value=(255,) * 3)
    return cv2.putText(tile, name, (GAP, LABEL - 5), FONT, SCALE, (0, 0, 0), 1, cv2.LINE_AA)
