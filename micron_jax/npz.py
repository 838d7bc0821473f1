"""A reader of `.npz` files of any origin: no pickle, no array larger than the file says."""

import math
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from micron_jax.errors import UserError

_MOST_BYTES = 2**29  # of arrays that are larger than the file itself, which is compressed then
_MOST_ARRAYS = 10_000
_KINDS = "fiubU"  # of dtypes: numbers and text
# What reading a damaged file raises; NumPy takes a header apart as Python.
DAMAGE = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, RuntimeError),
    *(SyntaxError, tokenize.TokenError, MemoryError, zipfile.BadZipFile, zlib.error),
)


class _Refused(Exception):
    pass


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an `.npz` by name: numbers, and text.

    Raises:
      UserError: there is no such file, it is damaged, would run code, or unfolds to more than half
        a gigabyte and more than itself.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    try:
        most = max(path.stat().st_size, _MOST_BYTES)
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
            if len(entries) > _MOST_ARRAYS or sum(entry.file_size for entry in entries) > most:
                raise _Refused(f"unfolds to more than {most / 2**20:,.0f} MiB, or many arrays")
            return {
                entry.filename.removesuffix(".npy"): _read_array(file, entry) for entry in entries
            }
    except (*DAMAGE, _Refused) as error:
        why = f" ({error})" if isinstance(error, _Refused) else "; copy it again"
        raise UserError(f"{path}: not a readable .npz file{why}") from error


def _read_array(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """One array, whose header must tell the size that the zip tells."""
    with file.open(entry) as data:
        version = np.lib.format.read_magic(data)
        headers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, by_columns, dtype = headers[version](data)
        if dtype.kind not in _KINDS or not dtype.itemsize:
            raise _Refused(
                f"{entry.filename} holds {dtype}, neither numbers nor text; save text as dtype str"
            )
        values = data.read()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(values):
        raise _Refused(f"{entry.filename} is not as large as its shape {shape}; copy it again")
    return np.frombuffer(values, dtype).reshape(shape, order="F" if by_columns else "C")
