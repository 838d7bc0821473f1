"""The motion of the whole head between two frames, which is no expression.

A head that shifts, tilts, nears and turns moves each patch of its face by an affine motion and by
parallax: nearer parts, as the nose, move more. The depth is that of a mean face in the crop's
layout, and what the branch sees that this face has besides.
"""

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.models.displacement_numbers import RIDGE, motion_basis


def fit_head(motion, weights, relief=0.0):
    """Fits the head's motion to that of most patches.

    Weighted least squares, and ten times again with small weights for outliers, as the patches of
    an expression are: Cauchy's weights, twice over, in units of the geometric mean of what is off,
    which few large ones hardly raise.

    Args:
      motion: (x, y) in px, [B, H, W, 2].
      weights: of the patches, positive, [B, H, W].
      relief: depth of the faces less the mean face's, in its unit (`face_depth`), [B, H, W].

    Returns:
      The head's motion at each patch, px, [B, H, W, 2].
    """
    weights = weights / weights.sum((1, 2), keepdims=True)
    basis = jnp.broadcast_to(motion_basis(*motion.shape[1:3]), (*motion.shape[:3], 4))
    basis = basis.at[..., 3].add(relief)
    head = _fit(basis, motion, weights)
    for _ in range(10):
        off = jax.lax.stop_gradient(jnp.square(motion - head).sum(-1))
        usual = (weights * jnp.log(off + 0.01**2)).sum((1, 2), keepdims=True)
        head = _fit(basis, motion, weights / jnp.square(1 + off / (jnp.exp(usual) + 0.03**2)))
    return head


def _fit(basis, motion, weights):
    weights = weights / weights.sum((1, 2), keepdims=True)
    own = jnp.einsum("bhwa,bhw,bhwc->bac", basis, weights, basis) + np.diag(np.float32(RIDGE))
    other = jnp.einsum("bhwa,bhw,bhwk->bak", basis, weights, motion)
    return jnp.einsum("bhwa,bak->bhwk", basis, jnp.linalg.solve(own, other))
