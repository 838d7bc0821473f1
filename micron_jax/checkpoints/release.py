"""Checkpoints of the PyTorch release: its names and layouts, and ours, both ways."""

import functools
import json
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
from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig

DESCRIPTION = "micron_jax"  # a checkpoint's entry that the release passes over

# Our path -> the release's name; the first pattern that fits is followed, then the last part of
# the name is set by `_LEAVES`. Trees are {"params", "teacher", "center"}, as in `Weights`.
_MODULES = (
    (r"^center$", "dino_loss_fn.center"),
    (r"^params/encoder/block_(\d+)/", r"backbone.blocks.\1."),
    (r"^params/encoder/patch_embed/", "backbone.patch_embed.proj."),
    (r"^params/encoder/", "backbone."),
    (r"^teacher/encoder/block_(\d+)/", r"teacher.backbone.blocks.\1."),
    (r"^teacher/encoder/patch_embed/", "teacher.backbone.patch_embed.proj."),
    (r"^teacher/encoder/", "teacher.backbone."),
    (r"^params/dma/", "att."),
    (r"^params/decoder/block_(\d+)/", r"decoder_blocks.\1."),
    (r"^params/decoder/", "decoder_"),
    (r"^params/head/", "student.head."),
    (r"^teacher/head/", "teacher.head."),
    (r"^params/aux_cls/", "fc."),
)
_LEAVES = (
    (r"head\.fc1/", "head.mlp.0/"),
    (r"head\.fc2/", "head.mlp.2/"),
    (r"head\.fc3/", "head.mlp.4/"),
    (r"directions$", "last_layer.weight_v"),
    (r"gain$", "last_layer.weight_g"),
    (r"/(kernel|scale)$|(?<=\.)(kernel|scale)$", ".weight"),
    (r"positions$", "pos_embed"),
    (r"(?<=backbone\.)cls$", "cls_token"),
)


def release_name(path: str) -> str:
    """`params/encoder/block_0/attn/qkv/kernel` -> `backbone.blocks.0.attn.qkv.weight`.

    Raises:
      KeyError: no parameter of ours.
    """
    for pattern, replacement in _MODULES:
        name, count = re.subn(pattern, replacement, path)
        if count:
            for leaf, leaf_name in _LEAVES:
                name = re.sub(leaf, leaf_name, name)
            return name.replace("/", ".").replace("..", ".")
    raise KeyError(f"no name in the release for {path!r}")


def to_release(path: str, array: np.ndarray, *, patch_size: int) -> np.ndarray:
    """Our array in the release's layout: linear weights are [out, in], patches a convolution."""
    if path.endswith("patch_embed/kernel"):
        pixels = array.reshape(patch_size, patch_size, -1, array.shape[-1])
        return pixels.transpose(3, 2, 0, 1)
    if path.endswith(("/kernel", "/directions")):
        return array.T
    return array[:, None] if path.endswith("/gain") else array


def release_arrays(arrays: Mapping, *, patch_size: int) -> dict:
    """Our arrays by path -> the release's by name, in its layout."""
    return {
        release_name(path): to_release(path, array, patch_size=patch_size)
        for path, array in arrays.items()
    }


def release_shapes(config: ModelConfig, **parts: bool) -> dict[str, jax.ShapeDtypeStruct]:
    """Name in the release -> shape there; `parts` as `shapes_of` takes them."""
    layout = functools.partial(release_arrays, patch_size=config.patch_size)
    return jax.eval_shape(layout, shapes_of(config, **parts))


def from_release(path: str, array: np.ndarray) -> np.ndarray:
    """The inverse of `to_release`."""
    if path.endswith("patch_embed/kernel") and array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0).reshape(-1, array.shape[0]))
    if path.endswith(("/kernel", "/directions")):
        return np.ascontiguousarray(array.T)
    return array[:, 0] if path.endswith("/gain") and array.ndim == 2 else array


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
    args = args if isinstance(args, dict) else vars(args)
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
    try:
        shapes = release_shapes(config, **parts)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    mend = "save the whole model as the release does"
    check_arrays(path, state, shapes, asker="Micron-BERT", mend=mend)
    names = {name: release_name(name) for name in shapes_of(config, **parts)}
    arrays = {name: from_release(name, state[there]) for name, there in names.items()}
    return Weights.from_flat(config, arrays, _plain(path, info))


def state_dict(weights: Weights) -> dict[str, np.ndarray]:
    """The release's `state_dict()` of these weights, float32.

    `student.backbone` is `backbone` itself, and of tied queries and keys (ours) both are written:
    such arrays stand twice, and share their storage in a file.
    """
    state = release_arrays(weights.flat(), patch_size=weights.config.patch_size)
    if weights.config.dma_tied:
        state |= {name.replace("to_q", "to_k"): x for name, x in state.items() if ".to_q." in name}
    if weights.config.projection_dim:
        state |= {f"student.{name}": x for name, x in state.items() if name.startswith("backbone.")}
    return state


def encode_checkpoint(weights: Weights) -> bytes:
    """A `.pth` as the release saves it: `model`, `args` and `epoch`; and how to read it back."""
    epoch = weights.info.get("epoch")
    checkpoint = {
        "model": OrderedDict(state_dict(weights)),
        "args": Namespace(**release_args(weights)),
        "epoch": epoch if isinstance(epoch, int) else 0,
        DESCRIPTION: weights.described(),
    }
    return pth_writer.encode(checkpoint)


def _float32_state(path: Path, model: dict) -> dict[str, np.ndarray]:
    """A state dict by bare names, without `student.backbone`, the same storage as `backbone`."""
    model = {str(name).replace("module.", ""): value for name, value in model.items()}
    state = {}
    for name, value in model.items():
        if not isinstance(value, np.ndarray):
            raise UserError(f"{path}: 'model' holds {name!r}, which is no tensor")
        if name.startswith("student.backbone."):
            twin = model.get(name.removeprefix("student."))
            if twin is None or not np.array_equal(twin, value, equal_nan=True):
                raise UserError(f"{path}: {name} differs from {name.removeprefix('student.')}")
        else:
            floats = value.dtype.kind in "fV"  # V: bfloat16
            state[name] = value.astype(np.float32) if floats else value
    return state


def _plain(path: Path, value: Any) -> Any:
    """`value` as JSON knows it; what JSON does not know becomes text.

    Raises:
      UserError: there is more of it than settings are. A few shared lists in a file can unfold to
        more than any memory holds.
    """
    nodes, below = 0, [(value, 0)]
    while below:
        part, depth = below.pop()
        nodes += 1
        if nodes > 100_000 or depth > 50:
            raise UserError(f"{path}: its args are more than settings; save it with plain ones")
        part = vars(part) if isinstance(part, Namespace) else part
        if isinstance(part, dict | list | tuple):
            parts = part.values() if isinstance(part, dict) else part
            below.extend((inner, depth + 1) for inner in parts)
    try:
        return json.loads(json.dumps(value, default=str))
    except ValueError as error:  # an integer of thousands of digits
        raise UserError(f"{path}: its args cannot be kept ({error})") from error
