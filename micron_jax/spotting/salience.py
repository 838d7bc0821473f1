"""How much more a face moves than it does all the time.

A mouth that speaks moves farther than most micro-expressions do. So each patch is measured by what
is usual for it in the seconds around.
"""

import itertools

import numpy as np

from micron_jax.spotting.partners import within_clip

AROUND = 1.0  # seconds to either side
USUAL = 0.75  # quantile: a micro-expression fills less than the rest of the time around it
LEAST = 0.1  # px, added to what is usual: even a face at rest has noise
STEP = 0.25  # seconds for which one usual motion serves


def salience_of(maps: np.ndarray, seconds: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The salience of the motion in T frames: that of the patches where it is highest.

    Args:
      maps: what came and went, px, [T, h, w]; looked at a few seconds at a time.
      seconds: of the frames, [T]; what lies beyond a `partners.HOLE` is not around.
      where: the patches that count, bool [h, w].

    Returns:
      The mean of the highest twentieth of each map, in units of the usual motion, float32 [T].
    """
    holes = 1 + np.flatnonzero(~within_clip(seconds))
    pieces = np.split(np.arange(len(seconds)), holes)
    found = [_in_piece(maps[piece[0] : piece[-1] + 1], seconds[piece], where) for piece in pieces]
    return np.concatenate(found)


def _in_piece(maps: np.ndarray, seconds: np.ndarray, where: np.ndarray) -> np.ndarray:
    salience = np.empty(len(maps), np.float32)
    _, starts = np.unique((seconds - seconds[0]) // STEP, return_index=True)
    for first, last in itertools.pairwise([*starts, len(maps)]):
        middle = (seconds[first] + seconds[last - 1]) / 2
        around = np.searchsorted(seconds, (middle - AROUND, middle + AROUND))
        usual = np.quantile(maps[slice(*around)][:, where], USUAL, axis=0)
        ratios = np.sort(maps[first:last][:, where] / (LEAST + usual), axis=1)
        salience[first:last] = ratios[:, -max(1, ratios.shape[1] // 20) :].mean(axis=1)
    return salience
