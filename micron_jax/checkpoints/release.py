"""Checkpoints of the PyTorch release: its names and layouts, and ours, both ways."""

import json
import math
import re
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from micron_jax.checkpoints import pth, pth_writer
from micron_jax.checkpoints.release_architecture import infer_config, release_args
from micron_jax.checkpoints.weights import Weights, check_arrays, read_description, shapes_of
from micron_jax.errors import UserError, naming
from micron_jax.models.config import ModelConfig

DESCRIPTION = "micron_jax"  # a checkpoint's entry that the release passes over

# Our path -> the release's name: the first pattern of `_PARTS` that fits, then all of `_LEAVES`.
# Trees are {"params", "teacher", "center"}, as in `Weights`.
_PARTS = (
    (r"^center$", "dino_loss_fn.center"),
    (r"^params/encoder/", "backbone."),
    (r"^params/dma/", "att."),
    (r"^params/decoder/", "decoder_"),
    (r"^params/head/", "student.head."),
    (r"^params/aux_cls/", "fc."),
    (r"^teacher/encoder/", "teacher.backbone."),
    (r"^teacher/head/", "teacher.head."),
)
_LEAVES = (
    (r"block_(\d+)/", r"blocks.\1."),
    (r"patch_embed/", "patch_embed.proj."),
    (r"head\.fc1/", "head.mlp.0."),
    (r"head\.fc2/", "head.mlp.2."),
    (r"head\.fc3/", "head.mlp.4."),
    (r"directions$", "last_layer.weight_v"),
    (r"gain$", "last_layer.weight_g"),
    (r"\b(kernel|scale)$", "weight"),
    (r"positions$", "pos_embed"),
    (r"(?<=backbone\.)cls$", "cls_token"),
    (r"/", "."),
)


def release_name(path: str) -> str:
    """`params/encoder/block_0/attn/qkv/kernel` -> `backbone.blocks.0.attn.qkv.weight`.

    Raises:
      UserError: the release has no such part, as the motion branch.
    """
    for pattern, replacement in _PARTS:
        name, count = re.subn(pattern, replacement, path)
        if count:
            for leaf, leaf_name in _LEAVES:
                name = re.sub(leaf, leaf_name, name)
            return name
    part = path.split("/")[1]
    raise UserError(
        f"the release has no {part} branch, so no .pth can hold these weights: convert them to a "
        "folder or to NEW.safetensors"
    )


def to_release(path: str, array: np.ndarray) -> np.ndarray:
    """Our array in the release's layout: linear weights are [out, in], patches a convolution."""
    if path.endswith("patch_embed/kernel"):
        side = math.isqrt(array.shape[0] // 3)
        return array.reshape(side, side, 3, -1).transpose(3, 2, 0, 1)
    if path.endswith(("/kernel", "/directions")):
        return array.T
    return array[:, None] if path.endswith("/gain") else array


def from_release(path: str, array: np.ndarray) -> np.ndarray:
    """The inverse of `to_release`."""
    if path.endswith("patch_embed/kernel") and array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0).reshape(-1, array.shape[0]))
    if path.endswith(("/kernel", "/directions")):
        return np.ascontiguousarray(array.T)
    return array[:, 0] if path.endswith("/gain") and array.ndim == 2 else array


def release_arrays(arrays: Mapping) -> dict:
    """Our arrays by path -> the release's by name, in its layout."""
    return {release_name(path): to_release(path, array) for path, array in arrays.items()}


def release_shapes(config: ModelConfig, **parts: bool) -> dict[str, jax.ShapeDtypeStruct]:
    """Name in the release -> shape there; `parts` as `shapes_of` takes them."""
    return jax.eval_shape(release_arrays, shapes_of(config, **parts))


