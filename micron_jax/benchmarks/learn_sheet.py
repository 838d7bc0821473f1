"""A sheet of example maps: a row a clip, its frames, the truth, and what each way saw."""

from collections.abc import Sequence

import cv2
import numpy as np

from micron_jax.benchmarks.learn_truth import AMPLITUDES, Truth, read_pair
from micron_jax.faces.contact_sheet import FONT, GAP, LABEL, SCALE, SIDE
from micron_jax.visualization.overlay import overlay

SHOWN = ("ours", "flow", "difference", "release")
_EACH = 2  # clips of each amplitude, and as many motionless ones


def png(truth: Truth, maps: dict[str, np.ndarray]) -> bytes:
    """The sheet; each way has one scale for all rows, the 99th percentile of what is shown.

    Args:
      maps: [S, C, 28, 28] by name; of several seeds, the first is shown.
    """
    clips = examples(truth)
    shown = [name for name in SHOWN if name in maps]
    tops = {name: max(float(np.percentile(maps[name][0][clips], 99)), 1e-6) for name in shown}
    rows = []
    for n in clips:
        onset, apex = (
            cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for x in read_pair(truth, n)
        )
        # A blink or a turn is dark where no expression moves.
        known = np.where(truth.moved[n], 1.0, 0.35 * truth.distracted[n])
        amplitude = truth.amplitude[n]
        told = f"{amplitude:g} px, {truth.family[n]}" if amplitude else "motionless"
        tiles = [_tile(onset, f"onset: {told}"), _tile(apex, "apex")]
        tiles.append(_tile(overlay(onset, known, 1.0), "truth (dark: head, lids)"))
        for name in shown:
            heat = np.maximum(maps[name][0][n], 0)
            tiles.append(_tile(overlay(onset, heat, tops[name]), name))
        rows.append(np.hstack(tiles))
    return cv2.imencode(".png", np.vstack(rows)[..., ::-1])[1].tobytes()


def examples(truth: Truth) -> Sequence[int]:
    """Clips of as many people as there are: of each amplitude, and motionless ones."""
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
    """A square with its name above, on white: uint8 [SIDE, SIDE, 3] -> with margins."""
    tile = cv2.copyMakeBorder(image, LABEL, GAP, GAP, 0, cv2.BORDER_CONSTANT, value=(255,) * 3)
    return cv2.putText(tile, name, (GAP, LABEL - 5), FONT, SCALE, (0, 0, 0), 1, cv2.LINE_AA)
