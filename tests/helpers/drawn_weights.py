"""Weights of a network, filled at random: quicker than training, and every number different."""

import numpy as np
from flax.traverse_util import unflatten_dict

from micron_jax.checkpoints.weights import Weights, shapes_of
from micron_jax.models.config import ModelConfig


def draw_weights(config: ModelConfig, *, seed: int = 0, info=None, **parts) -> Weights:
    """`parts` as `shapes_of` takes them: decoder, aux_cls."""
    rng = np.random.default_rng(seed)
    tensors = {
        path: (rng.normal(size=leaf.shape) / np.sqrt(max(leaf.shape[0], 1))).astype(np.float32)
        for path, leaf in shapes_of(config, **parts).items()
    }
    tree = unflatten_dict(tensors, sep="/")
    center = tree.get("center", np.zeros((1, 0), np.float32))
    return Weights(config, tree["params"], tree.get("teacher", {}), center, info or {})
