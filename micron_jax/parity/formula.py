"""Recordings whose weights and images a formula makes: trainings of the release, repeated.

Such a recording holds the settings, the formula's salt and the results, so that nothing of the
release is needed to compare with it.
"""

import functools
import math
import zlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from micron_jax.checkpoints.release import (
    from_release,
    release_arrays,
    release_name,
    release_shapes,
)
from micron_jax.checkpoints.weights import Weights, shapes_of
from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import patchify
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.parity import layer_outputs
from micron_jax.parity.recorded import Check, Recording, check, check_complete, vectors
from micron_jax.training.losses import ObjectiveConfig, reconstruction_loss
from micron_jax.training.optimizer import OptimizerConfig, make_optimizer
from micron_jax.training.state import new_state
from micron_jax.training.steps import Objective, TrainStep

_COMMON = (
    "features", "features_ref", "cls", "local_backbone", "last_selfattention", "attmap",
    "patchify", "teacher_out", "student_out", "full/rec_loss_norm_pix",
)  # fmt: skip
_EACH = (
    "latent", "att", "pred", "rec_loss", "losses", "grad_names", "grad_norms", "grad_first",
    "center_after_step0", "final_names", "final_norms", "final_first",
)  # fmt: skip
_MODEL = {  # our setting -> the recording's
    "img_size": "img_size", "patch_size": "patch_size", "width": "embed_dim", "depth": "depth",
    "heads": "num_heads", "mlp_ratio": "mlp_ratio", "decoder_width": "decoder_embed_dim",
    "decoder_depth": "decoder_depth", "decoder_heads": "decoder_num_heads",
    "projection_dim": "out_dim",
}  # fmt: skip
_WARMUP = "warmup_teacher_temp_epochs"
_OBJECTIVE = {
    "teacher_temperature_start": "warmup_teacher_temp", "teacher_temperature": "teacher_temp",
    "teacher_temperature_epochs": _WARMUP, "teacher_momentum": "momentum",
}  # fmt: skip
_MODES = ("full", "diag")  # the release's `diag_att` off and on
_CURVES = {"total": "loss", "reconstruction": "reconstruction", "dino": "agreement"}
_TRAINING = ("local_crops_number", "local_size", "epochs", "iters", "lr", "wd", "steps")
_FRACTIONS = ("mlp_ratio", "warmup_teacher_temp", "teacher_temp", "momentum", "lr", "wd")  # and 0
_MOST, _MOST_NUMBERS = 100_000, 200_000_000  # of a setting; of weights, pixels and attention


def model_config(settings: dict, *, diagonal: bool) -> ModelConfig:
    """The recorded network; `diagonal` is the release's `diag_att`."""
    fields = {field: settings[name] for field, name in _MODEL.items()}
    return ModelConfig(dma_diagonal=diagonal, **fields)


