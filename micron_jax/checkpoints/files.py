"""Converted weights on disk: the interchange folder and the one `.safetensors` file.

The folder holds `config.json`, `model.safetensors`, a model card and the files of a classifier, if
there is one. The one file carries the content of `config.json` in its metadata. Both carry
checksums (see `checksums`). A folder may hold 16-bit numbers, and its arrays may lie in several
files (see `shards`); what is read is float32.
"""

import dataclasses
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from micron_jax.checkpoints import card, checksums, pth, release, shards
from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.tensor_file import HALF, TensorFile, encode_arrays, open_tensors
from micron_jax.checkpoints.weights import (
    Weights,
    check_finite,
    check_shapes,
    read_description,
    shapes_among,
)
from micron_jax.checks import choose
from micron_jax.errors import Notice, UserError, naming
from micron_jax.files import write_new

CONFIG, ARRAYS = "config.json", shards.ARRAYS
DTYPES = ("float32", *HALF)  # of the numbers in a folder
_METADATA = {"format": "flax"}  # whose layout the arrays have; loaders of the Hub ask for it
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


def save(
    weights: Weights,
    target: Path,
    classifier: Classifier | None = None,
    *,
    dtype: str = "float32",
    name: str = "",
) -> None:
    """Writes weights and their model card, whole or not at all.

    Args:
      weights: float32.
      target: `NEW.pth` (`.pt`, `.bin`, `.ckpt`), for the release; `NEW.safetensors`, one file with
        its settings; or else a new folder. The card is `NEW.md` beside a file, and `README.md` in a
        folder.
      classifier: a classifier on these weights, which goes into a folder, and into no file.
      dtype: of the network's numbers in a folder, one of `DTYPES`; files have float32.
      name: of the model, in its card; empty: the one that it had, or that of `target`.

    Raises:
      UserError: something is there already, or it cannot be written; numbers too large for float16.
    """
    kind = kind_of(target)
    choose("", {"dtype": dtype}, dtype=DTYPES if kind == "folder" else DTYPES[:1])
    beside = f"{target.stem.removesuffix('.pth')}.md"
    own = classifier if kind == "folder" else None
    text = card.text(weights, name or target.name, own, dtype=dtype, title=name)
    if kind == "pth":
        contents = {target.name: release.encode_checkpoint(weights), beside: text.encode()}
    elif kind == "safetensors":
        contents = {target.name: _alone(weights), beside: text.encode()}
    else:
        contents = {"README.md": text.encode(), **_in_folder(weights, dtype)}
        contents |= classifier.files() if classifier else {}
        contents = {f"{target.name}/{part}": data for part, data in contents.items()}
    write_new(target, contents)


def _in_folder(weights: Weights, dtype: str) -> dict[str, bytes]:
    flat, described = weights.flat(), weights.described()
    if dtype in HALF:
        with np.errstate(over="ignore"):
            flat = {name: array.astype(HALF[dtype]) for name, array in flat.items()}
        if large := [name for name, array in flat.items() if not np.isfinite(array).all()]:
            raise UserError(f"dtype={dtype!r}: too small for {large[0]}; take bfloat16")
        described["dtype"] = dtype
    arrays = encode_arrays(flat, _METADATA)
    header = checksums.header_of(arrays)
    described = checksums.described_with(described, flat, header)
    return {CONFIG: f"{json.dumps(described, indent=2)}\n".encode(), ARRAYS: arrays}


def _alone(weights: Weights) -> bytes:
    flat = weights.flat()
    settings = json.dumps(checksums.described_with(weights.described(), flat))
    return checksums.sign(encode_arrays(flat, {SETTINGS: settings}))


def read_folder(folder: Path) -> Weights:
    """Reads an interchange folder; UserError if a file is missing, damaged or of another kind."""
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder}: no {CONFIG}, so not a converted checkpoint")
    files = shards.files_of(folder)
    path = folder / CONFIG
    try:
        if (size := path.stat().st_size) > _LONGEST:
            raise ValueError(f"{size:,} bytes")
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: its settings cannot be read ({error}); convert again") from error
    weights = _read([open_tensors(file) for file in files], path, text)
    return dataclasses.replace(weights, info={**weights.info, **card.stated(folder)})


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
        return _read([file], path, settings)
    if any(name.endswith("patch_embed.proj.weight") for name in file.shapes):
        return release.read_checkpoint(path, given)
    mend = "name a folder that `micron-jax convert` wrote, or a file of it"
    if (path.parent / CONFIG).is_file():
        mend = f"they may be in the {CONFIG} beside it: name the folder, {path.parent}"
    raise UserError(f"{path}: its metadata hold no settings of ours; {mend}")


def _read(files: Sequence[TensorFile], described_in: Path, settings: str) -> Weights:
    """The arrays of files, which must be those that their settings ask for."""
    try:
        described = json.loads(settings)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{described_in}: its settings cannot be read ({error}); convert again"
        ) from error
    config, info = read_description(described_in, described)
    where = files[0].path if len(files) == 1 else described_in.parent
    alone = described_in == where
    if alone and (unknown := [entry for entry in described if entry not in _ENTRIES]):
        raise UserError(f"{where}: {unknown[0]!r} in its settings is unknown; convert again")
    stored = {name: kind for file in files for name, kind in file.shapes.items()}
    half = {name for name, kind in stored.items() if kind.dtype in HALF.values()}
    wide = {name: jax.ShapeDtypeStruct(stored[name].shape, np.float32) for name in half}
    with naming(described_in):
        shapes = shapes_among(config, stored, whole=checksums.ENTRY not in described)
    asker = "its own description" if alone else f"its {described_in.name}"
    check_shapes(where, stored | wide, shapes, asker=asker, mend="convert again")
    arrays = {name: array for file in files for name, array in file.arrays().items()}
    if half and checksums.ENTRY in described and described.get("dtype") not in HALF:
        # Somebody else has rounded what was written.
        text = "holds 16-bit numbers; its checksums are of the float32 ones, and are not compared"
        warnings.warn(Notice(f"{where}: {text}"), stacklevel=2)
    else:
        header = files[0].header if len(files) == 1 else None
        checksums.check(where, described_in, described, arrays, header)
    arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    check_finite(where, arrays)
    return Weights.from_flat(config, arrays, info)
