"""The interchange folder: `config.json`, a model card and `model.safetensors`; see `classifier`."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from micron_jax.checkpoints import card, tensors
from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.weights import Weights, read_description
from micron_jax.errors import UserError


def save(weights: Weights, folder: Path, classifier: Classifier | None = None) -> None:
    """Writes the folder, whole or not at all; a classifier on these weights lies in it as well.

    Raises:
      UserError: something is there already.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; name a new folder or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        (scratch / "model.safetensors").write_bytes(tensors.encode(weights))
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
    file, where = folder / "model.safetensors", folder / "config.json"
    try:
        described = json.loads(where.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no config.json, so not a converted checkpoint") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: cannot be read ({error}); convert again") from error
    if not file.is_file():
        raise UserError(f"{folder}: no model.safetensors beside config.json")
    config, info = read_description(where, described)
    return tensors.read(file, config, info, described_in=where)
