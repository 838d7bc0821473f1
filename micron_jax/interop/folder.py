"""The interchange folder: `config.json`, a model card and `model.safetensors`; see `classifier`."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import unflatten_dict

from micron_jax.errors import UserError
from micron_jax.interop import card
from micron_jax.interop.classifier import Classifier
from micron_jax.interop.weights import Weights, check_finite, read_description, shapes_of


def save(weights: Weights, folder: Path, classifier: Classifier | None = None) -> None:
    """Writes the folder, whole or not at all; a classifier on these weights lies in it as well.

    Raises:
      UserError: something is there already.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; name a new folder or remove it")
    tensors = {name: np.ascontiguousarray(value) for name, value in weights.flat().items()}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        safetensors.numpy.save_file(tensors, scratch / "model.safetensors")
        (scratch / "config.json").write_text(json.dumps(weights.described(), indent=2) + "\n")
        (scratch / "README.md").write_text(card.text(weights, folder.name, classifier))
        for name, data in (classifier.files() if classifier else {}).items():
            (scratch / name).write_bytes(data)
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
    file = folder / "model.safetensors"
    try:
        described = json.loads((folder / "config.json").read_text())
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no config.json, so not a converted checkpoint") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{folder}/config.json: cannot be read ({error}); convert again") from error
    config, info = read_description(folder / "config.json", described)
    try:
        tensors = safetensors.numpy.load_file(file)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no model.safetensors beside config.json") from error
    # KeyError: a dtype that numpy has not.
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{file}: damaged ({error}); convert again") from error
    try:
        expected = shapes_of(
            config,
            decoder="params/decoder/positions" in tensors,
            aux_cls="params/aux_cls/kernel" in tensors,
        )
    except UserError as error:
        raise UserError(f"{folder}/config.json: {error}") from error
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise UserError(f"{file}: lacks {name}, which its config.json asks for; convert again")
        if name not in expected:
            raise UserError(f"{file}: holds {name}, unknown to its config.json; convert again")
        here, there = tensors[name].shape, expected[name].shape
        if here != there:
            transposed = ", transposed" if here == there[::-1] else ""
            raise UserError(
                f"{file}: {name} has shape {here}{transposed}, its config.json asks for {there}; "
                "convert again"
            )
        if tensors[name].dtype != np.float32:
            raise UserError(f"{file}: {name} is {tensors[name].dtype}, not float32; convert again")
        check_finite(file, name, tensors[name])
    tree = unflatten_dict(tensors, sep="/")
    return Weights(
        config,
        tree["params"],
        tree.get("teacher", {}),
        tree.get("center", np.zeros((1, 0), np.float32)),
        info,
    )
