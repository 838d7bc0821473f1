"""Registration of the pairs of a batch on the device, the twin of `faces.registration`.

That one tracks points on the host. This one fits an affine transform, a gain and an offset of the
levels to the pixels, by Gauss-Newton steps from coarse to fine (Lucas and Kanade's method with the
mean of both frames' slopes). Pixels that do not fit get small weights, so that neither an
expression nor a blink moves the frame.
"""

import jax
import jax.numpy as jnp

_STEPS = ((56, 8), (112, 6))  # side of the compared frames in px, and number of steps
_FARTHEST = 0.1  # of the side: a face that holds still moves less
_GRAY = (0.299, 0.587, 0.114)
_SOFT = 0.5  # gray levels: the noise of frames that fit


def align(moving, reference):
    """Moves a frame onto a reference of the same face, and matches its light.

    Args:
      moving, reference: levels 0..255, float32 [S, S, 3].

    Returns:
      The moving frame in the reference's place and light, float32 [S, S, 3], with its border
      repeated; the unchanged frame, where the fit brings the frames no nearer or moves a corner by
      more than a tenth of the side.
    """
    identity = fitted = jnp.zeros(8)
    for side, steps in _STEPS:
        gray = (frame @ jnp.array(_GRAY) for frame in (moving, reference))
        small = [jax.image.resize(frame, (side, side), "linear") for frame in gray]
        fitted = jax.lax.fori_loop(0, steps, lambda _, now, of=small: _step(now, *of), fitted)
    apart = [
        jnp.median(jnp.abs(small[1] - _warped(values, small[0]))) for values in (identity, fitted)
    ]
    transform, gain, offset = _parts(fitted)
    corners = jnp.array([(-1, -1, 1), (1, -1, 1), (-1, 1, 1), (1, 1, 1)], jnp.float32)
    farthest = jnp.linalg.norm(corners @ transform, axis=-1).max() / 2
    good = (apart[1] < apart[0]) & (farthest < _FARTHEST) & (gain > 0.5) & (gain < 2)
    places = _places(transform, len(moving))
    moved = jnp.clip(gain * look_up_cubic(moving, places) + offset, 0, 255)
    return jnp.where(good, moved, moving)


def look_up(image, places):
    """Values of an image between its pixels, bilinear: [S, S, C] at (x, y) [H, W, 2]."""
    side = image.shape[0]
    places = jnp.clip(places, 0.0, side - 1.001)
    corner = jnp.floor(places).astype(jnp.int32)
    x, y = jnp.moveaxis((places - corner)[..., None], -2, 0)
    first = corner[..., 1] * side + corner[..., 0]
    pixels = jnp.asarray(image).reshape(-1, image.shape[-1])
    top = pixels[first] * (1 - x) + pixels[first + 1] * x
    bottom = pixels[first + side] * (1 - x) + pixels[first + side + 1] * x
    return top * (1 - y) + bottom * y


def look_up_cubic(image, places):
    """Values between pixels by Keys' cubic, sharper than `look_up`; shapes as there."""
    side = image.shape[0]
    corner = jnp.floor(places)
    x, y = jnp.moveaxis(places - corner, -1, 0)
    columns, rows = jnp.moveaxis(corner.astype(jnp.int32), -1, 0)
    pixels = image.reshape(-1, image.shape[-1])

    def taps(t):
        near, far = t, 1 - t
        return [
            -0.5 * near * far**2,
            1 - 2.5 * near**2 + 1.5 * near**3,
            1 - 2.5 * far**2 + 1.5 * far**3,
            -0.5 * far * near**2,
        ]

    total = 0.0
    for i, down in enumerate(taps(y)):
        row = jnp.clip(rows + i - 1, 0, side - 1) * side
        for j, across in enumerate(taps(x)):
            column = jnp.clip(columns + j - 1, 0, side - 1)
            total += (down * across)[..., None] * pixels[row + column]
    return total


def _parts(values):
    """Eight numbers, all zero of the identity, as displacement, gain and offset.

    The displacement is [3, 2], of (x, y, 1) in half sides; the offset is in gray levels.
    """
    return values[:6].reshape(2, 3).T, jnp.exp(values[6]), values[7]


def _plane(side: int):
    """(x, y, 1) of the pixels of a frame, from -1 to 1: [side, side, 3]."""
    line = (jnp.arange(side) + 0.5) * 2 / side - 1
    x, y = jnp.meshgrid(line, line)
    return jnp.stack([x, y, jnp.ones_like(x)], -1)


def _places(transform, side: int):
    """Places of the reference's pixels in the moving frame, px (x, y): [side, side, 2]."""
    plane = _plane(side)
    return (plane[..., :2] + plane @ transform + 1) * side / 2 - 0.5


def _warped(values, moving):
    transform, gain, offset = _parts(values)
    levels = look_up(moving[..., None], _places(transform, len(moving)))[..., 0]
    return gain * levels + offset


def _step(values, moving, reference):
    side, plane = len(moving), _plane(len(moving))
    warped = _warped(values, moving)
    rest = reference - warped
    scale = 2 * (jnp.median(jnp.abs(rest)) + _SOFT)
    weight = 1 / jnp.square(1 + jnp.square(rest / scale))
    down, across = (slope * side / 2 for slope in jnp.gradient((warped + reference) / 2))
    slopes = [across[..., None] * plane, down[..., None] * plane]
    light = jnp.stack([warped - values[7], jnp.ones_like(warped)], -1)
    jacobian = jnp.concatenate([*slopes, light], -1).reshape(-1, 8)
    weighted = jacobian * weight.reshape(-1, 1)
    # Frames without texture determine nothing: the smallest change.
    own = weighted.T @ jacobian
    own = own + 1e-5 * jnp.diag(jnp.diag(own)) + 1e-3 * jnp.eye(8)
    return values + jnp.linalg.solve(own, weighted.T @ rest.ravel())
