"""The motion of the whole head between two frames, which is no expression.

A head that shifts, tilts, nears and turns moves each patch of its face by an affine motion and by
parallax: nearer parts, as the nose, move more. The depth is that of a mean face in the crop's
layout.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

# Of a face in an aligned crop (`faces.landmarks`), in units of its side.
PUPILS, NOSE = 0.2674, (0.5002, 0.5128)

# Of one unit of each column, [1, x, y, depth], how unlikely: only a face that is textureless, or a
# window without one, is held back by them.
_RIDGE = (1e-5, 1e-4, 1e-4, 3e-3)


@functools.cache
def face_depth(height: int, width: int) -> np.ndarray:
    """Depth of a mean face at the patches of a crop, less its mean, float32 [height, width].

    The unit is the face's own half depth: an ellipsoid about the middle of the face, 1.6 pupil
    distances to either side, 2.1 up and down, and a nose of 0.35.
    """
    x, y = np.meshgrid(*((np.arange(count) + 0.5) / count for count in (width, height)))
    x, y = ((at - center) / PUPILS for at, center in zip((x, y), NOSE, strict=True))
    head = np.sqrt(np.clip(1 - (x / 1.6) ** 2 - (y / 2.1) ** 2, 0, None))
    nose = 0.35 * np.exp(-((x / 0.28) ** 2) - (y / 0.45) ** 2)
    return np.float32(head + nose - (head + nose).mean())


@functools.cache
def motion_basis(height: int, width: int) -> np.ndarray:
    """Columns [1, x, y, depth] of the head's motion at each patch, float32 [height, width, 4]."""
    x, y = np.meshgrid(*((np.arange(count) + 0.5) / count * 2 - 1 for count in (width, height)))
    return np.stack([np.ones_like(x), x, y, face_depth(height, width)], -1).astype(np.float32)


def fit_head(motion, weights):
    """Fits the head's motion to that of most patches.

    Weighted least squares, and ten times again with small weights for outliers, as the patches of
    an expression are: Cauchy's weights, twice over, in units of the geometric mean of what is off,
    which few large ones hardly raise.

    Args:
      motion: (x, y) in px, [B, H, W, 2].
      weights: of the patches, positive, [B, H, W].

    Returns:
      The head's motion at each patch, px, [B, H, W, 2].
    """
    weights = weights / weights.sum((1, 2), keepdims=True)
    head = _fit(motion, weights)
    for _ in range(10):
        off = jax.lax.stop_gradient(jnp.square(motion - head).sum(-1))
        usual = (weights * jnp.log(off + 0.01**2)).sum((1, 2), keepdims=True)
        head = _fit(motion, weights / jnp.square(1 + off / (jnp.exp(usual) + 0.03**2)))
    return head


def _fit(motion, weights):
    basis = motion_basis(*motion.shape[1:3])
    weights = weights / weights.sum((1, 2), keepdims=True)
    own = jnp.einsum("hwa,bhw,hwc->bac", basis, weights, basis) + np.diag(np.float32(_RIDGE))
    other = jnp.einsum("hwa,bhw,bhwk->bak", basis, weights, motion)
    return jnp.einsum("hwa,bak->bhwk", basis, jnp.linalg.solve(own, other))
