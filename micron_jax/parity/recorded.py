"""Recordings of the PyTorch release's results, and checks of other results against them."""

import dataclasses
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax import npz
from micron_jax.errors import UserError
from micron_jax.files import write_npz, writing

FORMER, FORMAT = "micron_jax live 1", "micron_jax live 2"
# The release's own float32 rounding is about 1e-6 on outputs and gradients and 5e-6 on curves.
BOUNDS = {"output": 1e-5, "gradient": 1e-4, "curve": 1e-4, "final": 1e-3}
SUBSAMPLED = 9  # large recordings hold every ninth token and channel


@dataclasses.dataclass(frozen=True)
class Check:
    """One comparison with the release.

    Attributes:
      error: the largest difference, divided by the largest absolute value of the release.
      largest: difference, absolute.
      cosine: of the two arrays as vectors.
    """

    name: str
    error: float
    bound: float
    largest: float = float("nan")
    cosine: float = float("nan")

    @property
    def ok(self) -> bool:
        return self.error <= self.bound  # NaN is not


@dataclasses.dataclass(frozen=True)
class Recording:
    """Results of the release.

    Attributes:
      source: the file or checkout, as messages name it.
      views: the images that the release was fed; see `inputs.make_views`.
      checksums: of the release's weights and buffers by name; see `checksum`.
      numbers: of a training, which it was asked for; see `live.release_numbers`. Empty: of a
        recording of the first format, which lacks some results.
      settings: of a recording whose weights and images a formula makes (see `formula`); such a
        recording has neither `views` nor `checksums`. Else empty.
    """

    source: str
    results: dict[str, np.ndarray]
    views: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    checksums: dict[str, int] = dataclasses.field(default_factory=dict)
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_former(self) -> bool:
        return not self.numbers


def checksum(array: np.ndarray) -> int:
    """CRC-32 of an array's bytes in row-major order, as `torch_process.py` takes it."""
    return zlib.crc32(array.tobytes())


def read(path: Path) -> Recording:
    """Reads a recording of any kind; UserError if it is none, or is damaged."""
    arrays = npz.read(path)
    kind = str(arrays.get("format"))
    if kind not in (FORMER, FORMAT):
        check_complete(path, arrays, ("config", "salt"))
        settings = _settings(path, arrays, "config") | {"salt": str(arrays["salt"])}
        results = {n: array for n, array in arrays.items() if n not in ("config", "salt")}
        return Recording(str(path), results, settings=settings)
    names = ("weights",) if kind == FORMER else ("weights", "numbers")
    check_complete(path, arrays, names)
    checksums, *numbers = (_settings(path, arrays, name) for name in names)
    results, views = (
        {name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)}
        for prefix in ("theirs/", "views/")
    )
    return Recording(str(path), results, views, checksums, *numbers)


def _settings(path: Path, arrays: Mapping, name: str) -> dict:
    try:
        settings = json.loads(str(arrays[name]))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its {name} is not JSON ({error})") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path}: its {name} is no dict of settings; record it again")
    return settings


def check_complete(source: object, parts: Mapping, names: Iterable[str]) -> None:
    """Raises a `UserError` that says which parts a recording lacks."""
    if missing := [name for name in names if name not in parts]:
        raise UserError(f"{source}: a recording without {', '.join(missing)}; record it again")


def write(recording: Recording, path: Path) -> None:
    """Writes a recording of a live run, whole or not at all; UserError if it cannot be written."""
    arrays = {f"theirs/{name}": array for name, array in recording.results.items()}
    arrays |= {f"views/{name}": array for name, array in recording.views.items()}
    with writing(path):
        write_npz(
            path,
            format=FORMER if recording.is_former else FORMAT,
            weights=json.dumps(recording.checksums),
            numbers=json.dumps(recording.numbers),
            **arrays,
        )


def vectors(source: str, name: str, values, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays as float64 [K], of a sub-sampled reference only the tokens and channels it holds.

    Args:
      source, name: of the reference, as messages name them.
      values, reference: of this package and of the release.

    Raises:
      UserError: their shapes do not fit.
    """
    values, shape = np.asarray(values, np.float64), np.shape(values)
    if values.ndim == reference.ndim:
        for axis in range(1, values.ndim):
            size, rest = values.shape[axis], reference.shape[axis]
            if rest != size and rest == -(-size // SUBSAMPLED):
                values = values.take(range(0, size, SUBSAMPLED), axis)
    if values.shape != reference.shape:
        raise UserError(
            f"{source}: {name} has shape {reference.shape}, not {shape}: damaged, or of a patched "
            "release"
        )
    if reference.dtype.kind == "U" or not reference.size:
        raise UserError(f"{source}: {name} holds no numbers; record it again")
    return values.ravel(), reference.astype(np.float64).ravel()


def check(name: str, values: np.ndarray, reference: np.ndarray, kind: str) -> Check:
    """Compares two float64 vectors; `kind` is one of `BOUNDS`."""
    with np.errstate(all="ignore"):  # NaN and infinity differ
        largest = float(np.abs(values - reference).max())
        lengths = np.linalg.norm(values) * np.linalg.norm(reference)
        cosine = float(values @ reference / lengths) if lengths else float(largest == 0)
    # What only one side has differs as much as can be, however small it is.
    scale = float(np.abs(reference).max()) or largest or 1.0
    error = largest / scale
    return Check(name, error, BOUNDS[kind], largest, cosine)
