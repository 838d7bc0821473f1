"""Checksums (CRC-32) of weights in files: of their settings, of each array, of the file's header.

They stand in `config.json`, or in the settings within a single `.safetensors`, and cover every
byte of a `.safetensors`: its header and its arrays. A folder without them, as earlier versions
wrote it, is read without this check.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from micron_jax.errors import UserError

ENTRY = "checksums"
_NONE = "00000000"  # stands for the header's own checksum within a header
_MEND = "it is damaged: copy it, or convert, again"


def of_array(array: np.ndarray) -> str:
    """CRC-32 of an array's bytes in row-major order, in hexadecimal digits."""
    return of_bytes(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def of_bytes(data) -> str:
    """CRC-32 of bytes, in hexadecimal digits."""
    return f"{zlib.crc32(data):08x}"


def of_settings(described: Mapping) -> str:
    """CRC-32 of settings as JSON, whatever their order and spaces."""
    fields = {name: value for name, value in described.items() if name != ENTRY}
    fields = json.loads(json.dumps(fields))  # tuples become lists
    return of_bytes(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def described_with(described: Mapping, arrays: Mapping, header: bytes | None = None) -> dict:
    """Returns a description with its checksums.

    Args:
      header: of the `.safetensors` beside it; None where the description goes into that header
        itself, and `sign` comes after.
    """
    checksums = {
        "settings": of_settings(described),
        "tensors": {name: of_array(array) for name, array in sorted(arrays.items())},
        "header": of_bytes(header) if header else _NONE,
    }
    return {**described, ENTRY: checksums}


def header_of(data: bytes) -> bytes:
    """The header of a `.safetensors`: the bytes before its arrays."""
    return data[: 8 + int.from_bytes(data[:8], "little")]


def sign(data: bytes) -> bytes:
    """Puts the checksum of the header of a `.safetensors` into the description within it."""
    header = header_of(data)
    return _replaced(header, _NONE, of_bytes(header)) + data[len(header) :]


def _replaced(header: bytes, old: str, new: str) -> bytes:
    """A header with another checksum of its own; the description's last entry, it comes last."""
    before, entry, after = header.rpartition(rf"\"header\": \"{old}\"".encode())
    return before + entry.replace(old.encode(), new.encode()) + after


def check(
    file: Path, described_in: Path, described: Mapping, arrays: Mapping, header: bytes | None
):
    """Checks what was read from a `.safetensors` against the checksums of its description.

    Args:
      file, described_in: the `.safetensors`, and the file of the description.
      header: the bytes before the arrays; None: there are several files, whose headers have none.

    Raises:
      UserError: settings, header or an array are not those that were written.
    """
    sums = described.get(ENTRY)
    if sums is None:
        return
    if not isinstance(sums, dict) or not isinstance(sums.get("tensors"), dict):
        raise UserError(f"{described_in}: its {ENTRY} cannot be read; {_MEND}")
    if sums.get("settings") != of_settings(described):
        mend = "" if file == described_in else f"; if you changed them yourself, remove its {ENTRY}"
        raise UserError(f"{described_in}: its settings are not those that were written{mend}")
    for name in sorted({*sums["tensors"], *arrays}):
        if name not in arrays:
            raise UserError(f"{file}: lacks {name}, which was written with it; {_MEND}")
        if sums["tensors"].get(name) != of_array(arrays[name]):
            raise UserError(f"{file}: {name} does not hold the numbers that were written; {_MEND}")
    if header is None:
        return
    if file == described_in:
        header = _replaced(header, str(sums.get("header")), _NONE)
    if sums.get("header") != of_bytes(header):
        raise UserError(f"{file}: its header is not the one that was written; {_MEND}")
