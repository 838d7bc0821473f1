"""The outputs of each layer, the losses and the gradients, by the names of a live comparison."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from micron_jax.checkpoints.release import release_arrays
from micron_jax.checkpoints.weights import Weights
from micron_jax.models.config import ModelConfig
from micron_jax.models.micron_bert import MicronBertModule, bound
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.steps import Objective

# The release's, where its class is given no other (models/mae.py, line 293).
TEACHER_TEMPERATURE = 0.04


def outputs(weights: Weights, views: dict) -> dict[str, np.ndarray]:
    """Each layer's output by name, the two frames one after the other along the first axis.

    `views`: `rep`, `ref`, `cur` [B, H, W, 3]; for the projections also `global` [B, 2, H, W, 3] and
    `local` [B, V, h, w, 3].
    """
    return jax.device_get(_outputs(weights.config, weights.params, weights.teacher, views))


@functools.partial(jax.jit, static_argnums=0)
def _outputs(config: ModelConfig, params: dict, teacher: dict, views: dict) -> dict:
    module = MicronBertModule(dataclasses.replace(config, blocks="unrolled"))  # a loop shows none

    def layers_of(part, method, *args):
        """The method's result, and the outputs of the part's layers."""
        result, variables = module.apply(
            {"params": params},
            *args,
            method=method,
            mutable=["intermediates"],
            capture_intermediates=lambda _, name: name in ("__call__", "_embed"),
        )
        return result, variables["intermediates"][part]

    network = bound(module.config, params)
    pair = jnp.concatenate([views["rep"], views["ref"]])
    tokens, layers = layers_of("encoder", "encode", pair)
    named = {"patch_embed": layers["patch_embed"]["__call__"][0], "tokens": layers["_embed"][0]}
    for i in range(config.depth):
        named[f"block_{i}"] = layers[f"block_{i}"]["__call__"][0]
    named["norm"] = tokens
    named["last_attention"] = network.encoder.last_attention(views["rep"])
    rep, ref = jnp.split(tokens, 2)
    if config.dma_diagonal:
        named["dma/attention"] = network.diagonal(rep, ref)[:, None, :, None]
    else:
        named["dma/attention"] = network.attention_map(rep, ref)[:, None]
        motion = network.motion_map(rep, ref, "release")
        named["heat/release"] = motion.reshape(-1, 1, config.grid, config.grid)
    named["dma/output"] = network.attend(rep, ref)
    if "decoder" in params:
        named["decoder/pred"], layers = layers_of("decoder", "decode", named["dma/output"])
        for name in ("embed", *(f"block_{i}" for i in range(config.decoder_depth)), "norm"):
            named[f"decoder/{name}"] = layers[name]["__call__"][0]
    if config.projection_dim and "global" in views:
        large, small = ([*jnp.moveaxis(views[kind], 1, 0)] for kind in ("global", "local"))
        project = bound(module.config, teacher).project
        named["projection/teacher"] = jnp.concatenate([project(crop) for crop in large])
        student = [network.project(crop) for crop in large + small]
        named["projection/student"] = jnp.concatenate(student)
    return named


def training(weights: Weights, views: dict) -> dict[str, np.ndarray]:
    """`loss/...` of a step at epoch 0 and `gradient/NAME`, by the release's names and layouts."""
    config, dino = weights.config, weights.config.projection_dim > 0
    if "decoder" not in weights.params:
        return {}
    objective = ObjectiveConfig(agreement="dino" if dino else "none")
    gradient = jax.jit(jax.grad(Objective(config, objective).loss, has_aux=True))
    tree = jax.tree.map(jnp.asarray, (weights.params, weights.teacher, weights.center))
    gradients, parts = gradient(*tree, views, TEACHER_TEMPERATURE)
    names = {"reconstruction": "reconstruction", "agreement": "agreement", "total": "loss"}
    named = {f"loss/{n}": parts[k] for n, k in names.items() if dino or n != "agreement"}
    arrays = release_arrays(flatten_dict({"params": gradients}, sep="/"))
    return jax.device_get(named | {f"gradient/{name}": value for name, value in arrays.items()})
