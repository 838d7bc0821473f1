"""Levels of motion in px: of a moved and an unmoved patch, and the amplitudes of clips."""

import numpy as np

from micron_jax.synthetic.render import PATCH, SIZE

MOVED, STILL = 0.25, 0.1  # px: a moved patch moves by more everywhere, an unmoved one by less
AMPLITUDES = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0)  # px; a clip counts with the nearest, in ratio
GRID = SIZE // PATCH


def nearest(amplitude: float) -> float:
    """Returns the nearest of `AMPLITUDES`, in ratio; 0 stays 0."""
    if amplitude <= 0:
        return 0.0
    return float(min(AMPLITUDES, key=lambda level: abs(np.log(amplitude / level))))
