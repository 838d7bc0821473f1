"""Converted weights on disk: the interchange folder and the one `.safetensors` file.

The folder holds `config.json`, `model.safetensors`, a model card and the files of a classifier, if
there is one. The one file carries the content of `config.json` in its metadata.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import safetensors

from micron_jax.checkpoints import card, release
from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.weights import (
    Weights,
    check_arrays,
    encode_arrays,
    read_description,
    shapes_of,
)
from micron_jax.errors import UserError, naming
from micron_jax.files import writing

CONFIG, ARRAYS = "config.json", "model.safetensors"
SETTINGS = "micron_jax"  # the only metadata entry: the order of several would not be fixed


def save(weights: Weights, target: Path, classifier: Classifier | None = None) -> None:
    """Writes weights and their model card, whole or not at all.

    Args:
      weights: float32.
      target: `NEW.pth`, for the release; `NEW.safetensors`, one file with its settings; or else a
        new folder. The card is `NEW.md` beside a file, and `README.md` in a folder.
      classifier: a classifier on these weights, which goes into the folder.

    Raises:
      UserError: something is there already, it cannot be written, or no `.pth` can hold it.
    """
    alone = target.suffix in (".pth", ".safetensors")
    places = [target.with_suffix(".md"), target] if alone else [target]
    for place in places:
        if place.exists():
            raise UserError(f"{place}: exists already; give a new name or remove it")
    text = card.text(weights, target.name, classifier).encode()
    settings = json.dumps(weights.described(), indent=None if alone else 2)
    if target.suffix == ".pth":
        with naming(target):
            contents = {places[0].name: text, target.name: release.encode_checkpoint(weights)}
    elif alone:
        arrays = encode_arrays(weights.flat(), {SETTINGS: settings})
        contents = {places[0].name: text, target.name: arrays}
    else:
        arrays = encode_arrays(weights.flat())
        contents = {"README.md": text, CONFIG: f"{settings}\n".encode(), ARRAYS: arrays}
        contents |= classifier.files() if classifier else {}
        contents = {f"{target.name}/{name}": data for name, data in contents.items()}
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            for name, data in contents.items():
                file = Path(scratch, name)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(data)
            for place in places:
                os.replace(Path(scratch, place.name), place)


def read_folder(folder: Path) -> Weights:
    """Reads an interchange folder; UserError if a file is missing, damaged or of another kind."""
    for name in (CONFIG, ARRAYS):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: no {name}, so not a converted checkpoint")
    return _read(folder / ARRAYS, folder / CONFIG)


def read_file(path: Path) -> Weights:
    """Reads one `.safetensors` file with its settings in it.

    Raises:
      UserError: the file is damaged, or of another kind.
    """
    with _opened(path) as file:
        settings = (file.metadata() or {}).get(SETTINGS)
    if settings is None:
        mend = "name a folder that `micron-jax convert` wrote, or a file of it"
        if (path.parent / CONFIG).is_file():
            mend = f"they may be in the {CONFIG} beside it: name the folder, {path.parent}"
        raise UserError(f"{path}: its metadata hold no settings of ours; {mend}")
    return _read(path, path, settings)


def _read(file: Path, described_in: Path, settings: str | None = None) -> Weights:
    """The arrays of a file, which must be those that its settings ask for."""
    try:
        described = json.loads(described_in.read_text() if settings is None else settings)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{described_in}: its settings cannot be read ({error}); convert again"
        ) from error
    config, info = read_description(described_in, described)
    with _opened(file) as opened:
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    parts = {
        part: any(f"params/{part}/" in name for name in arrays) for part in ("decoder", "aux_cls")
    }
    with naming(described_in):
        shapes = shapes_of(config, **parts)
    asker = "its own description" if described_in == file else f"its {described_in.name}"
    check_arrays(file, arrays, shapes, asker=asker, mend="convert again")
    return Weights.from_flat(config, arrays, info)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[safetensors.safe_open]:
    try:
        with safetensors.safe_open(path, "numpy") as file:
            yield file
    # KeyError: a dtype that numpy has not.
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: damaged ({error}); convert again") from error
