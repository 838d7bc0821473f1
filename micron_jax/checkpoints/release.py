"""The PyTorch release's names and layouts, and ours, both ways."""

import json
import re
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from micron_jax.checkpoints import card, pth, pth_writer
from micron_jax.checkpoints.release_architecture import infer_config, release_args
from micron_jax.checkpoints.weights import Weights, check_finite, read_description, shapes_of
from micron_jax.errors import UserError

OURS = "micron_jax"  # a checkpoint's entry that the release passes over

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
        name, found = re.subn(pattern, replacement, path)
        if found:
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


def from_release(path: str, array: np.ndarray) -> np.ndarray:
    """The inverse of `to_release`."""
    if path.endswith("patch_embed/kernel") and array.ndim == 4:
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0).reshape(-1, array.shape[0]))
    if path.endswith(("/kernel", "/directions")):
        return np.ascontiguousarray(array.T)
    return array[:, 0] if path.endswith("/gain") and array.ndim == 2 else array


def read_checkpoint(path: Path) -> Weights:
    """Reads a checkpoint of the release: `model`, `args` and `epoch`, `module.` prefix or not.

    One that `save` wrote becomes again what it was written from.

    Raises:
      UserError: it is damaged, would run code, or is not a checkpoint of Micron-BERT.
    """
    checkpoint = pth.read(path)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), dict):
        raise UserError(f"{path}: holds no 'model', so it is not a checkpoint of the release")
    if not isinstance(checkpoint.get("args"), dict | Namespace):
        raise UserError(
            f"{path}: holds no 'args', which say how the model was built; "
            "save {'model', 'args', 'epoch'} as the release does"
        )
    args = checkpoint["args"] if isinstance(checkpoint["args"], dict) else vars(checkpoint["args"])
    state = {str(k).replace("module.", ""): value for k, value in checkpoint["model"].items()}
    state = _without_copies(path, state)
    if OURS in checkpoint:
        config, info = read_description(path, _plain(path, checkpoint[OURS]))
    else:
        config = infer_config(path, state, args)
        info = {"source": path.name, "epoch": checkpoint.get("epoch"), "args": args}
    try:
        shapes = shapes_of(
            config,
            decoder=any(name.startswith("decoder_") for name in state),
            aux_cls=any(name.startswith("fc.") for name in state),
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if config.dma_tied:  # see `state_dict`
        state = {name: value for name, value in state.items() if not name.startswith("att.to_k.")}
    tree = unflatten_dict(_gather(path, state, shapes, config.patch_size), sep="/")
    return Weights(
        config,
        tree["params"],
        tree.get("teacher", {}),
        tree.get("center", np.zeros((1, 0), np.float32)),
        _plain(path, info),
    )


def state_dict(weights: Weights) -> dict[str, np.ndarray]:
    """What the release's `state_dict()` holds of these weights, float32.

    `student.backbone` is `backbone` itself, and of tied queries and keys (ours) both are written:
    such arrays stand twice, and share their storage in a file.
    """
    state = {
        release_name(path): to_release(path, array, patch_size=weights.config.patch_size)
        for path, array in weights.flat().items()
    }
    if weights.config.dma_tied:
        state |= {name.replace("to_q", "to_k"): x for name, x in state.items() if ".to_q." in name}
    if weights.config.projection_dim:
        state |= {f"student.{name}": x for name, x in state.items() if name.startswith("backbone.")}
    return state


def encode_checkpoint(weights: Weights) -> bytes:
    """A `.pth` as the release saves it: `model`, `args` and `epoch`; and how to read it back."""
    info = weights.info
    epoch = info.get("epoch")
    checkpoint = {
        "model": OrderedDict(state_dict(weights)),
        "args": Namespace(**release_args(weights)),
        "epoch": epoch if isinstance(epoch, int) else 0,
        OURS: weights.described(),
    }
    return pth_writer.encode(checkpoint)


def save(weights: Weights, path: Path) -> None:
    """Writes `encode_checkpoint` and, beside it, the model card as NAME.md; whole or not at all.

    Raises:
      UserError: one of the two is there already, or cannot be written.
    """
    card.save_with(weights, path, lambda: encode_checkpoint(weights))


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


def _without_copies(path: Path, state: dict) -> dict:
    """Drops `student.backbone`, which is the same storage as `backbone`, once that is checked."""
    kept = {}
    for name, value in state.items():
        if not isinstance(value, np.ndarray):
            raise UserError(f"{path}: 'model' holds {name!r}, which is no tensor")
        if name.startswith("student.backbone."):
            twin = state.get(name.removeprefix("student."))
            if twin is None or not np.array_equal(twin, value, equal_nan=True):
                raise UserError(f"{path}: {name} differs from {name.removeprefix('student.')}")
        else:
            kept[name] = value
    return kept


def _gather(path: Path, state: dict, shapes: dict, patch_size: int) -> dict:
    """Our flat tree from the release's state, every tensor used and every shape right."""
    names = {ours: release_name(ours) for ours in shapes}
    if missing := [name for name in names.values() if name not in state]:
        raise UserError(f"{path}: lacks {_some(missing)}; not a whole Micron-BERT checkpoint")
    if unknown := [name for name in state if name not in names.values()]:
        raise UserError(f"{path}: holds {_some(unknown)}, unknown to Micron-BERT")
    tensors = {}
    for ours, name in names.items():
        blank = np.broadcast_to(np.float32(0), shapes[ours].shape)
        here, there = state[name].shape, to_release(ours, blank, patch_size=patch_size).shape
        if here != there:
            transposed = ", transposed" if here == there[::-1] else ""
            raise UserError(
                f"{path}: {name} has the wrong shape for this model ({here}{transposed}, not "
                f"{there})"
            )
        if state[name].dtype.kind not in "fV":  # V: bfloat16
            raise UserError(f"{path}: {name} is {state[name].dtype}, which no weight is")
        tensors[ours] = from_release(ours, state[name].astype(np.float32))
        check_finite(path, name, tensors[ours])
    return tensors


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
