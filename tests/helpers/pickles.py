"""Pickles and `.pth` files put together by hand, opcode by opcode, where there is no torch."""

import struct
import zipfile
from pathlib import Path

import numpy as np


class Code(bytes):
    """Opcodes that leave one object on a pickle machine's stack."""


def code(value) -> Code:
    """Protocol 2 opcodes for plain values; `Code` inside them goes in as it is."""
    match value:
        case Code():
            return value
        case None:
            return Code(b"N")
        case bool():
            return Code(b"\x88" if value else b"\x89")
        case int():
            digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return Code(b"\x8a" + bytes([len(digits)]) + digits)
        case float():
            return Code(b"G" + struct.pack(">d", value))
        case str():
            raw = value.encode("utf-8", "surrogatepass")
            return Code(b"X" + struct.pack("<I", len(raw)) + raw)
        case tuple():
            return Code(b"(" + b"".join(map(code, value)) + b"t")
        case list():
            return Code(b"](" + b"".join(map(code, value)) + b"e")
        case dict():
            return Code(b"}(" + b"".join(code(x) for pair in value.items() for x in pair) + b"u")
    raise TypeError(type(value))


def name(module: str, attribute: str) -> Code:
    return Code(f"c{module}\n{attribute}\n".encode())


def call(module: str, attribute: str, *args) -> Code:
    return Code(name(module, attribute) + code(args) + b"R")


def build(target: Code, state) -> Code:
    return Code(target + code(state) + b"b")


def storage(key="0", count=6, kind="FloatStorage") -> Code:
    return Code(code(("storage", name("torch", kind), key, "cpu", count)) + b"Q")


def tensor(size=(2, 3), stride=(3, 1), offset=0, more=(), **stored) -> Code:
    hooks = call("collections", "OrderedDict")
    args = (storage(**stored), offset, size, stride, False, hooks, *more)
    return call("torch._utils", "_rebuild_tensor_v2", *args)


def write_pth(path: Path, model: dict[str, np.ndarray], **rest) -> Path:
    """Writes what `torch.save({"model": ..., **rest}, path)` would, float32 tensors only."""
    tensors, records = {}, {}
    for key, (tensor_name, array) in enumerate(model.items()):
        array = np.ascontiguousarray(array, np.float32)
        strides = tuple(stride // 4 for stride in array.strides)
        tensors[tensor_name] = tensor(array.shape, strides, key=str(key), count=array.size)
        records[str(key)] = array.tobytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("any/data.pkl", b"\x80\x02" + code({"model": tensors} | rest) + b".")
        for key, raw in records.items():
            archive.writestr(f"any/data/{key}", raw)
    return path
