"""The outputs of each layer, the losses and the gradients, by the names of a live comparison."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from micron_jax.checkpoints.release import release_arrays
from micron_jax.checkpoints.release_architecture import has_dino
from micron_jax.checkpoints.weights import Weights
from micron_jax.data.views import normalize
from micron_jax.faces.crop import place_crop
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import unpatchify
from micron_jax.models.micron_bert import MicronBertModule, bound
from micron_jax.training import losses
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.steps import Objective

# Numbers of a training with DINO, as the release names them in its `args`, and its usual ones; then
# those of `schedules`.
RELEASE_NUMBERS = {
    "local_crops_number": 8, "warmup_teacher_temp": 0.04, "teacher_temp": 0.04,
    "warmup_teacher_temp_epochs": 0, "epochs": 200,
}  # fmt: skip
AVERAGE_NUMBERS = {
    "average_momentum": 0.9,
    "average_epochs": 2,
    "average_iters": 5,
    "average_step": 3,
}
STRIDE = 97  # of the teacher's weights, so many make one to compare
# Results that recordings of the first format do not hold.
LATER = (
    "image", "features", "crop_tokens", "heat/output", "decoder/image", "decoder/loss_norm_pix",
    "dino/views", "dino/temperature", "dino/momentum", "dino/center", "dino/average",
)  # fmt: skip
_FORMER_TEMPERATURE = 0.04  # what they were made with, whatever the checkpoint said


def outputs(weights: Weights, views: dict) -> dict[str, np.ndarray]:
    """Each layer's output by name, the two frames one after the other along the first axis.

    `views`: `rep`, `ref`, `cur` [B, H, W, 3]; for the projections also `global` [B, 2, H, W, 3] and
    `local` [B, V, h, w, 3]; `image`, of a file, uint8 [h, w, 3].
    """
    images = {name: view for name, view in views.items() if name != "image"}
    named = jax.device_get(_outputs(weights.config, weights.params, weights.teacher, images))
    if "image" in views:
        crop = place_crop([views["image"]], "release", weights.config.img_size, None)
        named["image"] = np.asarray(normalize(crop(views["image"])))
    return named


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
    named |= {"norm": tokens, "features": tokens[:, 1:]}
    if "local" in views:
        named["crop_tokens"] = network.encode(views["local"][:, 0])
    named["last_attention"] = network.encoder.last_attention(views["rep"])
    rep, ref = jnp.split(tokens, 2)
    if config.dma_diagonal:
        named["dma/attention"] = network.diagonal(rep, ref)[:, None, :, None]
    else:
        named["dma/attention"] = network.attention_map(rep, ref)[:, None]
        motion = network.motion_map(rep, ref, "release")
        named["heat/release"] = motion.reshape(-1, 1, config.grid, config.grid)
    named["dma/output"] = network.attend(rep, ref)
    if "heat/release" in named:
        named["heat/output"] = named["dma/output"]
    if "decoder" in params:
        named["decoder/pred"], layers = layers_of("decoder", "decode", named["dma/output"])
        for name in ("embed", *(f"block_{i}" for i in range(config.decoder_depth)), "norm"):
            named[f"decoder/{name}"] = layers[name]["__call__"][0]
        grid = config.grid, config.grid
        cur, patch_size = views["cur"], config.patch_size
        named["decoder/loss_norm_pix"] = losses.reconstruction_loss(
            named["decoder/pred"], cur, patch_size=patch_size, norm_pix=True
        )
        named["decoder/image"] = unpatchify(named["decoder/pred"], patch_size, grid)
    if teacher and "head" in params and "global" in views:
        large, small = ([*jnp.moveaxis(views[kind], 1, 0)] for kind in ("global", "local"))
        project = bound(module.config, teacher).project
        named["projection/teacher"] = jnp.concatenate([project(crop) for crop in large])
        student = [network.project(crop) for crop in large + small]
        named["projection/student"] = jnp.concatenate(student)
    return named


def training(weights: Weights, views: dict, numbers: dict) -> dict[str, np.ndarray]:
    """A step at epoch 0: `loss/...`, and `gradient/NAME` by the release's names and layouts.

    With a teacher also `dino/center`, after the step. `numbers` are those of a `Recording`.
    """
    if "decoder" not in weights.params:
        return {}
    dino = has_dino(weights)
    objective = ObjectiveConfig(agreement="dino" if dino else "none")
    temperature = _FORMER_TEMPERATURE
    if numbers:
        temperature = losses.teacher_temperature(_objective(numbers), 0)
    images = {name: view for name, view in views.items() if name != "image"}
    gradient = jax.jit(jax.grad(Objective(weights.config, objective).loss, has_aux=True))
    tree = jax.tree.map(jnp.asarray, (weights.params, weights.teacher, weights.center))
    gradients, parts = gradient(*tree, images, temperature)
    names = {"reconstruction": "reconstruction", "agreement": "agreement", "total": "loss"}
    named = {f"loss/{n}": parts[k] for n, k in names.items() if dino or n != "agreement"}
    if dino:
        named["dino/center"] = losses.update_center(
            weights.center, parts["teacher_out"], momentum=objective.center_momentum
        )
    arrays = release_arrays(flatten_dict({"params": gradients}, sep="/"))
    return jax.device_get(named | {f"gradient/{name}": value for name, value in arrays.items()})


def schedules(weights: Weights, numbers: dict) -> dict[str, np.ndarray]:
    """The rest of a training with DINO: `dino/...`, none without a teacher or `numbers`.

    The number of its crops; the teacher's temperature by epoch and momentum by step; samples of the
    teacher's weights after a step of the moving average that starts from their negative, as
    student and teacher of a new model are equal.
    """
    if not has_dino(weights) or not numbers:
        return {}
    config, total = _objective(numbers), numbers["average_epochs"] * numbers["average_iters"]
    momentum = np.array(losses.teacher_momentum(config, np.arange(total), total))
    step = losses.teacher_momentum(config, numbers["average_step"], total)
    negative = jax.tree.map(np.negative, weights.teacher)
    teacher = losses.update_teacher(negative, weights.params, momentum=step)
    arrays = release_arrays(flatten_dict({"teacher": teacher}, sep="/"))
    samples = [np.ravel(arrays[name])[::STRIDE] for name in sorted(arrays)]
    return {
        "dino/views": np.array(numbers["local_crops_number"] + 2),
        "dino/temperature": np.array(
            losses.teacher_temperature(config, np.arange(numbers["epochs"]))
        ),
        "dino/momentum": momentum,
        "dino/average": np.concatenate(samples),
    }


def _objective(numbers: dict) -> ObjectiveConfig:
    """The training of a recording's numbers."""
    return ObjectiveConfig(
        agreement="dino",
        teacher_temperature_start=numbers["warmup_teacher_temp"],
        teacher_temperature=numbers["teacher_temp"],
        teacher_temperature_epochs=numbers["warmup_teacher_temp_epochs"],
        teacher_momentum=numbers["average_momentum"],
    )
