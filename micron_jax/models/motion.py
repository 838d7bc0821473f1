"""The motion branch: features of the band around the diagonal, read in context.

It is not the paper's. A moving head takes the whole frame along, a flat cheek shows nothing by
itself, and noise looks like motion: only the neighborhood tells. It learns from known motion, see
`data.known_motion`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.models.band import BandMatch
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import layer_norm


def window_starts(count: int, window: int) -> list[int]:
    """Starts of windows that cover `count` patches; each overlaps half of the one before it."""
    if count <= window:
        return [0]
    last = count - window
    return [*range(0, last, window // 2), last]


class Motion(nn.Module):
    """A small convolutional network over the band's features, window by window, float32.

    A window is as large as those of training: the answer for a patch rests on all others of its
    window, and half a face moves otherwise than a whole one.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, images, reference):
        """The motion of each patch of a reference until another frame, normalized [B, H, W, 3].

        Returns:
          (logit, displacement): the logarithm of the odds that the patch moved by itself (by more
          than 0.2 px or so), [B, N]; its displacement (x, y) in px without that of the head,
          [B, N, 2]; float32, both in the reference's place.
        """
        c, width = self.config, self.config.motion_width
        grid = tuple(side // c.patch_size for side in images.shape[1:3])
        corners = [
            (row, column)
            for row in window_starts(grid[0], c.motion_window)
            for column in window_starts(grid[1], c.motion_window)
        ]
        frames = (_cut(x, corners, c.motion_window, c.patch_size) for x in (images, reference))
        features, agreed = BandMatch(c, name="band")(*frames)
        x = nn.Dense(width, name="embed")(features)
        hidden = jax.nn.gelu(nn.Dense(width, name="fc1")(layer_norm("norm0", jnp.float32)(x)))
        x = x + nn.Dense(width, name="fc2")(hidden)
        for i, reach in enumerate(c.motion_reach):
            y = jax.nn.gelu(layer_norm(f"norm_{i}", jnp.float32)(x))
            y = nn.Conv(width, (3, 3), kernel_dilation=reach, name=f"conv_{i}")(y)
            # The whole window's mean: the motion that all patches share is the head's.
            x = x + y + nn.Dense(width, name=f"whole_{i}")(x.mean(axis=(1, 2), keepdims=True))
        # The band's features and displacements besides: the layers learn a correction.
        x = jnp.concatenate([layer_norm("norm", jnp.float32)(x), features], axis=-1)
        out = nn.Dense(3, kernel_init=nn.initializers.zeros, name="out")(x)
        out = out + jnp.pad(agreed, ((0, 0), (0, 0), (0, 0), (1, 0)))
        out = _blend(jnp.split(out, len(corners)), corners, grid)
        out = out.reshape(images.shape[0], -1, 3)
        return out[..., 0], out[..., 1:]


def _cut(frames, corners, window: int, patch: int):
    """The windows of frames [B, H, W, 3] at the corners, one after another, [K B, h, w, 3]."""
    side = window * patch  # a smaller frame is a window itself
    return jnp.concatenate(
        [frames[:, y : y + side, x : x + side] for y, x in patch * np.array(corners)]
    )


def _blend(parts, corners, grid):
    """Windows [B, h, w, F] at their corners -> [B, *grid, F]; their middles count most."""
    if len(parts) == 1:
        return parts[0]
    height, width = parts[0].shape[1:3]
    weight = np.outer(*(np.hanning(side + 2)[1:-1] + 0.02 for side in (height, width)))
    weight = np.float32(weight)[..., None]
    total, weights = jnp.zeros((len(parts[0]), *grid, parts[0].shape[-1])), np.zeros((*grid, 1))
    for part, (row, column) in zip(parts, corners, strict=True):
        place = slice(row, row + height), slice(column, column + width)
        total = total.at[:, *place].add(part * weight)
        weights[place] += weight
    return total / np.float32(weights)
