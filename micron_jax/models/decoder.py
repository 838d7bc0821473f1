"""The decoder: from micro-attended tokens back to pixels."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import (
    dense,
    layer_norm,
    make_blocks,
    sincos_positions,
    through_blocks,
)


class Decoder(nn.Module):
    """The release's `forward_decoder` (models/mae.py, line 611)."""

    config: ModelConfig

    @nn.compact
    def __call__(self, latent):
        """[B, N, width] -> pixels of each patch, float32 [B, N, patch_size² · 3]."""
        c = self.config
        dtype = jnp.dtype(c.dtype)
        x = dense(c.decoder_width, "embed", dtype)(latent)
        # The CLS row is never used; it is kept because the release's checkpoints carry it.
        positions = self.param(
            "positions", lambda _: jnp.asarray(sincos_positions(c.decoder_width, c.grid))
        )
        x = x + jax.lax.stop_gradient(positions[:, 1:]).astype(x.dtype)
        blocks = make_blocks(c, c.decoder_depth, c.decoder_heads)
        x = through_blocks(blocks, x, way=c.blocks)
        x = layer_norm("norm", dtype)(x)
        return dense(c.patch_size**2 * 3, "pred", dtype)(x).astype(jnp.float32)
