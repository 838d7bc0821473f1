"""One `.safetensors` file that carries its settings in its metadata, to be passed on alone."""

import json
from pathlib import Path

import safetensors

from micron_jax.checkpoints import card, tensors
from micron_jax.checkpoints.weights import Weights, read_description
from micron_jax.errors import UserError

SETTINGS = "micron_jax"  # the only entry: of several the file's bytes would have no fixed order


def save(weights: Weights, path: Path) -> None:
    """Writes the file and, beside it, the model card as NAME.md; whole or not at all.

    Raises:
      UserError: one of the two is there already, or cannot be written.
    """
    metadata = {SETTINGS: json.dumps(weights.described())}
    card.save_with(weights, path, lambda: tensors.encode(weights, metadata))


def read(path: Path) -> Weights:
    """Reads what `save` wrote.

    Raises:
      UserError: the file is damaged, or of another kind.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except tensors.DAMAGED as error:
        raise UserError(f"{path}: damaged ({error}); convert again") from error
    if SETTINGS not in metadata:
        mend = "name a folder that `micron-jax convert` wrote, or a file of it"
        if (path.parent / "config.json").is_file():
            mend = f"they may be in the config.json beside it: name the folder, {path.parent}"
        raise UserError(f"{path}: its metadata hold no settings of ours; {mend}")
    try:
        described = json.loads(metadata[SETTINGS])
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its settings cannot be read ({error}); convert again") from error
    config, info = read_description(path, described)
    return tensors.read(path, config, info, described_in=path)
