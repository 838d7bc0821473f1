"""Networks small enough to compile in seconds."""

import dataclasses

from micron_jax.models.config import ModelConfig
from micron_jax.training.state import init_params, new_state

_SIZE = dict(
    img_size=32,
    patch_size=8,
    width=32,
    depth=1,
    heads=2,
    decoder_width=16,
    decoder_depth=1,
    decoder_heads=2,
    projection_hidden=32,
    projection_bottleneck=16,
)
RELEASE = ModelConfig(**_SIZE, projection_dim=8)
PAPER = ModelConfig(
    **_SIZE, dma_query="ref", dma_key="rep", dma_scaled=False, dma_diagonal=True, poi="cosine"
)
OURS = dataclasses.replace(PAPER, displacement_width=8)


def init_state(config, optimizer, key, *, dino):
    """The state before the first step, from random parameters."""
    return new_state(init_params(config, key), optimizer, dino=dino)
