"""Converted weights on disk: the interchange folder and the one `.safetensors` file.

The folder holds `config.json`, `model.safetensors`, a model card and the files of a classifier, if
there is one. The one file carries the content of `config.json` in its metadata. Both carry
checksums (see `checksums`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from micron_jax.checkpoints import card, checksums, pth, release
from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.tensor_file import TensorFile, encode_arrays, open_tensors
from micron_jax.checkpoints.weights import (
    Weights,
    check_finite,
    check_shapes,
    read_description,
    shapes_among,
)
from micron_jax.errors import UserError, naming
from micron_jax.files import write_new

CONFIG, ARRAYS = "config.json", "model.safetensors"
SETTINGS = "micron_jax"  # the only metadata entry: the order of several would not be fixed
_ENTRIES = {"format", "model", "info", checksums.ENTRY}  # of a description
_LONGEST = 2**23  # bytes of a config.json
_OF_OTHERS = (  # endings of files that are not written here, and are no names of folders
    ".npz", ".npy", ".onnx", ".h5", ".hdf5", ".pkl", ".pickle", ".tar", ".gz", ".zip", ".json",
    ".md", ".msgpack", ".gguf", ".tflite", ".orbax", ".txt",
)  # fmt: skip


def kind_of(target: Path) -> str:
    """The kind of file that a name asks for: `pth`, `safetensors`, or `folder`.

    Raises:
      UserError: it asks for a kind that is not written here.
    """
    name = target.name.lower()
    if pth.is_file_name(name):
        return "pth"
    if name.endswith(".safetensors"):
        return "safetensors"
    if name.endswith(_OF_OTHERS):
        raise UserError(
            f"{target}: {target.suffix} files are not written; give a new folder, NEW.pth or "
            "NEW.safetensors"
        )
    return "folder"


def save(weights: Weights, target: Path, classifier: Classifier | None = None) -> None:
    """Writes weights and their model card, whole or not at all.

    Args:
      weights: float32.
      target: `NEW.pth` (`.pt`, `.bin`, `.ckpt`), for the release; `NEW.safetensors`, one file with
        its settings; or else a new folder. The card is `NEW.md` beside a file, and `README.md` in a
        folder.
      classifier: a classifier on these weights, which goes into a folder, and into no file.

    Raises:
      UserError: something is there already, or it cannot be written.
    """
    kind = kind_of(target)
    name, beside = target.name, f"{target.stem.removesuffix('.pth')}.md"
    text = card.text(weights, name, classifier if kind == "folder" else None).encode()
    if kind == "pth":
        contents = {name: release.encode_checkpoint(weights), beside: text}
    elif kind == "safetensors":
        contents = {name: _alone(weights), beside: text}
    else:
        contents = {"README.md": text, **_in_folder(weights)}
        contents |= classifier.files() if classifier else {}
        contents = {f"{name}/{part}": data for part, data in contents.items()}
    write_new(target, contents)


def _in_folder(weights: Weights) -> dict[str, bytes]:
    flat = weights.flat()
    arrays = encode_arrays(flat)
    header = checksums.header_of(arrays)
    described = checksums.described_with(weights.described(), flat, header)
    return {CONFIG: f"{json.dumps(described, indent=2)}\n".encode(), ARRAYS: arrays}


def _alone(weights: Weights) -> bytes:
    flat = weights.flat()
    settings = json.dumps(checksums.described_with(weights.described(), flat))
    return checksums.sign(encode_arrays(flat, {SETTINGS: settings}))


def read_folder(folder: Path) -> Weights:
    """Reads an interchange folder; UserError if a file is missing, damaged or of another kind."""
    for name in (CONFIG, ARRAYS):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: no {name}, so not a converted checkpoint")
    path = folder / CONFIG
    try:
        if (size := path.stat().st_size) > _LONGEST:
            raise ValueError(f"{size:,} bytes")
        text = path.read_text()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: its settings cannot be read ({error}); convert again") from error
    return _read(open_tensors(folder / ARRAYS), path, text)


def read_file(path: Path, given: Mapping[str, Any] | None = None) -> Weights:
    """Reads one `.safetensors` file: with its settings in it, or with the release's names.

    `given`: see `release.read_checkpoint`.

    Raises:
      UserError: the file is damaged, or of another kind.
    """
    file = open_tensors(path)
    settings = file.metadata.get(SETTINGS)
    if settings is not None:
        release.check_not_given(path, given)
        return _read(file, path, settings)
    if any(name.endswith("patch_embed.proj.weight") for name in file.shapes):
        return release.read_checkpoint(path, given)
    mend = "name a folder that `micron-jax convert` wrote, or a file of it"
    if (path.parent / CONFIG).is_file():
        mend = f"they may be in the {CONFIG} beside it: name the folder, {path.parent}"
    raise UserError(f"{path}: its metadata hold no settings of ours; {mend}")


def _read(file: TensorFile, described_in: Path, settings: str) -> Weights:
    """The arrays of a file, which must be those that its settings ask for."""
    try:
        described = json.loads(settings)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{described_in}: its settings cannot be read ({error}); convert again"
        ) from error
    config, info = read_description(described_in, described)
    alone = described_in == file.path
    if alone and (unknown := [entry for entry in described if entry not in _ENTRIES]):
        raise UserError(f"{file.path}: {unknown[0]!r} in its settings is unknown; convert again")
    with naming(described_in):
        shapes = shapes_among(config, file.shapes, whole=checksums.ENTRY not in described)
    asker = "its own description" if alone else f"its {described_in.name}"
    check_shapes(file.path, file.shapes, shapes, asker=asker, mend="convert again")
    arrays = file.arrays()
    checksums.check(file.path, described_in, described, arrays, file.header)
    check_finite(file.path, arrays)
    return Weights.from_flat(config, arrays, info)
