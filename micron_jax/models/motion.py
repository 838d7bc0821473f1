"""Where a face moved by itself, and how: what the band around the diagonal says, read in context.

Ours. A head that moves takes the whole frame along, a flat cheek says nothing by itself, and noise
looks like motion: only the neighbourhood tells. It is learnt from known motion, see
`data.known_motion`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from micron_jax.models.band import BandMatch
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import layer_norm


class Motion(nn.Module):
    """Band features through convolutions over the grid of patches, float32."""

    config: ModelConfig

    @nn.compact
    def __call__(self, images, reference):
        """How each patch of a reference moved until another frame.

        Args:
          images: normalised frames, [B, H, W, 3].
          reference: the frames they are compared with, likewise.

        Returns:
          (logit, displacement): the logarithm of the odds that the patch moved by itself (by more
          than 0.2 px or so), [B, N]; its displacement (x, y) in px without that of the head,
          [B, N, 2]; float32, both in the reference's place.
        """
        c, width = self.config, self.config.motion_width
        band = BandMatch(
            c.patch_size,
            c.band_window,
            c.band_width,
            c.band_heads,
            c.band,
            c.band_spreads,
            name="band",
        )
        seen = band(images, reference)
        x = nn.Dense(width, name="embed")(seen)
        hidden = jax.nn.gelu(nn.Dense(width, name="fc1")(layer_norm("norm0", jnp.float32)(x)))
        x = x + nn.Dense(width, name="fc2")(hidden)
        for i, reach in enumerate(c.motion_reach):
            y = jax.nn.gelu(layer_norm(f"norm_{i}", jnp.float32)(x))
            y = nn.Conv(width, (3, 3), kernel_dilation=reach, name=f"conv_{i}")(y)
            # The whole face's mean: what all patches have in common is the head's.
            x = x + y + nn.Dense(width, name=f"whole_{i}")(x.mean(axis=(1, 2), keepdims=True))
        # The band itself besides, whose differences are displacements already.
        x = jnp.concatenate([layer_norm("norm", jnp.float32)(x), seen], axis=-1)
        out = nn.Dense(3, kernel_init=nn.initializers.zeros, name="out")(x)
        out = out.reshape(out.shape[0], -1, 3)
        return out[..., 0], out[..., 1:]
