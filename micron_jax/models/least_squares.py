"""Displacements of patches by least squares of their pixels (Lucas and Kanade, 1981).

The second frame is moved back by the present guess, and the gradients and the difference that is
left say how far each patch still is. The sums of their products over a patch, its *moments*, add
up over any neighborhood: of fixed ones, or of one that a network weighs.
"""

import jax.numpy as jnp

from micron_jax.models.displacement_numbers import (
    BANDS,
    CONTRAST,
    FARTHEST,
    FIRST,
    LUMA,
    SHARED,
    SPREADS,
)
from micron_jax.models.matrices import gaussian, linear, smoothing


def detail(images):
    """Bands of detail of normalized frames [B, H, W, 3]: gray, float32 [B, bands, H, W]."""
    gray = images.astype(jnp.float32) @ jnp.asarray(LUMA, jnp.float32) * CONTRAST
    return jnp.stack([_blur(gray, fine) - _blur(gray, coarse) for fine, coarse in BANDS], axis=1)


def enlarge(values, height: int, width: int):
    """Values of patches [B, h, w, F] at the pixels or cells of a finer grid, linearly."""
    down, across = (linear(n, k) for n, k in ((height, values.shape[1]), (width, values.shape[2])))
    return jnp.einsum("ih,jw,bhwf->bijf", down, across, values)


def first_guess(reference, images, patch_size: int):
    """Follows all motion from coarse to fine.

    Args:
      reference, images: bands of both frames, as of `detail`.

    Returns:
      Displacement (x, y) of each patch, px, float32 [B, h, w, 2].
    """
    batch, _, height, width = reference.shape
    guess = jnp.zeros((batch, height // patch_size, width // patch_size, 2))
    for band, spread in FIRST:
        products, _ = change_left(*(x[:, band : band + 1] for x in (reference, images)), guess)
        moments = patch_moments(products, patch_size)[..., 0, :]
        guess = guess + solve(pool(moments, spread))[0]
    return guess


def change_left(reference, images, guess):
    """The products of gradients and change that a guess of the displacement leaves.

    Args:
      reference, images: bands of both frames, as of `detail`.
      guess: displacement (x, y) of each patch, px, [B, h, w, 2].

    Returns:
      (xx, xy, yy, xt, yt, tt with x and y the gradients and t the change, [B, bands, 6, H, W]; the
      change, [B, bands, H, W]).
    """
    height, width = reference.shape[2:]
    moved = _move_back(images, enlarge(guess, height, width))
    across, down = _gradients((reference + moved) / 2)
    change = moved - reference
    pairs = (across, across), (across, down), (down, down), (across, change), (down, change)
    return jnp.stack([a * b for a, b in (*pairs, (change, change))], axis=2), change


def patch_moments(products, patch_size: int):
    """Means over each patch: [B, bands, 6, H, W] -> [B, h, w, bands, 6]."""
    batch, bands, count, height, width = products.shape
    grid = height // patch_size, width // patch_size
    cells = products.reshape(batch, bands, count, grid[0], patch_size, grid[1], patch_size)
    return cells.mean((4, 6)).transpose(0, 3, 4, 1, 2)


def solve(moments):
    """Solves moments [..., 6].

    Returns:
      (displacement (x, y), px, [..., 2]; logarithms of the texture's smaller eigenvalue and of the
      squared change that remains, scaled, [...] each).
    """
    xx, xy, yy, xt, yt, tt = jnp.moveaxis(moments, -1, 0)
    mean, half = (xx + yy) / 2, (xx - yy) / 2
    soft = 0.03 * mean + 2e-4
    a, c = xx + soft, yy + soft
    determinant = a * c - xy * xy
    x, y = (xy * yt - c * xt) / determinant, (xy * xt - a * yt) / determinant
    lowest = jnp.maximum(mean - jnp.sqrt(half**2 + xy**2 + 1e-12), 0)
    rest = jnp.maximum(tt + x * xt + y * yt, 0)
    displacement = jnp.clip(jnp.stack([x, y], -1), -FARTHEST, FARTHEST)
    return displacement, 0.3 * jnp.log(lowest + 1e-5), 0.3 * jnp.log(rest + 1e-5) + 1


def fixed_answers(moments):
    """Solves moments [B, h, w, bands, 6] over the fixed neighborhoods.

    Returns:
      (displacements, [B, h, w, K, 2], K = spreads times bands; what each rests on and leaves,
      [B, h, w, 2 K]).
    """
    flat = moments.reshape(*moments.shape[:3], -1)
    answers, facts = [], []
    for spread in SPREADS:
        displacement, *rest = solve(pool(flat, spread).reshape(moments.shape))
        answers.append(displacement)
        facts += rest
    return jnp.concatenate(answers, axis=3), jnp.concatenate(facts, axis=-1)


def absolute(moments, guess):
    """Moments [B, h, w, bands, 6] about a guess [B, h, w, 2] -> those about no motion.

    Solved over a neighborhood, moments about a guess tell a change that all of its patches share,
    and these the motion that they share: noise in the guess is smoothed out, and so is detail.
    """
    xx, xy, yy, xt, yt, tt = jnp.moveaxis(moments, -1, 0)
    x, y = jnp.moveaxis(guess[..., None, :], -1, 0)
    return jnp.stack([xx, xy, yy, xt - xx * x - xy * y, yt - xy * x - yy * y, tt], axis=-1)


def shared_motion(moments):
    """Solves absolute moments over wide neighborhoods: displacements [B, h, w, K, 2]."""
    flat = moments.reshape(*moments.shape[:3], -1)
    pooled = [pool(flat, spread).reshape(moments.shape) for spread in SHARED]
    return jnp.concatenate([solve(part)[0] for part in pooled], axis=3)


def pool(maps, spread: float):
    """Gaussian means over neighboring patches, [B, H, W, F]; a spread of 0 changes nothing."""
    if not spread:
        return maps
    down, across = (smoothing(count, spread) for count in maps.shape[1:3])
    return jnp.einsum("ih,jw,bhwf->bijf", down, across, maps)


def neighbors(values, reach: int, apart: int):
    """Values of the patches around each: [B, h, w, F] -> [B, h, w, (2 reach + 1)², F].

    They lie `apart` patches from each other; beyond the border they are 0.
    """
    height, width = values.shape[1:3]
    margin = reach * apart
    padded = jnp.pad(values, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    starts = range(0, 2 * margin + 1, apart)
    around = [padded[:, y : y + height, x : x + width] for y in starts for x in starts]
    return jnp.stack(around, axis=3)


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
    down, across = (gaussian(side, deviation) for side in gray.shape[1:])
    return jnp.einsum("ih,jw,bhw->bij", down, across, gray)
