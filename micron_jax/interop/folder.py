"""The interchange folder: `config.json` beside `model.safetensors`."""

import dataclasses
import functools
import json
import os
import shutil
import tempfile
from pathlib import Path

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig
from micron_jax.training.state import init_params

FORMAT = "micron_jax 1"


@dataclasses.dataclass(frozen=True)
class Weights:
    """A network at rest.

    Attributes:
      config: its architecture.
      params: parameters by part (encoder, dma, and what there is of decoder and head).
      teacher: the teacher's encoder and head, or empty.
      center: of the teacher's outputs, [1, K], or empty.
      info: where it comes from; anything JSON can hold.
    """

    config: ModelConfig
    params: dict
    teacher: dict
    center: np.ndarray
    info: dict


@functools.cache
def shapes_of(config: ModelConfig, *, decoder: bool = True, aux_cls: bool = False) -> dict:
    """Our paths -> `ShapeDtypeStruct`, of all that a checkpoint of this model holds."""
    params = jax.eval_shape(functools.partial(init_params, config), jax.random.key(0))
    tree = {"params": {part: v for part, v in params.items() if decoder or part != "decoder"}}
    if aux_cls:
        kernel = jax.ShapeDtypeStruct((config.width, 1), np.float32)
        bias = jax.ShapeDtypeStruct((1,), np.float32)
        tree["params"]["aux_cls"] = {"kernel": kernel, "bias": bias}
    if config.projection_dim:
        tree["teacher"] = {part: params[part] for part in ("encoder", "head")}
        tree["center"] = jax.ShapeDtypeStruct((1, config.projection_dim), np.float32)
    return flatten_dict(tree, sep="/")


def save(weights: Weights, folder: Path) -> None:
    """Writes the folder, whole or not at all.

    Raises:
      UserError: something is there already.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; name a new folder or remove it")
    tree = {"params": weights.params, "teacher": weights.teacher, "center": weights.center}
    tensors = {
        name: np.ascontiguousarray(value)
        for name, value in flatten_dict(tree, sep="/").items()
        if np.size(value)
    }
    described = {
        "format": FORMAT,
        "model": dataclasses.asdict(weights.config),
        "info": weights.info,
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        safetensors.numpy.save_file(tensors, scratch / "model.safetensors")
        (scratch / "config.json").write_text(json.dumps(described, indent=2) + "\n")
        scratch.chmod(0o755)
        os.replace(scratch, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def read(folder: Path) -> Weights:
    """Reads what `save` wrote.

    Raises:
      UserError: a file is missing, damaged or of another kind.
    """
    try:
        described = json.loads((folder / "config.json").read_text())
        config = ModelConfig(**described["model"])
        if described["format"] != FORMAT:
            raise UserError(f"{folder}/config.json: format {described['format']!r}, not {FORMAT!r}")
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no config.json, so not a converted checkpoint") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder}/config.json: not a description of ours ({error})") from error
    try:
        tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no model.safetensors beside config.json") from error
    except safetensors.SafetensorError as error:
        raise UserError(f"{folder}/model.safetensors: damaged ({error}); convert again") from error
    expected = shapes_of(
        config,
        decoder="params/decoder/positions" in tensors,
        aux_cls="params/aux_cls/kernel" in tensors,
    )
    for name in sorted(expected.keys() | tensors.keys()):
        here, there = (getattr(x.get(name), "shape", None) for x in (tensors, expected))
        if here != there:
            raise UserError(
                f"{folder}/model.safetensors: {name} has shape {here}, its config.json asks for "
                f"{there}; convert again"
            )
    tree = unflatten_dict(tensors, sep="/")
    return Weights(
        config,
        tree["params"],
        tree.get("teacher", {}),
        tree.get("center", np.zeros((1, 0), np.float32)),
        described.get("info", {}),
    )
