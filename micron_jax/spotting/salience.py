"""How much more a face moves than it does all the time.

A mouth that speaks moves farther than most micro-expressions do. So each patch is measured by what
is usual for it in the seconds around, without those in which a micro-expression would last.
"""

import itertools

import numpy as np

from micron_jax.spotting.partners import without_holes

NEAR, AROUND = 0.375, 1.5  # seconds to either side, between which motion is usual
USUAL = 0.75  # quantile
LEAST = 0.1  # px, added to what is usual: even a face at rest has noise
STEP = 0.1  # seconds for which one usual motion serves


def salience_of(maps: np.ndarray, seconds: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The salience of the motion in T frames: that of the patches where it is highest.

    Args:
      maps: what came and went, px, [T, h, w]; looked at a few seconds at a time.
      seconds: of the frames, [T]; what lies beyond a `partners.HOLE` is not around.
      where: the patches that count, bool [h, w].

    Returns:
      The mean of the highest twentieth of each map, in units of the usual motion, float32 [T].
    """
    pieces = (slice(piece[0], piece[-1] + 1) for piece in without_holes(seconds))
    return np.concatenate([_in_piece(maps[piece], seconds[piece], where) for piece in pieces])


def highest(values: np.ndarray) -> np.ndarray:
    """The mean of the highest twentieth of [..., P] values, [...]."""
    count = max(1, values.shape[-1] // 20)
    return np.sort(values, axis=-1)[..., -count:].mean(axis=-1)


def _in_piece(maps: np.ndarray, seconds: np.ndarray, where: np.ndarray) -> np.ndarray:
    salience = np.empty(len(maps), np.float32)
    _, starts = np.unique((seconds - seconds[0]) // STEP, return_index=True)
    for first, last in itertools.pairwise([*starts, len(maps)]):
        middle = (seconds[first] + seconds[last - 1]) / 2
        edges = middle + np.array([-AROUND, -NEAR, NEAR, AROUND])
        early, near, late, end = np.searchsorted(seconds, edges)
        around = np.concatenate([maps[early:near], maps[late:end]])[:, where]
        # In a clip that is no longer than an expression nothing is usual.
        usual = np.quantile(around, USUAL, axis=0) if len(around) else 0.0
        salience[first:last] = highest(maps[first:last][:, where] / (LEAST + usual))
    return salience
