"""Displacements of patches by least squares of their pixels (Lucas and Kanade, 1981).

The second frame is moved back by the present guess, and the gradients and the difference that is
left say how far each patch still is. Two bands of detail and three sizes of neighborhood each give
an answer, with the texture that it rests on and the difference that it leaves.
"""

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.models.band import pool

LUMA = (0.299, 0.587, 0.114)  # of normalized RGB
CONTRAST = 4.0
BANDS = (
    (0.8, 6.0),
    (2.0, 10.0),
)  # px: standard deviations of two Gaussians, whose difference it is
SPREADS = (0.0, 1.0, 2.5)  # patches: standard deviations of the neighborhoods
ANSWERS = len(BANDS) * len(SPREADS)
_FARTHEST = 3.0  # px, of an answer


def detail(images):
    """Bands of detail of normalized frames [B, H, W, 3]: gray, float32 [B, bands, H, W]."""
    gray = images.astype(jnp.float32) @ jnp.asarray(LUMA, jnp.float32) * CONTRAST
    return jnp.stack([_blur(gray, fine) - _blur(gray, coarse) for fine, coarse in BANDS], axis=1)


def enlarge(values, height: int, width: int):
    """Values of patches [B, h, w, F] at the pixels or cells of a finer grid, linearly."""
    down, across = (_linear(n, k) for n, k in ((height, values.shape[1]), (width, values.shape[2])))
    return jnp.einsum("ih,jw,bhwf->bijf", down, across, values)


def residual_answers(reference, images, guess, patch_size: int):
    """Answers to what a guess of the displacement leaves; no gradient passes through them.

    Args:
      reference, images: bands of both frames, as of `detail`.
      guess: displacement (x, y) of each patch, px, [B, h, w, 2].

    Returns:
      (the displacement that is left, px, for each spread and band, [B, h, w, `ANSWERS`, 2]; the
      logarithms of the texture's smaller eigenvalue and of the difference that remains, scaled,
      [B, h, w, 2 · `ANSWERS`]).
    """
    height, width = reference.shape[2:]
    moved = _move_back(images, enlarge(guess, height, width))
    across, down = _gradients((reference + moved) / 2)
    change = moved - reference
    pairs = (across, across), (across, down), (down, down), (across, change), (down, change)
    products = jnp.stack([a * b for a, b in (*pairs, (change, change))], axis=2)
    batch, bands = products.shape[:2]
    grid = height // patch_size, width // patch_size
    cells = products.reshape(batch, bands, 6, grid[0], patch_size, grid[1], patch_size)
    moments = cells.mean((4, 6)).transpose(0, 3, 4, 1, 2).reshape(batch, *grid, -1)
    parts = [_solve(pool(moments, spread).reshape(batch, *grid, bands, 6)) for spread in SPREADS]
    answers, facts = zip(*parts, strict=True)
    both = jnp.concatenate(answers, axis=3), jnp.concatenate(facts, axis=3)
    return jax.lax.stop_gradient(both)


def _solve(moments):
    """Moments [B, h, w, K, 6] -> (displacements [B, h, w, K, 2], facts [B, h, w, 2 K])."""
    xx, xy, yy, xt, yt, tt = jnp.moveaxis(moments, -1, 0)
    mean, half = (xx + yy) / 2, (xx - yy) / 2
    soft = 0.03 * mean + 2e-4
    a, c = xx + soft, yy + soft
    determinant = a * c - xy * xy
    x, y = (xy * yt - c * xt) / determinant, (xy * xt - a * yt) / determinant
    lowest = jnp.maximum(mean - jnp.sqrt(half**2 + xy**2 + 1e-12), 0)
    rest = jnp.maximum(tt + x * xt + y * yt, 0)
    answer = jnp.clip(jnp.stack([x, y], -1), -_FARTHEST, _FARTHEST)
    facts = 0.3 * jnp.log(lowest + 1e-5), 0.3 * jnp.log(rest + 1e-5) + 1
    return answer, jnp.concatenate(facts, axis=-1)


def _move_back(images, guess):
    """Looks up [B, F, H, W] at each pixel plus its guess [B, H, W, 2], bilinear, within borders."""
    batch, bands, height, width = images.shape
    x, y = jnp.moveaxis(guess, -1, 0)
    x = jnp.clip(x + jnp.arange(width), 0, width - 1.001)
    y = jnp.clip(y + jnp.arange(height)[:, None], 0, height - 1.001)
    left, top = jnp.floor(x), jnp.floor(y)
    x, y = (x - left)[:, None], (y - top)[:, None]
    first = (top * width + left).astype(jnp.int32).reshape(batch, 1, -1)
    lines = images.reshape(batch, bands, -1)

    def corner(aside: int):
        index = jnp.broadcast_to(first + aside, lines.shape)
        return jnp.take_along_axis(lines, index, axis=2).reshape(images.shape)

    above = corner(0) * (1 - x) + corner(1) * x
    below = corner(width) * (1 - x) + corner(width + 1) * x
    return above * (1 - y) + below * y


def _gradients(images):
    """Central differences of [..., H, W], across and down; edges go on beyond the border."""
    padded = jnp.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    return across / 2, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def _blur(gray, deviation: float):
    down, across = (_gaussian(side, deviation) for side in gray.shape[1:])
    return jnp.einsum("ih,jw,bhw->bij", down, across, gray)


def _gaussian(count: int, deviation: float) -> np.ndarray:
    """A blur along one axis as a matrix [count, count]; edges go on beyond the border."""
    reach = int(np.ceil(2.5 * deviation))
    taps = np.exp(-np.square(np.arange(-reach, reach + 1) / deviation) / 2)
    matrix = np.zeros((count, count), np.float32)
    for step, weight in zip(range(-reach, reach + 1), taps / taps.sum(), strict=True):
        np.add.at(
            matrix, (np.arange(count), np.clip(np.arange(count) + step, 0, count - 1)), weight
        )
    return matrix


def _linear(count: int, cells: int) -> np.ndarray:
    """Linear interpolation along one axis as a matrix [count, cells], at the middles."""
    place = np.clip((np.arange(count) + 0.5) * cells / count - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells))).astype(np.float32)
