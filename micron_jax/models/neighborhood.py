"""Micro-attention over a neighborhood: scores of each cell with those near its place.

Diagonal Micro-Attention scores a patch against its own place in the other frame. Here each cell of
a finer grid is scored against all places within a reach, once; a refinement then reads the scores
about its present guess, between cells too (the all-pairs volume of RAFT, arXiv 2003.12039, cut to
a neighborhood).
"""

import jax.numpy as jnp


def neighborhood_scores(cells, others, reach: int):
    """Scores of cells with the other frame's cells at all shifts up to `reach`.

    A product of each row with a row of the other frame, of which a diagonal band is kept, is
    several times faster than a product at each shift.

    Args:
      cells, others: features of two frames, [B, H, W, C] each.
      reach: cells, R.

    Returns:
      [B, H, W, 2R + 1, 2R + 1], by shift down and across; beyond the border scores are 0.
    """
    batch, height, width, _ = cells.shape
    count = 2 * reach + 1
    padded = jnp.pad(others, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    bands = []
    for down in range(count):
        scores = jnp.einsum("bhwc,bhvc->bhwv", cells, padded[:, down : down + height])
        # Element (w, w + s) of a matrix with rows of n is element (w, s) of one with rows of n + 1.
        line = jnp.pad(scores.reshape(batch, height, -1), ((0, 0), (0, 0), (0, width)))
        bands.append(line.reshape(batch, height, width, -1)[..., :count])
    return jnp.stack(bands, axis=3)


def read_scores(scores, place, look: int):
    """Reads scores about a place for each cell, linearly between cells.

    Args:
      scores: [B, H, W, 2R + 1, 2R + 1], as of `neighborhood_scores`.
      place: shift (x, y) of each cell, in cells, [B, H, W, 2]; beyond the reach, its border counts.
      look: how far about the place, in cells, L.

    Returns:
      [B, H, W, (2L + 1)²].
    """
    reach = scores.shape[-1] // 2
    across, down = (_hats(place[..., axis], look, reach) for axis in (0, 1))
    rows = jnp.einsum("bhwyi,bhwij->bhwyj", down, scores)
    read = jnp.einsum("bhwyj,bhwxj->bhwyx", rows, across)
    return read.reshape(*read.shape[:3], -1)


def _hats(place, look: int, reach: int):
    """Weights of linear interpolation about places [...]: [..., 2 look + 1, 2 reach + 1]."""
    targets = jnp.clip(place, -reach, reach)[..., None] + jnp.arange(-look, look + 1.0)
    return jnp.maximum(0, 1 - jnp.abs(targets[..., None] - jnp.arange(-reach, reach + 1.0)))
