"""Weights from any checkpoint that a user has: a name, a workdir, a folder or a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict

from micron_jax.checkpoints import classifier, files, hub, release
from micron_jax.checkpoints.tensor_file import is_tensor_file
from micron_jax.checkpoints.weights import (
    Weights,
    check_finite,
    check_shapes,
    read_config,
    shapes_of,
)
from micron_jax.errors import UserError, naming
from micron_jax.training.checkpoint import Checkpoints, read_weights
from micron_jax.training.workdir import CONFIG_FILE, read_settings

_PACKAGED = Path(__file__).parents[1] / "weights"


def packaged_weights() -> dict[str, Path]:
    """Folders of the weights that come with the package, by name."""
    return {path.parent.name: path.parent for path in sorted(_PACKAGED.glob("*/config.json"))}


def locate(checkpoint: str | Path, **access) -> Path:
    """The file or folder of a checkpoint; downloads it where its name is one on the Hub.

    A fine-tuning's workdir without checkpoints of its own stands for the folder of its classifier.

    Args:
      access: further arguments of `hub.fetch`.

    Raises:
      UserError: see `hub.fetch`.
    """
    name, path = str(checkpoint), Path(checkpoint)
    if not path.exists():
        if name in (packaged := packaged_weights()):
            return packaged[name]
        if hub.is_name(name):
            return hub.fetch(name, **access)
    finetuned = path / classifier.KEPT
    return finetuned if finetuned.is_dir() and not Checkpoints.folder(path).is_dir() else path


def read(
    checkpoint: str | Path, *, weights: str = "student", given: Mapping[str, Any] | None = None
) -> Weights:
    """Reads what `micron_jax.load` takes into arrays on the host; see `Weights.chosen`.

    `given`: what a checkpoint of the release may not say; see `release.read_checkpoint`.

    Raises:
      UserError: it is no checkpoint, or damaged, or there is no teacher in it.
    """
    return _read(locate(checkpoint), given).chosen(weights)


def _read(path: Path, given: Mapping[str, Any] | None) -> Weights:
    if path.is_file():
        read_file = files.read_file if is_tensor_file(path) else release.read_checkpoint
        return read_file(path, given)
    if path.is_dir():
        release.check_not_given(path, given)
    if Checkpoints.folder(path).is_dir():
        return _read_workdir(path)
    if path.is_dir():
        return files.read_folder(path)
    raise UserError(
        f"{path}: no such file or folder; expected {' or '.join(packaged_weights())}, a run's "
        "workdir, a converted folder or .safetensors, a .pth of the release, or OWNER/NAME on the "
        "Hugging Face Hub"
    )


def _read_workdir(workdir: Path) -> Weights:
    """The newest checkpoint of a pretraining."""
    path = workdir / CONFIG_FILE
    settings = read_settings(path)
    try:
        config = read_config(settings["model"], section="config.model")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not the config of a run ({error})") from error
    step, tree = read_weights(workdir)
    info = {"source": f"pretraining, step {step}", "config": settings}
    tree = {part: values for part, values in tree.items() if values is not None}
    arrays = flatten_dict(tree, sep="/")
    mend = "of another version of micron_jax, or damaged"
    where, asker = f"{workdir}, step {step}", f"its {CONFIG_FILE}"
    with naming(path):
        shapes = shapes_of(config)
    check_shapes(where, arrays, shapes, asker=asker, mend=mend)
    check_finite(where, arrays)
    return Weights.from_flat(config, arrays, info)