def read_checkpoint(path: Path) -> Weights:
    """Reads a checkpoint of the release: `model`, `args` and `epoch`, `module.` prefix or not.

    The inverse of `encode_checkpoint` for its own files.

    Raises:
      UserError: it is damaged, would run code, or is not a checkpoint of Micron-BERT.
    """
    checkpoint = pth.read(path)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), dict):
        raise UserError(f"{path}: holds no 'model', so it is not a checkpoint of the release")
    args = checkpoint.get("args")
    if not isinstance(args, dict | Namespace):
        raise UserError(
            f"{path}: holds no 'args', which say how the model was built; "
            "save {'model', 'args', 'epoch'} as the release does"
        )
    args = vars(args) if isinstance(args, Namespace) else args
    state = _float32_state(path, checkpoint["model"])
    if DESCRIPTION in checkpoint:
        config, info = read_description(path, _plain(path, checkpoint[DESCRIPTION]))
    else:
        config = infer_config(path, state, args)
        info = {"source": path.name, "epoch": checkpoint.get("epoch"), "args": args}
    parts = {
        "decoder": any(name.startswith("decoder_") for name in state),
        "aux_cls": any(name.startswith("fc.") for name in state),
    }
    if config.dma_tied:  # see `state_dict`
        state = {name: value for name, value in state.items() if not name.startswith("att.to_k.")}
    with naming(path):
        shapes = release_shapes(config, **parts)
    mend = "save the whole model as the release does"
    check_arrays(path, state, shapes, asker="Micron-BERT", mend=mend)
    shapes = shapes_of(config, **parts)
    arrays = {name: from_release(name, state[release_name(name)]) for name in shapes}
    return Weights.from_flat(config, arrays, _plain(path, info))


def state_dict(weights: Weights) -> dict[str, np.ndarray]:
    """The release's `state_dict()` of these weights, float32.

    `student.backbone` is `backbone` itself, and of tied queries and keys (ours) both are written:
    such arrays stand twice, and share their storage in a file.
    """
    state = release_arrays(weights.flat())
    if weights.config.dma_tied:
        state |= {name.replace("to_q", "to_k"): x for name, x in state.items() if ".to_q." in name}
    if weights.config.projection_dim:
        state |= {f"student.{name}": x for name, x in state.items() if name.startswith("backbone.")}
    return state


def encode_checkpoint(weights: Weights) -> bytes:
    """A `.pth` as the release saves it: `model`, `args` and `epoch`; and how to read it back."""
    model, args = OrderedDict(state_dict(weights)), Namespace(**release_args(weights))
    epoch = weights.info.get("epoch")
    checkpoint = {"model": model, "args": args, "epoch": epoch if isinstance(epoch, int) else 0}
    return pth_writer.encode(checkpoint | {DESCRIPTION: weights.described()})


def _float32_state(path: Path, model: dict) -> dict[str, np.ndarray]:
    """A state dict by bare names, without `student.backbone`, the same storage as `backbone`."""
    model = {str(name).replace("module.", ""): value for name, value in model.items()}
    state = {}
    for name, value in model.items():
        if not isinstance(value, np.ndarray):
            raise UserError(f"{path}: 'model' holds {name!r}, which is no tensor")
        if name.startswith("student.backbone."):
            twin = name.removeprefix("student.")
            if twin not in model or not np.array_equal(model[twin], value, equal_nan=True):
                raise UserError(f"{path}: {name} differs from {twin}")
        else:
            floats = value.dtype.kind in "fV"  # V: bfloat16
            state[name] = value.astype(np.float32) if floats else value
    return state


def _plain(path: Path, value: Any) -> Any:
    """`value` as JSON knows it; what JSON does not know becomes text.

    Raises a `UserError` where shared lists of a file unfold to more than any settings are.
    """
    parts = [(value, 0)]
    for part, depth in parts:  # which grows
        if len(parts) > 100_000 or depth > 50:
            raise UserError(f"{path}: its args are more than settings; save it with plain ones")
        part = vars(part) if isinstance(part, Namespace) else part
        part = [*part.values()] if isinstance(part, dict) else part
        parts += [(inner, depth + 1) for inner in part] if isinstance(part, list | tuple) else []
    try:
        return json.loads(json.dumps(value, default=str))
    except ValueError as error:  # an integer of thousands of digits
        raise UserError(f"{path}: its args cannot be kept ({error})") from error
