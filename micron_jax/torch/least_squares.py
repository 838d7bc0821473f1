"""Displacements of patches by least squares of their pixels, in PyTorch; see
`models.least_squares`. The motion of the head; see `models.head_motion`."""

import numpy as np
import torch
from torch.nn import functional

from micron_jax.models.displacement_numbers import (
    BANDS,
    CONTRAST,
    FARTHEST,
    FIRST,
    LUMA,
    RIDGE,
    SHARED,
    SPREADS,
    motion_basis,
)
from micron_jax.models.matrices import gaussian, linear, smoothing


def detail(images):
    """Bands of detail of normalized frames [B, H, W, 3]: gray, [B, bands, H, W]."""
    gray = images @ _constant(LUMA, images) * CONTRAST
    return torch.stack([_blur(gray, fine) - _blur(gray, coarse) for fine, coarse in BANDS], dim=1)


def enlarge(values, height: int, width: int):
    """Values of patches [B, h, w, F] at the pixels or cells of a finer grid, linearly."""
    cells = values.shape[1:3]
    down, across = (_constant(linear(*n), values) for n in zip((height, width), cells, strict=True))
    return _both_ways(down, across, values)


def first_guess(reference, images, patch_size: int):
    """Follows all motion from coarse to fine: bands [B, bands, H, W] twice -> px, [B, h, w, 2]."""
    batch, _, height, width = reference.shape
    guess = reference.new_zeros(batch, height // patch_size, width // patch_size, 2)
    for band, spread in FIRST:
        products, _ = change_left(*(x[:, band : band + 1] for x in (reference, images)), guess)
        moments = patch_moments(products, patch_size)[..., 0, :]
        guess = guess + solve(pool(moments, spread))[0]
    return guess


def change_left(reference, images, guess):
    """The products of gradients and change that a guess of the displacement leaves.

    Bands [B, bands, H, W] twice and (x, y), px, [B, h, w, 2] -> (xx, xy, yy, xt, yt, tt,
    [B, bands, 6, H, W]; the change, [B, bands, H, W]).
    """
    moved = _move_back(images, enlarge(guess, *reference.shape[2:]))
    across, down = _gradients((reference + moved) / 2)
    change = moved - reference
    pairs = (across, across), (across, down), (down, down), (across, change), (down, change)
    return torch.stack([a * b for a, b in (*pairs, (change, change))], dim=2), change


def patch_moments(products, patch_size: int):
    """Means over each patch: [B, bands, 6, H, W] -> [B, h, w, bands, 6]."""
    batch, bands, count, height, width = products.shape
    p = patch_size
    cells = products.reshape(batch, bands, count, height // p, p, width // p, p)
    return cells.mean((4, 6)).permute(0, 3, 4, 1, 2)


def solve(moments):
    """Moments [..., 6] -> displacement, px, [..., 2]; texture and what remains, [...] each."""
    xx, xy, yy, xt, yt, tt = moments.unbind(-1)
    mean, half = (xx + yy) / 2, (xx - yy) / 2
    soft = 0.03 * mean + 2e-4
    a, c = xx + soft, yy + soft
    determinant = a * c - xy * xy
    x, y = (xy * yt - c * xt) / determinant, (xy * xt - a * yt) / determinant
    lowest = (mean - (half**2 + xy**2 + 1e-12).sqrt()).clamp_min(0.0)
    rest = (tt + x * xt + y * yt).clamp_min(0.0)
    displacement = torch.stack([x, y], -1).clamp(-FARTHEST, FARTHEST)
    return displacement, 0.3 * (lowest + 1e-5).log(), 0.3 * (rest + 1e-5).log() + 1


def fixed_answers(moments):
    """Moments [B, h, w, bands, 6], over fixed neighborhoods -> [B, h, w, K, 2], [B, h, w, 2 K]."""
    flat, answers, facts = moments.flatten(3), [], []
    for spread in SPREADS:
        displacement, *rest = solve(pool(flat, spread).reshape(moments.shape))
        answers.append(displacement)
        facts += rest
    return torch.cat(answers, dim=3), torch.cat(facts, dim=-1)


def absolute(moments, guess):
    """Moments [B, h, w, bands, 6] about a guess [B, h, w, 2] -> those about no motion."""
    xx, xy, yy, xt, yt, tt = moments.unbind(-1)
    x, y = guess[..., None, :].unbind(-1)
    return torch.stack([xx, xy, yy, xt - xx * x - xy * y, yt - xy * x - yy * y, tt], -1)


def shared_motion(moments):
    """Solves absolute moments over wide neighborhoods: displacements [B, h, w, K, 2]."""
    flat = moments.flatten(3)
    pooled = [pool(flat, spread).reshape(moments.shape) for spread in SHARED]
    return torch.cat([solve(part)[0] for part in pooled], dim=3)


def neighbors(values, reach: int, apart: int):
    """Values of the patches around each, 0 beyond the border: [B, h, w, F] -> [B, h, w, n, F]."""
    height, width = values.shape[1:3]
    margin = reach * apart
    padded = functional.pad(values, (0, 0, margin, margin, margin, margin))
    starts = range(0, 2 * margin + 1, apart)
    around = [padded[:, y : y + height, x : x + width] for y in starts for x in starts]
    return torch.stack(around, dim=3)


def fit_head(motion, weights, relief=0.0):
    """The head's motion by that of most patches: px [B, H, W, 2], [B, H, W] -> [B, H, W, 2].

    The relief [B, H, W] adds to the mean face's depth.
    """
    weights = weights / weights.sum((1, 2), keepdim=True)
    basis = _constant(motion_basis(*motion.shape[1:3]), motion)
    depth = (basis[..., 3] + relief).expand(motion.shape[:3])
    basis = torch.cat([basis[..., :3].expand(*motion.shape[:3], 3), depth[..., None]], -1)
    basis = basis.flatten(1, 2)
    head = _fit(basis, motion, weights)
    for _ in range(10):
        off = (motion - head).square().sum(-1).detach()
        usual = (weights * (off + 0.01**2).log()).sum((1, 2), keepdim=True)
        head = _fit(basis, motion, weights / (1 + off / (usual.exp() + 0.03**2)).square())
    return head


def _fit(basis, motion, weights):
    weights = (weights / weights.sum((1, 2), keepdim=True)).flatten(1)
    weighted = basis.transpose(1, 2) * weights[:, None]  # [B, 4, patches]
    own = weighted @ basis + torch.diag(_constant(RIDGE, motion))
    return (basis @ _solve(own, weighted @ motion.flatten(1, 2))).reshape(motion.shape)


def _solve(own, other):
    """Solves positive definite equations, [B, n, n] and [B, n, k] -> [B, n, k].

    Gauss and Jordan's elimination in plain arithmetic, which every exporter knows.
    """
    rows, count = list(torch.cat([own, other], -1).unbind(1)), own.shape[1]
    for i in range(count):
        rows[i] = rows[i] / rows[i][:, i : i + 1]
        for j in range(count):
            if j != i:
                rows[j] = rows[j] - rows[j][:, i : i + 1] * rows[i]
    return torch.stack(rows, dim=1)[..., count:]


def _move_back(images, guess):
    """Looks up [B, F, H, W] at each pixel plus its guess [B, H, W, 2], bilinear, within borders."""
    height, width = images.shape[2:]
    columns, rows = (torch.arange(n, device=guess.device) for n in (width, height))
    x = (guess[..., 0] + columns).clamp(0.0, width - 1.001)
    y = (guess[..., 1] + rows[:, None]).clamp(0.0, height - 1.001)
    left, top = x.floor(), y.floor()
    x, y = (x - left)[:, None], (y - top)[:, None]
    first = (top * width + left).long().flatten(1)[:, None].expand(-1, images.shape[1], -1)
    lines = images.flatten(2)

    def corner(aside: int):
        return lines.gather(2, first + aside).reshape(images.shape)

    above = corner(0) * (1 - x) + corner(1) * x
    below = corner(width) * (1 - x) + corner(width + 1) * x
    return above * (1 - y) + below * y


def _gradients(images):
    """Central differences of [B, F, H, W], across and down; edges go on beyond the border."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    return across / 2, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def _blur(gray, deviation: float):
    down, across = (_constant(gaussian(side, deviation), gray) for side in gray.shape[1:])
    return down @ gray @ across.T


def pool(maps, spread: float):
    """Gaussian means over neighboring patches, [B, h, w, F]; a spread of 0 changes nothing."""
    if not spread:
        return maps
    down, across = (_constant(smoothing(count, spread), maps) for count in maps.shape[1:3])
    return _both_ways(down, across, maps)


def _both_ways(down, across, values):
    """[i, h] and [j, w] times [B, h, w, F]: [B, i, j, F]."""
    batch, height, width, count = values.shape
    rows = (down @ values.reshape(batch, height, width * count)).reshape(batch, -1, width, count)
    return across @ rows


def _constant(values, like):
    return torch.as_tensor(np.asarray(values, np.float32), device=like.device)
