"""A band around the diagonal: each patch against the other frame at shifts of single pixels.

Diagonal Micro-Attention compares a patch with its own place in the other frame, and tokens lie 8 px
apart; the band shows a motion of half a pixel. Queries and keys share one projection on fixed
cosines, and the distance between them is learned. It is not the paper's.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.models.config import ModelConfig
from micron_jax.models.least_squares import pool

# Of normalized RGB: the usual weights of gray, times the deviations that it was divided by.
LUMA = (0.299 * 0.229, 0.587 * 0.224, 0.114 * 0.225)
_CONTRAST = 8.0  # an eighth of the range becomes 1
_SOFT = 0.01  # keeps ratios finite where a patch is flat


def offsets(rings: tuple[int, ...]) -> np.ndarray:
    """Shifts (down, across) in px: none, four ways at each distance, then their opposites."""
    ways = np.array([(0, 1), (1, 0), (1, 1), (1, -1)])
    shifts = np.concatenate([ways * distance for distance in rings])
    return np.concatenate([np.zeros((1, 2), int), shifts, -shifts])


def windows(gray, shifts: np.ndarray, *, patch_size: int, side: int):
    """Square windows about each patch, moved by each shift: [B, H, W] -> [B, S, N, side²].

    Beyond the frame's border its edge goes on.
    """
    batch, height, width = gray.shape
    aside = (side - patch_size) // 2
    reach = int(np.abs(shifts).max())
    margin = aside + reach
    padded = jnp.pad(gray, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    line = width + 2 * margin
    rows, columns = (np.arange(size // patch_size) * patch_size for size in (height, width))
    corner = (rows[:, None] * line + columns).ravel()
    inside = (np.arange(side)[:, None] * line + np.arange(side)).ravel()
    moved = (shifts + reach) @ (line, 1)
    # Each pixel is read about fifty times: its source must not be computed as often. And the
    # millions of indices are sums for the moment, not a constant.
    parts = (jnp.asarray(part, jnp.int32) for part in (moved, corner, inside))
    padded, moved, corner, inside = jax.lax.optimization_barrier((padded, *parts))
    index = moved[:, None, None] + corner[:, None] + inside
    return padded.reshape(batch, -1).at[:, index].get(mode="promise_in_bounds")


def cosine_basis(side: int, count: int) -> np.ndarray:
    """The lowest `count` 2-D cosines but the mean, faded out to the border: [side², count]."""
    place = np.arange(side)
    waves = np.cos((2 * place + 1) * place[:, None] * math.pi / (2 * side))
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    pairs = sorted((a * a + b * b, a, b) for a in place for b in place)[1 : count + 1]
    fade = np.sqrt(np.hanning(side + 2)[1:-1])
    basis = [np.outer(waves[a] * fade, waves[b] * fade).ravel() for _, a, b in pairs]
    basis = np.stack(basis, axis=1)
    return np.float32(basis - basis.mean(axis=0))  # brightness is no motion


def subtract_affine(vectors):
    """Vectors [..., H, W, 2] without the affine motion of most of them, which is the head's.

    Five rounds of weighted least squares: outliers get small weights.
    """
    height, width = vectors.shape[-3:-1]
    y, x = jnp.meshgrid(jnp.linspace(-1, 1, height), jnp.linspace(-1, 1, width), indexing="ij")
    plane = jnp.stack([x, y, jnp.ones_like(x)], -1).reshape(-1, 3)
    values = vectors.reshape(*vectors.shape[:-3], height * width, 2)
    weight = jnp.ones(values.shape[:-1])
    for _ in range(5):
        own = jnp.einsum("na,...n,nb->...ab", plane, weight, plane) + 1e-3 * jnp.eye(3)
        other = jnp.einsum("na,...n,...nc->...ac", plane, weight, values)
        rest = values - plane @ jnp.linalg.solve(own, other)
        length = jnp.square(jax.lax.stop_gradient(rest)).sum(-1)
        middle = jnp.median(length, axis=-1, keepdims=True) + 0.02**2
        weight = 1 / jnp.square(1 + length / (2 * middle))
    return rest.reshape(vectors.shape)


class BandMatch(nn.Module):
    """Features of each patch from its distances to the other frame, and its displacement.

    Each head measures a distance of its own.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, images, reference):
        """Features [B, H / p, W / p, F] and displacements (x, y) in px, in the reference's place.

        Frames are normalized, [B, H, W, 3]. D(s) is the squared distance of a patch of `images`
        from the reference moved by s, A(s) that of the reference from itself. The features are
        (D(-s) - D(s)) / (A(s) + A(-s)), which is about the displacement along s over |s|; (D(s) +
        D(-s)) and D(0) over the same; the logarithms of texture and D(0); and those of `_solve`.
        """
        c = self.config
        shifts = offsets(c.band)
        half = len(shifts) // 2
        basis = jnp.asarray(cosine_basis(c.band_window, c.band_width))
        metric = jnp.square(self.param("metric", _first_metric, c.band_width, c.band_heads))

        def project(frames):
            gray = frames.astype(jnp.float32) @ jnp.asarray(LUMA, jnp.float32) * _CONTRAST
            cut = windows(gray, shifts, patch_size=c.patch_size, side=c.band_window)
            return jax.lax.stop_gradient(cut @ basis)

        def distance(a, b):  # [B, S, N, width] twice -> [B, S, N, heads]
            return jnp.square(a - b) @ metric

        batch, height, width, _ = images.shape
        grid = height // c.patch_size, width // c.patch_size

        def spaced(values):  # [B, F, N, heads] -> [B, H, W, F * heads]
            return jnp.moveaxis(values, 1, 2).reshape(batch, *grid, -1)

        keys, others = project(reference), project(images)
        other = distance(keys, others[:, :1])  # D
        own = distance(keys[:, 1:], keys[:, :1])  # A
        here, ahead, behind = other[:, :1], other[:, 1 : 1 + half], other[:, 1 + half :]
        texture = own[:, :half] + own[:, half:]
        features = [
            2 * (behind - ahead) / (texture + _SOFT),
            (behind + ahead - texture) / (texture + _SOFT),
            here / (texture + _SOFT),
            0.3 * jnp.log(texture + 1e-3),
            0.3 * jnp.log(here + 1e-3),
        ]
        features = jnp.clip(jnp.concatenate(features, axis=1), -4.0, 4.0)
        # The same with the frames' roles exchanged: noise in one frame's texture cancels.
        back = distance(others[:, 1:], keys[:, :1])
        own_back = distance(others[:, 1:], others[:, :1])
        push = ahead - behind - (back[:, :half] - back[:, half:])
        texture = texture + own_back[:, :half] + own_back[:, half:]
        parts = [spaced(x.mean(-1, keepdims=True)) for x in (push, texture, here)]
        solved, displacement = self._solve(*parts)
        return jnp.concatenate([spaced(features), *solved], axis=-1), displacement

    def _solve(self, push, texture, here):
        """Displacements by least squares over growing neighborhoods, ring by ring.

        Where the distance is a square form, D(s) = (s + d)ᵀ M (s + d), the four ways of a ring
        give M and M·d, hence d: a step of Lucas and Kanade in the band. `push` is D(s) - D(-s),
        both frames' difference, and `texture` A(s) + A(-s), their sum, [B, H, W, 4 rings]; `here`
        is D(0), [B, H, W, 1].

        Returns:
          (for each spread and ring: d (x, y) in px, the same without the head's affine part, the
          logarithms of its length and of that over the frame's median, of the texture's smaller
          eigenvalue, and the share of D(0) that d leaves; [B, H, W, 8] in parts. Without the
          head's part, d of the nearest ring and the second spread, [B, H, W, 2]).
        """
        rings, spreads = self.config.band, self.config.band_spreads
        features, displacement = [], jnp.zeros((*here.shape[:3], 2))
        for spread in spreads:
            pushes, textures, rest = (pool(x, spread) for x in (push, texture, here))
            for i, ring in enumerate(rings):
                p, t = (x[..., 4 * i : 4 * i + 4] for x in (pushes, textures))
                right, down, ahead, back = jnp.moveaxis(t / 4, -1, 0)
                cross = (ahead - back) / 4
                # `push` is 8 sᵀ M d of each way s; the best M d of four ways:
                u = p[..., 0] + p[..., 2] - p[..., 3], p[..., 1] + p[..., 2] + p[..., 3]
                u_x, u_y = (x / 24 for x in u)
                mean, half = (right + down) / 2, (right - down) / 2
                radius = jnp.sqrt(half**2 + cross**2 + 1e-12)
                soft = 0.05 * mean + 1e-4
                a, c = right + soft, down + soft
                inverse = 1 / (a * c - cross**2)
                d = jnp.stack([c * u_x - cross * u_y, a * u_y - cross * u_x], -1)
                d = jnp.clip(d * inverse[..., None], -2, 2)
                left = rest[..., 0] - d[..., 0] * u_x - d[..., 1] * u_y
                sure = 0.3 * jnp.log(jnp.maximum(mean - radius, 0) + 1e-4)
                left = jnp.clip(left / (rest[..., 0] + 1e-3), -1, 1)
                d = d * ring
                own = subtract_affine(d)
                length = jnp.sqrt(jnp.square(own).sum(-1) + 0.02**2)
                noise = jnp.median(length, axis=(1, 2), keepdims=True)  # most patches are still
                sizes = jnp.log(length), jnp.log(length / noise)
                if ring == rings[0] and spread == spreads[:2][-1]:
                    displacement = own
                features += [d, own, *(x[..., None] for x in (*sizes, sure, left))]
        return features, displacement


def feature_count(config: ModelConfig) -> int:
    """The number of a patch's features that `BandMatch` returns."""
    rings = len(config.band)
    of_shifts = 4 * 4 * rings + 1  # four kinds for four ways a ring, and the distance in place
    return of_shifts * config.band_heads + 8 * rings * len(config.band_spreads)


def _first_metric(_, width: int, heads: int):
    """Each head weighs one range of the cosines, from coarse to fine, and the others faintly."""
    own = np.arange(width)[:, None] * heads // width == np.arange(heads)
    return jnp.asarray(np.where(own, math.sqrt(heads / width), 0.03), jnp.float32)
