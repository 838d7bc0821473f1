"""What every layer of our network gives for a pair of frames, by the names of a live comparison."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from micron_jax.checkpoints.release import release_name, to_release
from micron_jax.checkpoints.weights import Weights
from micron_jax.models.micron_bert import MicronBertModule, bound
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.steps import Objective

# The release's, where its class is given no other (models/mae.py, line 293).
TEACHER_TEMPERATURE = 0.04

_CROPS = ("global", "local")


def outputs(weights: Weights, views: dict) -> dict[str, np.ndarray]:
    """Every layer by name, the two frames one after the other along the first axis.

    Args:
      weights: float32, of a model that the release can express.
      views: `rep`, `ref`, `cur` [B, H, W, 3], `global` [B, 2, H, W, 3], `local` [B, V, h, w, 3].
    """
    found = jax.jit(functools.partial(_outputs, weights))(weights.params, weights.teacher, views)
    return {name: np.asarray(value) for name, value in found.items()}


def _outputs(weights: Weights, params: dict, teacher: dict, views: dict) -> dict:
    config = dataclasses.replace(weights.config, blocks="unrolled")  # a loop shows no block
    module = MicronBertModule(config)

    network = bound(config, params)

    def watched(method, *args):
        return module.apply(
            {"params": params},
            *args,
            method=method,
            mutable=["intermediates"],
            capture_intermediates=lambda _, name: name in ("__call__", "_embed"),
        )

    pair = jnp.concatenate([views["rep"], views["ref"]])
    tokens, watch = watched("encode", pair)
    seen = watch["intermediates"]["encoder"]
    found = {"patch_embed": seen["patch_embed"]["__call__"][0], "tokens": seen["_embed"][0]}
    for i in range(config.depth):
        found[f"block_{i}"] = seen[f"block_{i}"]["__call__"][0]
    found["norm"] = tokens
    found["last_attention"] = network.last_attention(views["rep"])
    rep, ref = jnp.split(tokens, 2)
    if config.dma_diagonal:
        found["dma/attention"] = network.diagonal(rep, ref)[:, None, :, None]
    else:
        found["dma/attention"] = network.attention_map(rep, ref)[:, None]
        heat = network.motion_map(rep, ref, "release")
        found["heat/release"] = heat.reshape(-1, 1, config.grid, config.grid)
    found["dma/output"] = network.attend(rep, ref)
    if "decoder" in params:
        pred, watch = watched("decode", found["dma/output"])
        seen = watch["intermediates"]["decoder"]
        found["decoder/embed"] = seen["embed"]["__call__"][0]
        for i in range(config.decoder_depth):
            found[f"decoder/block_{i}"] = seen[f"block_{i}"]["__call__"][0]
        found["decoder/norm"] = seen["norm"]["__call__"][0]
        found["decoder/pred"] = pred
    if config.projection_dim:
        crops = {kind: jnp.concatenate([*jnp.moveaxis(views[kind], 1, 0)]) for kind in _CROPS}
        found["projection/teacher"] = bound(config, teacher).project(crops["global"])
        student = [network.project(crops[kind]) for kind in _CROPS]
        found["projection/student"] = jnp.concatenate(student)
    return found


def training(weights: Weights, views: dict) -> dict[str, np.ndarray]:
    """`loss/...` of a step at epoch 0 and `gradient/NAME`, by the release's names and layouts."""
    config, dino = weights.config, weights.config.projection_dim > 0
    if "decoder" not in weights.params:
        return {}
    objective = ObjectiveConfig(agreement="dino" if dino else "none")
    gradient = jax.jit(jax.grad(Objective(config, objective).loss, has_aux=True))
    tree = jax.tree.map(jnp.asarray, (weights.params, weights.teacher, weights.center))
    found, parts = gradient(*tree, views, TEACHER_TEMPERATURE)
    names = {"reconstruction": "reconstruction", "agreement": "agreement", "total": "loss"}
    result = {f"loss/{n}": parts[k] for n, k in names.items() if dino or n != "agreement"}
    for path, value in flatten_dict({"params": found}, sep="/").items():
        value = to_release(path, np.asarray(value), patch_size=config.patch_size)
        result[f"gradient/{release_name(path)}"] = value
    return {name: np.asarray(value) for name, value in result.items()}
