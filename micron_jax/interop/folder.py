"""The interchange folder: `config.json` beside `model.safetensors`."""

import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig

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
    tree = unflatten_dict(tensors, sep="/")
    if "params" not in tree:
        raise UserError(f"{folder}/model.safetensors: holds no params; convert again")
    return Weights(
        config,
        tree["params"],
        tree.get("teacher", {}),
        tree.get("center", np.zeros((1, 0), np.float32)),
        described.get("info", {}),
    )
