"""Checkpoints of the PyTorch release: its names and layouts, and ours, both ways."""

import collections
import dataclasses
import math
import re
import warnings
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from micron_jax.checkpoints import pth, pth_writer
from micron_jax.checkpoints.origin import plain
from micron_jax.checkpoints.pickle_objects import fields_of
from micron_jax.checkpoints.release_architecture import has_dino, infer_config, release_args
from micron_jax.checkpoints.state_dicts import State, args_in, find_state
from micron_jax.checkpoints.tensor_file import is_tensor_file, open_tensors
from micron_jax.checkpoints.weights import (
    Weights,
    check_finite,
    check_shapes,
    read_config,
    read_description,
    shapes_among,
    shapes_of,
    some,
)
from micron_jax.errors import Notice, UserError, naming
from micron_jax.models.config import ModelConfig

DESCRIPTION = "micron_jax"  # a checkpoint's entry that the release passes over
ARRAYS = "arrays"  # in it: what the release has no place for, by our paths

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


def in_release(path: str) -> bool:
    """Tests if the release has an array of ours; it has no displacement branch."""
    return any(re.match(pattern, path) for pattern, _ in _PARTS)


def release_name(path: str) -> str:
    """`params/encoder/block_0/attn/qkv/kernel` -> `backbone.blocks.0.attn.qkv.weight`.

    Raises:
      UserError: the release has no such part, as the displacement branch.
    """
    for pattern, replacement in _PARTS:
        name, count = re.subn(pattern, replacement, path)
        if count:
            for leaf, leaf_name in _LEAVES:
                name = re.sub(leaf, leaf_name, name)
            return name
    part = path.split("/")[1]
    raise UserError(f"the release has no {part} branch")


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


def read_checkpoint(path: Path, given: Mapping[str, Any] | None = None) -> Weights:
    """Reads a checkpoint of the release, however a training script has wrapped and saved it.

    The inverse of `encode_checkpoint` for its own files. A `.safetensors` with the release's names
    is read as well. A `Notice` tells of what was chosen, changed or left out.

    Args:
      given: what the file may not say: `num_heads`, `decoder_num_heads`, `diag_att`; and `state`,
        which network it is in a file of several (`ema`, `state_dict/teacher`). None is not given.

    Raises:
      UserError: it is damaged, or is not a checkpoint of Micron-BERT.
    """
    given = {name: value for name, value in (given or {}).items() if value is not None}
    checkpoint = dict(open_tensors(path).arrays()) if is_tensor_file(path) else pth.read(path)
    fields = fields_of(checkpoint)
    with naming(path):
        state = find_state(checkpoint, given.get("state"))
    described, notices = fields.get(DESCRIPTION), list(state.notices)
    own = DESCRIPTION in fields
    if own:
        check_not_given(path, {n: x for n, x in given.items() if n != "state"})
        config, info = read_description(path, described)
    else:
        args = state.settings | args_in(checkpoint)
        with naming(path):
            config, sentences = infer_config(state.arrays, args, given)
            config = read_config(dataclasses.asdict(config), section="model")
        notices += sentences
        epoch = fields.get("epoch")
        info = {"source": path.name, "epoch": epoch if type(epoch) is int else None, "args": args}
    arrays, sentences = _own_arrays(
        path, config, state, fields_of(fields_of(described).get(ARRAYS))
    )
    notices += sentences
    for notice in notices:
        warnings.warn(f"{path}: {notice}", Notice, stacklevel=2)
    if notices and not own:
        info["notices"] = notices
    return Weights.from_flat(config, arrays, plain(info))


def check_not_given(path: Path, given: Mapping[str, Any] | None) -> None:
    """Raises a `UserError` if settings are given for a file that holds its own."""
    for name, value in (given or {}).items():
        if value is not None:
            raise UserError(f"{path}: describes its own network; leave out {name}")


