"""Recordings of what the PyTorch release computes, and whether ours computes the same.

A recording is an `.npz` with the settings, a formula's salt and the results: weights and images are
made again by the formula, so that nothing of the release is needed to compare with it.
"""

import dataclasses
import functools
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from micron_jax.checkpoints.release import from_release, release_name, to_release
from micron_jax.checkpoints.weights import shapes_of
from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import patchify
from micron_jax.models.micron_bert import bound
from micron_jax.training import losses
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.optimizer import OptimizerConfig, make_optimizer
from micron_jax.training.state import new_state
from micron_jax.training.steps import Objective, TrainStep

# The release's own float32 rounding is about 1e-6 on outputs and gradients and 5e-6 on curves.
BOUNDS = {"output": 1e-5, "gradient": 1e-4, "curve": 1e-4, "final": 1e-3}
SUBSAMPLED = 9  # large recordings keep every ninth token and channel

_COMMON = (
    "features", "features_ref", "cls", "local_backbone", "last_selfattention", "attmap",
    "patchify", "teacher_out", "student_out", "full/rec_loss_norm_pix",
)  # fmt: skip
_EACH = (
    "latent", "att", "pred", "rec_loss", "losses", "grad_names", "grad_norms", "grad_first",
    "center_after_step0", "final_names", "final_norms", "final_first",
)  # fmt: skip
_SETTINGS = (
    "img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "decoder_embed_dim",
    "decoder_depth", "decoder_num_heads", "out_dim", "local_crops_number", "local_size",
    "warmup_teacher_temp", "teacher_temp", "warmup_teacher_temp_epochs", "epochs", "iters",
    "momentum", "lr", "wd", "steps",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Check:
    """One comparison; `error` is max |ours - theirs| / max |theirs|."""

    name: str
    error: float
    bound: float

    @property
    def ok(self) -> bool:
        return self.error <= self.bound  # NaN is not


def read_recording(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Returns the settings (with `salt`) and the arrays by name.

    Raises:
      UserError: no recording, a damaged one, or one with arrays or settings missing.
    """
    try:
        with np.load(path, allow_pickle=False) as recording:
            arrays = {name: recording[name] for name in recording.files}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: not a readable .npz recording; copy it again") from error
    needed = ["config", "salt", *_COMMON, *(f"{m}/{n}" for m in ("full", "diag") for n in _EACH)]
    if missing := [name for name in needed if name not in arrays]:
        raise UserError(f"{path}: a recording without {', '.join(missing)}; record it again")
    try:
        settings = json.loads(str(arrays.pop("config")))
        lacking = [name for name in _SETTINGS if name not in settings]
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: its config is not JSON ({error})") from error
    if lacking:
        raise UserError(f"{path}: its config does not say {', '.join(lacking)}; record it again")
    return settings | {"salt": str(arrays.pop("salt"))}, arrays


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


def formula_tree(settings: dict, config: ModelConfig) -> dict:
    """{"params", "teacher", "center"} filled by the formula, in our layout."""
    tensors = {}
    for path, shape in shapes_of(config).items():
        blank = np.broadcast_to(np.float32(0), shape.shape)
        release_shape = to_release(path, blank, patch_size=config.patch_size).shape
        weight = formula_weight(settings, release_name(path), release_shape)
        tensors[path] = from_release(path, weight)
    return unflatten_dict(tensors, sep="/")


def formula_views(settings: dict, batch: int) -> dict[str, np.ndarray]:
    """The recorded step's images, laid out as `steps.Objective.loss` takes them."""

    def image(name, side):
        return _normal(settings, name, (batch, 3, side, side)).transpose(0, 2, 3, 1)

    side, local = settings["img_size"], settings["local_size"]
    crops = [image(f"crop{i}", side) for i in range(2)]
    locals_ = [image(f"crop{2 + i}", local) for i in range(settings["local_crops_number"])]
    frames = {name: image(f"{name}_frame", side) for name in ("rep", "ref", "cur")}
    return frames | {"global": np.stack(crops, 1), "local": np.stack(locals_, 1)}


def model_config(settings: dict, *, diagonal: bool) -> ModelConfig:
    return ModelConfig(
        img_size=settings["img_size"],
        patch_size=settings["patch_size"],
        width=settings["embed_dim"],
        depth=settings["depth"],
        heads=settings["num_heads"],
        mlp_ratio=settings["mlp_ratio"],
        decoder_width=settings["decoder_embed_dim"],
        decoder_depth=settings["decoder_depth"],
        decoder_heads=settings["decoder_num_heads"],
        dma_diagonal=diagonal,
        projection_dim=settings["out_dim"],
    )


def objective_config(settings: dict) -> ObjectiveConfig:
    return ObjectiveConfig(
        agreement="dino",
        teacher_temperature_start=settings["warmup_teacher_temp"],
        teacher_temperature=settings["teacher_temp"],
        teacher_temperature_epochs=settings["warmup_teacher_temp_epochs"],
        teacher_momentum=settings["momentum"],
    )


def compare(path: Path) -> Iterator[Check]:
    """Computes what the recording holds and yields a check for each of its arrays.

    Raises:
      UserError: see `read_recording`; or an array whose shape the settings do not explain.
    """
    settings, recorded = read_recording(path)
    batch = recorded["features"].shape[0]
    views = formula_views(settings, batch)
    for diagonal in (False, True):
        config = model_config(settings, diagonal=diagonal)
        tree = formula_tree(settings, config)
        prefix = "diag/" if diagonal else "full/"
        outputs = jax.jit(functools.partial(_outputs, config))(tree, views)
        if not diagonal:
            outputs |= jax.jit(functools.partial(_shared_outputs, config))(tree, views)
        for name, ours in outputs.items():
            name = name if name in recorded else prefix + name
            yield _check(path, name, ours, recorded[name], "output")
        yield from _training(path, prefix, settings, config, tree, views, recorded)


def _outputs(config: ModelConfig, tree: dict, views: dict) -> dict:
    """What depends on `diag_att`, by the recordings' names."""
    network = bound(config, tree["params"])
    rep, ref = network.encode(views["rep"]), network.encode(views["ref"])
    latent = network.attend(rep, ref)
    pred = network.decode(latent)
    loss = losses.reconstruction_loss(pred, views["cur"], patch_size=config.patch_size)
    if config.dma_diagonal:
        att = network.diagonal(rep, ref)[:, None, :, None]
    else:
        att = network.attention_map(rep, ref)[:, None]
    return {"latent": latent, "att": att, "pred": pred, "rec_loss": loss}


def _shared_outputs(config: ModelConfig, tree: dict, views: dict) -> dict:
    """What does not depend on `diag_att`, by the recordings' names."""
    network = bound(config, tree["params"])

    def project(params, *groups):  # the recordings stack views before samples
        crops = [group[:, i] for group in groups for i in range(group.shape[1])]
        return jnp.concatenate([bound(config, params).project(crop) for crop in crops])

    rep, ref = network.encode(views["rep"]), network.encode(views["ref"])
    pred = network.decode(network.attend(rep, ref))
    return {
        "features": rep[:, 1:],
        "features_ref": ref[:, 1:],
        "cls": rep[:, 0],
        "local_backbone": network.encode(views["local"][:, 0]),
        "last_selfattention": network.last_attention(views["rep"])[:, :, 0],
        "attmap": network.motion_map(rep, ref, "release").reshape(-1, 1, config.grid, config.grid),
        "patchify": patchify(views["cur"], config.patch_size),
        "teacher_out": project(tree["teacher"], views["global"]),
        "student_out": project(tree["params"], views["global"], views["local"]),
        "rec_loss_norm_pix": losses.reconstruction_loss(
            pred, views["cur"], patch_size=config.patch_size, norm_pix=True
        ),
    }


def _training(path, prefix, settings, config, tree, views, recorded) -> Iterator[Check]:
    """The gradients of step 0, the center after it, the curves and the final state."""
    objective = objective_config(settings)
    total_steps = settings["epochs"] * settings["iters"]
    optimizer = make_optimizer(OptimizerConfig(weight_decay=settings["wd"]), settings["lr"])
    step = TrainStep(Objective(config, objective), optimizer, settings["iters"], total_steps)
    gradients, update = jax.jit(step.gradients), jax.jit(step.update)
    tree = jax.tree.map(jnp.asarray, tree)
    state = new_state(tree["params"], optimizer, dino=True)
    state = state.replace(teacher=tree["teacher"], center=tree["center"])
    curve = []
    for i in range(settings["steps"]):
        grads, parts = gradients(state, views)
        state = update(state, grads, parts)
        curve.append([parts[name] for name in ("loss", "reconstruction", "agreement")])
        if i == 0:
            yield from _summaries(
                path, prefix + "grad_", {"params": grads}, config, recorded, "gradient"
            )
            name = prefix + "center_after_step0"
            yield _check(path, name, state.center, recorded[name], "output")
    curve, theirs = np.array(curve), recorded[prefix + "losses"]
    if curve.shape != theirs.shape:
        raise UserError(f"{path}: {prefix}losses has shape {theirs.shape}, not {curve.shape}")
    for column, part in enumerate(("total", "reconstruction", "dino")):
        name = f"{prefix}losses/{part}"
        yield _check(path, name, curve[:, column], theirs[:, column], "curve")
    final = {"params": state.params, "teacher": state.teacher, "center": state.center}
    yield from _summaries(path, prefix + "final_", final, config, recorded, "final")


def _summaries(path, prefix, tree, config, recorded, kind) -> Iterator[Check]:
    """Norm and first element of every named array of the release."""
    ours = {
        release_name(p): to_release(p, np.asarray(a, np.float64), patch_size=config.patch_size)
        for p, a in flatten_dict(tree, sep="/").items()
    }
    names = [str(name) for name in recorded[prefix + "names"]]
    if unknown := [name for name in names if name not in ours]:
        raise UserError(f"{path}: {prefix}names holds {unknown[0]}, unknown to this model")
    norms = np.array([np.linalg.norm(ours[name]) for name in names])
    first = np.array([ours[name].flat[0] for name in names])
    yield _check(path, prefix + "norms", norms, recorded[prefix + "norms"], kind)
    yield _check(path, prefix + "first", first, recorded[prefix + "first"], kind)


def _check(path, name, ours, theirs, kind) -> Check:
    ours = np.asarray(ours, np.float64)
    if ours.shape != theirs.shape and ours.ndim == theirs.ndim:
        # Token and channel axes may be sub-sampled, the others never differ.
        for axis, (size, kept) in enumerate(zip(ours.shape, theirs.shape, strict=True)):
            if axis and kept != size and kept == -(-size // SUBSAMPLED):
                ours = ours.take(range(0, size, SUBSAMPLED), axis)
    if ours.shape != theirs.shape:
        raise UserError(
            f"{path}: {name} has shape {theirs.shape}; its config makes it {ours.shape}"
        )
    theirs = theirs.astype(np.float64)
    scale = np.abs(theirs).max() or 1.0
    return Check(name, float(np.abs(ours - theirs).max() / scale), BOUNDS[kind])
