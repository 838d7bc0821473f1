"""A band around the diagonal: each patch against the other frame, also some pixels aside.

Diagonal Micro-Attention asks how well a patch finds itself at its own place. Tokens 8 px apart
cannot say more; a motion of half a pixel shows when a patch is compared with windows of the other
frame that are moved by single pixels. Queries and keys share one projection. All of it is ours.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

# Of normalised RGB: the usual weights of grey, times the deviations that it was divided by.
LUMA = (0.299 * 0.229, 0.587 * 0.224, 0.114 * 0.225)
_CONTRAST = 8.0  # an eighth of the range becomes 1
_SOFT = 0.01  # keeps ratios finite where a patch is flat


def offsets(rings: tuple[int, ...]) -> np.ndarray:
    """Shifts (down, across) in px: none, four ways at each distance, then their opposites."""
    ways = np.array([(0, 1), (1, 0), (1, 1), (1, -1)])
    shifts = np.concatenate([ways * distance for distance in rings])
    return np.concatenate([np.zeros((1, 2), int), shifts, -shifts])


def luma(images):
    """Normalised RGB [B, H, W, 3] -> grey, [B, H, W]; its level means nothing."""
    return images.astype(jnp.float32) @ jnp.asarray(LUMA, jnp.float32) * _CONTRAST


def windows(grey, shifts: np.ndarray, *, patch_size: int, side: int):
    """Square windows about each patch, moved by each shift: [B, H, W] -> [B, S, N, side²].

    Beyond the frame's border its edge goes on.
    """
    batch, height, width = grey.shape
    aside = (side - patch_size) // 2
    reach = int(np.abs(shifts).max())
    margin = aside + reach
    padded = jnp.pad(grey, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    # Each pixel is read about fifty times: what it comes from must not be computed as often.
    padded = jax.lax.optimization_barrier(padded)
    line = width + 2 * margin
    rows, columns = (np.arange(size // patch_size) * patch_size for size in (height, width))
    corner = (rows[:, None] * line + columns).ravel()
    inside = (np.arange(side)[:, None] * line + np.arange(side)).ravel()
    moved = (shifts + reach) @ (line, 1)
    index = moved[:, None, None] + corner[:, None] + inside
    return jnp.take(padded.reshape(batch, -1), jnp.asarray(index), axis=1)


def cosine_basis(side: int, count: int) -> np.ndarray:
    """The lowest `count` 2-D cosines but the mean, faded out to the border: [side², count]."""
    place = np.arange(side)
    waves = np.cos((2 * place + 1) * place[:, None] * math.pi / (2 * side))
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    pairs = sorted((a * a + b * b, a, b) for a in place for b in place)[1 : count + 1]
    fade = np.sqrt(np.hanning(side + 2)[1:-1])
    basis = [np.outer(waves[a] * fade, waves[b] * fade).ravel() for _, a, b in pairs]
    return np.stack(basis, axis=1).astype(np.float32)


class BandMatch(nn.Module):
    """What the band says of each patch, for a network to read.

    Attributes:
      patch_size: side of a patch, px.
      window: side of what is compared, px: the patch and an even margin.
      width, heads: of the projection; each head measures a distance of its own.
      rings: distances of the band, px.
    """

    patch_size: int
    window: int
    width: int
    heads: int
    rings: tuple[int, ...]

    @nn.compact
    def __call__(self, images, reference):
        """Normalised frames [B, H, W, 3] twice -> [B, H / p, W / p, F], in the reference's place.

        With D(s) the squared distance of a patch of `images` from the reference moved by s, and
        A(s) that of the reference from itself: (D(-s) - D(s)) / (A(s) + A(-s)), which is about
        the displacement along s over |s|; (D(s) + D(-s)) and D(0) over the same; and the
        logarithms of texture and rest.
        """
        shifts = offsets(self.rings)
        half = len(shifts) // 2
        basis = self.param("kernel", lambda _: jnp.asarray(cosine_basis(self.window, self.width)))
        basis = basis - basis.mean(axis=0)  # brightness is no motion

        def project(frames, shifts):
            grey = jax.lax.stop_gradient(luma(frames))
            cut = windows(grey, shifts, patch_size=self.patch_size, side=self.window)
            tokens = cut @ basis
            return tokens.reshape(*tokens.shape[:-1], self.heads, -1)

        keys, query = project(reference, shifts), project(images, shifts[:1])
        other = jnp.square(keys - query).mean(-1)  # D, [B, S, N, heads]
        own = jnp.square(keys[:, 1:] - keys[:, :1]).mean(-1)  # A
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
        batch, height, width, _ = images.shape
        grid = height // self.patch_size, width // self.patch_size
        return jnp.moveaxis(features, 1, 2).reshape(batch, *grid, -1)