def _normal(settings: dict, name: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32((settings["salt"] + name).encode())
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def formula_weight(settings: dict, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The recordings' value of a weight, by its name and shape in the release."""
    z = _normal(settings, name, shape)
    if name.endswith("weight_g"):
        return 1 + 0.1 * np.abs(z)
    if "norm" in name and name.endswith("weight"):
        return 1 + 0.1 * z
    if name.endswith("center"):
        return 0.01 * z
    if name.endswith("bias"):
        return 0.05 * z
    if "pos_embed" in name or "cls_token" in name:
        return 0.3 * z
    return z / np.sqrt(np.prod(shape[1:])).astype(np.float32)


def formula_weights(settings: dict, config: ModelConfig) -> Weights:
    """The recorded network before its first step."""
    shapes, arrays = release_shapes(config), {}
    for path in shapes_of(config):
        name = release_name(path)
        arrays[path] = from_release(path, formula_weight(settings, name, shapes[name].shape))
    return Weights.from_flat(config, arrays, {})


def formula_views(settings: dict, batch: int) -> dict[str, np.ndarray]:
    """The recorded step's images, laid out as `steps.Objective.loss` takes them."""

    def image(name, side):
        return _normal(settings, name, (batch, 3, side, side)).transpose(0, 2, 3, 1)

    side, small, count = (settings[n] for n in ("img_size", "local_size", "local_crops_number"))
    crops = [image(f"crop{i}", side) for i in range(2)]
    small_crops = [image(f"crop{2 + i}", small) for i in range(count)]
    frames = {name: image(f"{name}_frame", side) for name in ("rep", "ref", "cur")}
    return frames | {"global": np.stack(crops, 1), "local": np.stack(small_crops, 1)}


def compare(recording: Recording) -> Iterator[Check]:
    """Yields a check for each of the recorded arrays.

    Raises:
      UserError: arrays or settings are missing, or a shape is not that of the settings.
    """
    source, settings, results = recording.source, recording.settings, recording.results
    check_complete(source, settings, [*_MODEL.values(), *_OBJECTIVE.values(), *_TRAINING])
    check_complete(source, results, [*_COMMON, *(f"{m}/{n}" for m in _MODES for n in _EACH)])
    _check_settings(source, settings)
    _check_size(source, settings, results["features"].shape)
    for mode in _MODES:
        curves = results[f"{mode}/losses"]
        if curves.shape != (settings["steps"], 3):
            raise UserError(f"{source}: {mode}/losses has shape {curves.shape}; record it again")
        names = (f"{mode}/losses/{part}" for part in _CURVES)
        results = results | dict(zip(names, curves.T, strict=True))
    views = formula_views(settings, results["features"].shape[0])
    for mode in _MODES:
        weights = formula_weights(settings, model_config(settings, diagonal=mode == "diag"))
        named = {p: results[f"{mode}/{p}_names"].astype(str).tolist() for p in ("grad", "final")}
        for computed in (_outputs(weights, views), _training(settings, weights, views, named)):
            for name, values, kind in computed:
                name = name if name in results else f"{mode}/{name}"
                yield check(name, *vectors(source, name, values, results[name]), kind)


def _check_settings(source: str, settings: dict) -> None:
    """Raises a `UserError` that names the setting which is no number of its kind."""
    for name in [*_MODEL.values(), *_OBJECTIVE.values(), *_TRAINING]:
        value, fraction = settings[name], name in _FRACTIONS
        kinds, least = ((int, float), 0) if fraction else ((int,), name != _WARMUP)
        if type(value) not in kinds or not least <= value <= _MOST:
            raise UserError(f"{source}: {name}={value!r} is no setting; record it again")
    if settings["local_size"] % settings["patch_size"]:
        raise UserError(f"{source}: local_size is no multiple of patch_size; record it again")


def _check_size(source: str, settings: dict, features: tuple[int, ...]) -> None:
    """Raises a `UserError` where the recording asks for more than any was made of."""
    config = model_config(settings, diagonal=False)
    side, small, count = (settings[n] for n in ("img_size", "local_size", "local_crops_number"))
    batch = features[0] if len(features) == 3 else _MOST
    weights = sum(math.prod(shape.shape) for shape in release_shapes(config).values())
    pixels = 3 * batch * (5 * side**2 + count * small**2)
    attention = batch * config.heads * config.grid**4
    if (total := weights + pixels + attention) > _MOST_NUMBERS:
        raise UserError(
            f"{source}: describes a batch of {batch} and a model of {total:,} numbers, more than "
            "any recording's: damaged, or not one"
        )


_Results = Iterator[tuple[str, np.ndarray, str]]


def _outputs(weights: Weights, views: dict) -> _Results:
    """Name, value and kind of the outputs before the first step."""
    config, both = weights.config, not weights.config.dma_diagonal
    frames = {name: views[name] for name in ("rep", "ref", "cur")}
    layers = layer_outputs.outputs(weights, views if both else frames)
    loss = functools.partial(reconstruction_loss, patch_size=config.patch_size)
    loss = jax.jit(loss, static_argnames="norm_pix")
    pred, cur = layers["decoder/pred"], views["cur"]
    outputs = {"att": layers["dma/attention"], "latent": layers["dma/output"], "pred": pred}
    outputs["rec_loss"] = loss(pred, cur)
    if both:  # these do not depend on the diagonal
        rep, ref = np.split(layers["norm"], 2)
        encode = jax.jit(functools.partial(MicronBertModule(config).apply, method="encode"))
        outputs |= {
            "attmap": layers["heat/release"],
            "cls": rep[:, 0],
            "features": rep[:, 1:],
            "features_ref": ref[:, 1:],
            "last_selfattention": layers["last_attention"][:, :, 0],
            "local_backbone": encode({"params": weights.params}, views["local"][:, 0]),
            "patchify": patchify(cur, config.patch_size),
            "rec_loss_norm_pix": loss(pred, cur, norm_pix=True),
            "student_out": layers["projection/student"],
            "teacher_out": layers["projection/teacher"],
        }
    yield from ((name, values, "output") for name, values in outputs.items())


def _training(settings: dict, weights: Weights, views: dict, named: dict) -> _Results:
    """The gradients of the first step, the center after it, the curves and the final state.

    `named`: `grad` and `final` -> the release's names of the arrays that are summarized.
    """
    fields = {field: settings[name] for field, name in _OBJECTIVE.items()}
    objective = Objective(weights.config, ObjectiveConfig(agreement="dino", **fields))
    optimizer = make_optimizer(OptimizerConfig(weight_decay=settings["wd"]), settings["lr"])
    epoch = settings["iters"]
    step = TrainStep(objective, optimizer, epoch, settings["epochs"] * epoch)
    gradients, update = jax.jit(step.gradients), jax.jit(step.update)
    tree = jax.tree.map(jnp.asarray, (weights.params, weights.teacher, weights.center))
    state = new_state(tree[0], optimizer, dino=True).replace(teacher=tree[1], center=tree[2])
    history = []
    for number in range(settings["steps"]):
        grads, parts = gradients(state, views)
        state = update(state, grads, parts)
        history.append(parts)
        if number == 0:
            yield from _summaries({"params": grads}, named["grad"], "grad", "gradient")
            yield "center_after_step0", state.center, "output"
    for name, part in _CURVES.items():
        yield f"losses/{name}", np.array([parts[part] for parts in history]), "curve"
    tree = {"params": state.params, "teacher": state.teacher, "center": state.center}
    yield from _summaries(tree, named["final"], "final", "final")


def _summaries(tree: dict, names: list, prefix: str, kind: str) -> _Results:
    """Norm and first element of each named array of the release."""
    flat = {path: np.asarray(x, np.float64) for path, x in flatten_dict(tree, sep="/").items()}
    arrays = release_arrays(flat)
    if unknown := [name for name in names if name not in arrays]:
        raise UserError(f"{prefix}_names holds {unknown[0]}, unknown to this model")
    if missing := [name for name in arrays if name not in names and arrays[name].any()]:
        raise UserError(f"{prefix}_names lacks {missing[0]}, which this model has; record it again")
    yield f"{prefix}_norms", np.array([np.linalg.norm(arrays[name]) for name in names]), kind
    yield f"{prefix}_first", np.array([arrays[name].flat[0] for name in names]), kind
