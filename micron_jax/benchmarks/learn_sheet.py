"""A picture of example maps: a row a clip with its frames, the true and the read lengths in px."""

from collections.abc import Sequence

import cv2
import numpy as np

from micron_jax.benchmarks.learn_flow import lengths
from micron_jax.benchmarks.learn_levels import AMPLITUDES
from micron_jax.benchmarks.learn_methods import Readout
from micron_jax.benchmarks.learn_truth import Truth, read_pair
from micron_jax.faces.contact_sheet import FONT, GAP, LABEL, SCALE, SIDE
from micron_jax.visualization.overlay import overlay

SHOWN = ("ours", "flow", "difference", "release")
TOP = 3.0  # px, the end of the scale of all lengths
_EACH = 1  # clips of each amplitude, and as many motionless ones


def png(truth: Truth, readouts: dict[str, list[Readout]]) -> bytes:
    """Draws the picture.

    Lengths of displacements have one scale, 0 to 3 px, the truth's, too. A read-out without a
    displacement has a scale of its own, which ends at the 99th percentile over all rows.

    Args:
      readouts: by name, one of each seed; the picture shows the first.
    """
    clips = examples(truth)
    maps, tops = {}, {}
    for name in SHOWN:
        if name in readouts:
            first = readouts[name][0]
            px = first.vector is not None
            maps[name] = lengths(first.vector) if px else first.score
            top = TOP if px else max(float(np.percentile(maps[name][clips], 99)), 1e-6)
            tops[name] = (top, f"{name}, 0-{TOP:g} px" if px else name)
    rows = []
    for n in clips:
        onset, apex = (
            cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for x in read_pair(truth, n)
        )
        amplitude = truth.amplitude[n]
        title = f"{amplitude:g} px, {truth.family[n]}" if amplitude else "motionless"
        tiles = [_tile(onset, f"onset: {title}"), _tile(apex, "apex")]
        true = lengths(truth.displacement[n])
        tiles.append(_tile(overlay(onset, true, TOP), f"truth, 0-{TOP:g} px"))
        for name, (top, label) in tops.items():
            tiles.append(_tile(overlay(onset, np.maximum(maps[name][n], 0), top), label))
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