def _own_arrays(path: Path, config: ModelConfig, state: State, beside: Mapping) -> tuple:
    """Our arrays by path, and sentences about what was changed or left out.

    Args:
      beside: arrays by our own paths, which a `.pth` of ours holds beside the release's.

    Raises:
      UserError: an array is missing, unknown, no tensor, of another shape or not finite.
    """
    with naming(path):
        paths = shapes_of(config, aux_cls=True)
    names = {p: p if p in beside else _name_or_path(p) for p in paths}
    given = state.arrays | {name: value for name, value in beside.items() if isinstance(name, str)}
    if config.dma_tied:  # see `state_dict`
        given = {name: value for name, value in given.items() if not name.startswith("att.to_k.")}
    given, sentences = _without_classifier(given, config.width)
    shapes = shapes_among(config, {p: given[n] for p, n in names.items() if n in given})
    ours = {path: shape for path, shape in shapes.items() if names[path] == path}
    theirs = {path: shape for path, shape in shapes.items() if path not in ours}
    wanted = ours | jax.eval_shape(release_arrays, theirs)
    for name, value in given.items():
        if name in wanted and not isinstance(value, np.ndarray):
            mend = "save the state_dict() of the plain, gathered model"
            raise UserError(f"{path}: {name} is {value!r}, no plain tensor; {mend}")
    other = [name for name, value in given.items() if not isinstance(value, np.ndarray)]
    if other:
        sentences.append(f"left out what is no tensor: {some(other)}")
    given = {name: value for name, value in given.items() if name not in other}
    mend = "save the whole model as the release does"
    stubs = {name: jax.ShapeDtypeStruct(x.shape, _read_as(x.dtype)) for name, x in given.items()}
    check_shapes(path, stubs, wanted, asker="Micron-BERT", mend=mend)
    for name, twin in state.twins.items():
        if not _equal(state.arrays[name], twin):
            raise UserError(f"{path}: student.{name} differs from {name}")
    arrays = {name: value.astype(np.float32) for name, value in given.items()}
    check_finite(path, arrays)
    sentences += _about_dtypes(given) + _about_parts(shapes)
    if state.outside:
        sentences.append(f"left out what is no part of the network: {some(state.outside)}")
    arrays = {path: arrays[names[path]] for path in shapes}
    return {p: x if p in ours else from_release(p, x) for p, x in arrays.items()}, sentences


def _name_or_path(path: str) -> str:
    return release_name(path) if in_release(path) else path


def _read_as(dtype: np.dtype) -> np.dtype:
    """float32 for a dtype of real numbers, which are read as such; any other as it is."""
    return np.dtype(np.float32) if dtype.kind in "fV" else dtype  # V: bfloat16


def _without_classifier(given: dict, width: int) -> tuple[dict, list[str]]:
    """The arrays without an `fc` that is a classifier of others, and a sentence about it.

    The release's own `fc` has one output.
    """
    fc = {name: np.shape(value) for name, value in given.items() if name.startswith("fc.")}
    if fc in ({}, {"fc.weight": (1, width), "fc.bias": (1,)}):
        return given, []
    sentence = f"left out a classifier that the release has not: {some(list(fc))}"
    return {name: value for name, value in given.items() if name not in fc}, [sentence]


def _about_dtypes(given: Mapping) -> list[str]:
    """Sentences about arrays that were not float32."""
    counts = collections.Counter(str(x.dtype) for x in given.values() if x.dtype != np.float32)
    after = {"float64": "which rounds them"}
    same = "which keeps their values"
    return [
        f"{count} of {len(given)} arrays are {dtype}: read as float32, {after.get(dtype, same)}"
        for dtype, count in sorted(counts.items())
    ]


def _about_parts(shapes: Mapping) -> list[str]:
    """Sentences about parts that the network has not."""
    sentences = []
    if not any(path.startswith("params/dma/") for path in shapes):
        sentences.append(
            "holds an encoder without micro-attention: features and the map `cosine` can be "
            "computed with it, other maps not"
        )
    has_head = any(path.startswith("params/head/") for path in shapes)
    if has_head and not any(path.startswith("teacher/") for path in shapes):
        sentences.append("holds no teacher")
    return sentences


def _equal(a: Any, b: Any) -> bool:
    """Tests if two tensors hold the same numbers; what is no tensor is not looked at."""
    if a is b or not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return True
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


def state_dict(weights: Weights) -> dict[str, np.ndarray]:
    """The release's `state_dict()` of these weights, float32; parts that it lacks are not in it.

    `student.backbone` is `backbone` itself, and of tied queries and keys (ours) both are written:
    such arrays stand twice, and share their storage in a file.
    """
    state = release_arrays({path: x for path, x in weights.flat().items() if _goes(weights, path)})
    if weights.config.dma_tied:
        state |= {name.replace("to_q", "to_k"): x for name, x in state.items() if ".to_q." in name}
    if has_dino(weights):
        state |= {f"student.{name}": x for name, x in state.items() if name.startswith("backbone.")}
    return state


def _goes(weights: Weights, path: str) -> bool:
    """Tests if the release reads an array of ours: all of DINO or none of it."""
    dino = path.startswith(("params/head/", "teacher/", "center"))
    return in_release(path) and (has_dino(weights) or not dino)


def encode_checkpoint(weights: Weights) -> bytes:
    """A `.pth` as the release saves it: `model`, `args` and `epoch`; and how to read it back.

    What the release does not read, as the displacement branch, lies beside these.
    """
    model, args = OrderedDict(state_dict(weights)), Namespace(**release_args(weights))
    epoch = weights.info.get("epoch")
    beside = {path: x for path, x in weights.flat().items() if not _goes(weights, path)}
    described = weights.described() | ({ARRAYS: beside} if beside else {})
    checkpoint = {"model": model, "args": args, "epoch": epoch if isinstance(epoch, int) else 0}
    return pth_writer.encode(checkpoint | {DESCRIPTION: described})
