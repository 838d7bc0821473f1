"""`.safetensors` files: the header first, which tells what the arrays ask for, then the arrays."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from micron_jax.errors import UserError

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": ml_dtypes.bfloat16, "I64": "<i8",
    "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
    "BOOL": "?", "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip
HALF = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
_LONGEST_HEADER = 2**24  # bytes; a network of a thousand blocks takes less than 2**22


class TensorFile(NamedTuple):
    """A `.safetensors` whose header has been read.

    Attributes:
      header: its bytes, the eight of its length included.
      metadata: texts by name.
      shapes: name -> shape and dtype of each array.
    """

    path: Path
    header: bytes
    metadata: dict[str, str]
    shapes: dict[str, jax.ShapeDtypeStruct]

    def arrays(self) -> dict[str, np.ndarray]:
        """Reads the arrays.

        Raises:
          UserError: the file cannot be read, or not as a whole.
        """
        entries = json.loads(self.header[8:])
        arrays = {}
        with _reading(self.path), open(self.path, "rb") as file:
            for name, kind in self.shapes.items():
                begin, end = entries[name]["data_offsets"]
                file.seek(len(self.header) + begin)
                raw = file.read(end - begin)
                arrays[name] = np.frombuffer(raw, kind.dtype).reshape(kind.shape)
        return arrays


def is_tensor_file(path: Path) -> bool:
    """Tests if a file is a `.safetensors`, by its name or else by its content.

    Raises:
      UserError: it cannot be opened.
    """
    if path.suffix.lower() == ".safetensors":
        return True
    try:
        with open(path, "rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror})") from error


def open_tensors(path: Path) -> TensorFile:
    """Reads the header of a `.safetensors`.

    Raises:
      UserError: the file is damaged, or holds arrays of a dtype that numpy has not.
    """
    with _reading(path):
        with open(path, "rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if length > _LONGEST_HEADER:
                raise ValueError(f"a header of {length:,} bytes")
            header = start + file.read(length)
        # The library checks that the arrays neither overlap nor leave room, and fill the file.
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            entries = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {
                name: jax.ShapeDtypeStruct(tuple(x.get_shape()), _DTYPES[x.get_dtype()])
                for name, x in entries.items()
            }
    return TensorFile(path, header, metadata, shapes)


def encode_arrays(arrays: Mapping, metadata: dict[str, str] | None = None) -> bytes:
    """A `.safetensors` of arrays by name; the same arrays give the same bytes."""
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    return safetensors.numpy.save(arrays, metadata)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raises a `UserError` that names the file for what reading one raises."""
    try:
        yield
    # KeyError: a dtype that numpy has not.
    except (
        safetensors.SafetensorError, OSError, ValueError, KeyError, RecursionError
    ) as error:  # fmt: skip
        raise UserError(f"{path}: damaged ({error}); convert again") from error
