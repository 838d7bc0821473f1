"""The projection head of the DINO agreement."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import dense, gelu
from micron_jax.models.poi import unit


class ProjectionHead(nn.Module):
    """width -> hidden -> hidden -> bottleneck, to unit length, -> a weight-normed linear layer.

    The release's `DINOHead` (models/vision_transformer.py, line 299). The gain of the last layer
    stays as it was initialized, at one.
    """

    config: ModelConfig

    @nn.compact
    def __call__(self, cls):
        """CLS tokens, [..., D] -> float32 [..., projection_dim]."""
        c = self.config
        dtype = jnp.dtype(c.dtype)
        x = gelu(dense(c.projection_hidden, "fc1", dtype)(cls))
        x = gelu(dense(c.projection_hidden, "fc2", dtype)(x))
        x = unit(dense(c.projection_bottleneck, "fc3", dtype)(x).astype(jnp.float32))
        directions = self.param(
            "directions",
            nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
            (c.projection_bottleneck, c.projection_dim),
        )
        gain = self.param("gain", nn.initializers.ones, (c.projection_dim,))
        length = jnp.linalg.norm(directions, axis=0)
        return (x @ directions) * (jax.lax.stop_gradient(gain) / length)
