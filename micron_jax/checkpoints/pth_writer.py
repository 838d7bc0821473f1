"""PyTorch checkpoints (`.pth`), written without torch; `pth.py` tells of the format."""

import argparse
import io
import math
import struct
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np

from micron_jax.checkpoints.pickle_objects import STORAGE_OF

_ROOT = "archive"
_ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
_REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def encode(value: Any) -> bytes:
    """The bytes that `torch.load` reads back as `value`, the same bytes each time.

    dict, OrderedDict, list, tuple, text, numbers, bool and None stay what they are; arrays become
    tensors, an array in several places tensors that share their storage. An `argparse.Namespace`,
    which torch refuses by default since 2.6 (`weights_only=True`), becomes an OrderedDict with the
    same items *and* the same attributes.

    Raises:
      TypeError: anything else.
    """
    storages: list[np.ndarray] = []
    pickled = b"\x80\x02" + b"".join(_code(value, storages, {})) + b"."
    # As torch has it: records after the pickle, each at a multiple of 64 bytes, none compressed.
    records = [("data.pkl", pickled), ("byteorder", b"little")]
    records += [(f"data/{i}", array.tobytes()) for i, array in enumerate(storages)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, raw in [*records, ("version", b"3\n")]:
            entry = zipfile.ZipInfo(f"{_ROOT}/{name}")  # dated 1980
            if name.startswith("data/"):  # an extra field after which its data are aligned
                count = -(out.tell() + 30 + len(entry.filename) + 4) % 64
                entry.extra = b"FB" + struct.pack("<H", count) + b"Z" * count
            archive.writestr(entry, raw)
    return out.getvalue()


def _code(value: Any, storages: list[np.ndarray], keys: dict[int, int]):
    """Yields the opcodes (protocol 2) of a value; adds new arrays to `storages`.

    `keys`: id of an array -> its place in `storages`, which keeps it alive.
    """

    def of(*parts):  # bytes are opcodes, all else are values
        for part in parts:
            yield from [part] if isinstance(part, bytes) else _code(part, storages, keys)

    def items(mapping):
        return of(b"(", *(part for pair in mapping.items() for part in pair), b"u")

    match value:
        case None:
            yield b"N"
        case bool():
            yield b"\x88" if value else b"\x89"
        case int():
            digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            long = len(digits) > 255
            yield struct.pack("<ci" if long else "<cB", b"\x8b" if long else b"\x8a", len(digits))
            yield digits
        case float():
            yield b"G" + struct.pack(">d", value)
        case str():
            raw = value.encode("utf-8", "surrogatepass")
            yield b"X" + struct.pack("<I", len(raw)) + raw
        case tuple():
            yield from of(b"(", *value, b"t")
        case list():
            yield from of(b"](", *value, b"e")
        case OrderedDict():
            yield from of(_ORDERED_DICT, *items(value))
        case dict():
            yield from of(b"}", *items(value))
        case argparse.Namespace():
            yield from of(_ORDERED_DICT, *items(vars(value)), vars(value), b"b")
        case np.ndarray() if value.dtype in STORAGE_OF:
            if id(value) not in keys:
                keys[id(value)] = len(storages)
                storages.append(value)
            kind = f"ctorch\n{STORAGE_OF[value.dtype]}\n".encode()
            stored = of(b"(", "storage", kind, str(keys[id(value)]), "cpu", value.size, b"tQ")
            strides = tuple(math.prod(value.shape[axis + 1 :]) for axis in range(value.ndim))
            rest = of(0, value.shape, strides, False, _ORDERED_DICT)
            yield from (_REBUILD, b"(", *stored, *rest, b"tR")
        case _:
            raise TypeError(f"{type(value).__name__} has no place in a checkpoint")
