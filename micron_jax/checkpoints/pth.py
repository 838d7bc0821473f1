"""PyTorch checkpoints (`.pth`), read without torch and without running anything they ask for.

A `.pth` is a zip of uncompressed records: `NAME/data.pkl`, one pickle of the whole object, and
`NAME/data/KEY`, the raw bytes of each storage that tensors view. A pickle is a program for a small
stack machine, and Python's own machine does not get safe by an allow-list of names: `BUILD` sets
attributes of an allowed *class* for the rest of the process, and seven bytes fill 8 GB of memo. So
the machine here is our own. It knows the opcodes that torch writes, nothing on its stack can be
called, and `_construct` lists all it can make.
"""

import functools
import math
import os
import pickletools
import struct
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from micron_jax.errors import UserError, naming

_KINDS = (  # torch's storage, torch's dtype, numpy's dtype
    ("DoubleStorage", "float64", "<f8"),
    ("FloatStorage", "float32", "<f4"),
    ("HalfStorage", "float16", "<f2"),
    ("BFloat16Storage", "bfloat16", ml_dtypes.bfloat16),
    ("LongStorage", "int64", "<i8"),
    ("IntStorage", "int32", "<i4"),
    ("ShortStorage", "int16", "<i2"),
    ("CharStorage", "int8", "i1"),
    ("ByteStorage", "uint8", "u1"),
    ("BoolStorage", "bool", "?"),
)
_STORAGES = {f"torch.{storage}": np.dtype(kind) for storage, _, kind in _KINDS}
_DTYPES = {f"torch.{dtype}": np.dtype(kind) for _, dtype, kind in _KINDS}
STORAGE_OF = {np.dtype(kind): storage for storage, _, kind in _KINDS}
_BUILDERS = (
    "collections.OrderedDict",
    "argparse.Namespace",
    "torch.Size",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",  # a parameter that was given attributes
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
_LITERALS = ("BININT", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE")  # prefixes
_LEGACY = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the number that torch before 1.6 wrote first
_DAMAGED = "is damaged or cut short: download or copy it again"


class _Name(str):
    """A name from `_STORAGES` or `_BUILDERS`: on the stack in place of what could be called."""


class _Storage(NamedTuple):
    raw: bytes
    dtype: np.dtype
    count: int


def read(path: str | os.PathLike) -> Any:
    """Reads what `torch.save(object, path)` wrote.

    Tensors and parameters become numpy arrays (those of `_KINDS`) of their shape, `()` for a
    scalar: read-only views of one copy of each storage, so tied tensors still share memory. dict,
    OrderedDict (without attributes such as `_metadata`), list, tuple, argparse.Namespace, text and
    numbers stay; a `torch.Size` becomes a tuple, `torch.float16` itself a numpy dtype.

    Raises:
      UserError: no such file, not a zip checkpoint, damaged, compressed, or asking for a name
        outside the few that weights need.
    """
    with naming(_shown(os.fspath(path))):
        try:
            with open(path, "rb") as file:
                return _read_file(file)
        except MemoryError as error:
            raise UserError("does not fit in memory: read it on a larger machine") from error
        except (OSError, ValueError) as error:
            reason = _shown(getattr(error, "strerror", error))
            raise UserError(f"cannot be opened ({reason}): check the path") from error


def _shown(text: Any) -> str:
    """Text from outside, as a printable piece of a line."""
    text = str(text)
    return text if text.isprintable() else ascii(text)


def _read_file(file: Any) -> Any:
    """The object in an open checkpoint; a UserError's message lacks the file's name here."""
    head = file.read(64)
    if _LEGACY in head:
        raise UserError(
            "is in the format that PyTorch wrote before 1.6: if you trust it, re-save it in a "
            "modern torch with torch.save(torch.load(path, weights_only=False), path)"
        )
    if not head.startswith(b"PK\x03\x04"):
        raise UserError(f"is not a PyTorch checkpoint (it begins {head[:16]!r}): give a .pth file")
    try:
        with zipfile.ZipFile(file) as archive:
            root = _checked_root(archive, os.fstat(file.fileno()).st_size)
            code = archive.read(f"{root}/data.pkl")

            @functools.cache
            def record(key: str, kind: str) -> bytes:
                raw = archive.read(f"{root}/data/{key}")
                # A bool of a byte that is neither 0 nor 1 is neither true nor false to numpy.
                return raw.translate(b"\0" + b"\1" * 255) if kind == "torch.BoolStorage" else raw

            return _run(code, record)
    # OSError: a seek outside the file; RuntimeError: encrypted; KeyError: a record is missing.
    except (zipfile.BadZipFile, struct.error, EOFError, OSError, RuntimeError, KeyError) as error:
        raise UserError(_DAMAGED) from error
    except (ValueError, TypeError, IndexError) as error:
        why = _shown(error)[:100]
        raise UserError(
            f"holds what torch.save does not write for weights ({why}): copy it again or, if you "
            "trust it, load it with torch and save it again without that"
        ) from error


def _checked_root(archive: zipfile.ZipFile, file_size: int) -> str:
    """The folder inside a zip of `file_size` bytes that holds the checkpoint."""
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    roots = [name.partition("/")[0] for name in names if name.count("/") == 1]
    roots = [root for root in set(roots) if f"{root}/data.pkl" in names]
    if len(roots) != 1:
        raise UserError("is a zip but not a PyTorch checkpoint, without one data.pkl: give a .pth")
    (root,) = roots
    if any(name.startswith((f"{root}/constants.pkl", f"{root}/code/")) for name in names):
        raise UserError(
            "is a TorchScript archive: torch.save(torch.jit.load(path).state_dict(), NEW_PATH) and "
            "give that"
        )
    # torch.save compresses nothing, so an honest archive unpacks to less than itself: no zip bombs.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UserError("has compressed records, unlike torch's: re-save it with torch.save")
    if any(entry.compress_size != entry.file_size for entry in entries):
        raise UserError(_DAMAGED)
    if len(names) < len(entries) or sum(entry.file_size for entry in entries) > file_size:
        raise UserError("has records that overlap or repeat: re-save it with torch.save")
    order = f"{root}/byteorder"  # absent before torch 2.1
    if order in names and archive.read(order) != b"little":
        raise UserError("is not little-endian: load and torch.save it on a common machine")
    return root


def _run(code: bytes, record: Callable[[str, str], bytes]) -> Any:
    """Runs a pickle that holds no opcode but torch's; `record`: storage key, type -> its bytes."""
    stack: list[Any] = []
    below: list[list[Any]] = []  # what the stack was at each open MARK
    memo: dict[int, Any] = {}
    for opcode, arg, _ in pickletools.genops(code):
        name = opcode.name
        if name in ("TUPLE", "APPENDS", "SETITEMS"):  # these take all since the last MARK
            items, stack = stack, below.pop()
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "SETITEM", "REDUCE", "NEWOBJ"):
            count = {"TUPLE1": 1, "APPEND": 1, "TUPLE3": 3}.get(name, 2)
            items = [stack.pop() for _ in range(count)][::-1]
        if name.startswith(_LITERALS):
            stack.append(arg)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            below.append(stack)
            stack = []
        elif name.startswith("TUPLE"):
            stack.append(tuple(items))
        elif name.startswith("APPEND"):
            _expect(type(stack[-1]) is list, "items of what is no list")
            stack[-1].extend(items)
        elif name.startswith("SETITEM"):
            _set_items(stack[-1], items)
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if arg is None else arg] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            _expect(arg in memo, "a memo that was never set")
            stack.append(memo[arg])
        elif name in ("GLOBAL", "INST"):
            stack.append(_named(*arg.split(" ", 1)))
            _expect(name == "GLOBAL", "the opcode INST")
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_named(module, attribute))
        elif name in ("REDUCE", "NEWOBJ"):
            stack.append(_construct(*items))
        elif name == "BUILD":
            state = stack.pop()
            _set_state(stack[-1], state)
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop(), record))
        else:
            _expect(name in ("PROTO", "FRAME", "STOP"), f"the opcode {name}")
    _expect(not below and len(stack) == 1, "a pickle of more or less than one object")
    return stack[0]


def _expect(good: bool, otherwise: str) -> None:
    if not good:
        raise ValueError(otherwise)


def _set_items(target: Any, items: list[Any]) -> None:
    """`items`: key, value, key, value, ..."""
    _expect(type(target) in (dict, OrderedDict), "items of what is no dictionary")
    # No tuples: where they share parts, hashing one can take longer than anyone lives.
    good = all(type(key) in (str, int, float, bool, type(None)) for key in items[::2])
    _expect(good, "a key that is neither text nor number")
    target.update(zip(items[::2], items[1::2], strict=True))


def _set_state(target: Any, state: Any) -> None:
    _expect(type(state) is dict and all(type(key) is str for key in state), "attributes of no name")
    if type(target) is Namespace:
        target.__dict__ = state
    else:  # dropped: an OrderedDict's attributes could hide its methods, and nobody needs them
        _expect(type(target) is OrderedDict, "attributes of what takes none")


def _named(module: Any, attribute: Any) -> Any:
    """The value that stands for a global: a numpy dtype, or the name itself if it is allowed."""
    _expect(type(module) is type(attribute) is str, "a global without a name")
    name = f"{module}.{attribute}"
    if name not in _STORAGES and name not in _BUILDERS and name not in _DTYPES:
        raise UserError(
            f"asks to run {_shown(name[:100])}, which weights do not need, so it was not opened: "
            "if you trust it, load it with torch and save it again without that"
        )
    return _DTYPES[name] if name in _DTYPES else _Name(name)


def _construct(name: Any, args: Any) -> Any:
    """Makes an object of a pickle: these are all kinds beyond dict, list and tuple."""
    _expect(type(name) is _Name and type(args) is tuple, "a call of what is no name")
    match str(name), args:
        case "collections.OrderedDict", ():
            return OrderedDict()
        case "argparse.Namespace", ():
            return Namespace()
        case "torch.Size", (tuple(size),):
            return size
        case "torch._utils._rebuild_tensor_v2", (_Storage() as storage, offset, size, stride, _, _):
            return _tensor(storage, offset, size, stride)
        # With marks, of late: where there are any, of a view to negate or conjugate when read.
        case "torch._utils._rebuild_tensor_v2", (*six, dict(marks)) if len(six) == 6 and not marks:
            return _construct(name, tuple(six))
        case "torch._utils._rebuild_parameter", (np.ndarray() as data, _, _):
            return data
        case "torch._utils._rebuild_parameter_with_state", (np.ndarray() as data, _, _, _):
            return data
    raise ValueError(f"a call of {name} with odd arguments")


def _storage(reference: Any, record: Callable[[str, str], bytes]) -> _Storage:
    """`reference`: ("storage", storage type, record's key, device it was on, numbers in it)."""
    match reference:
        case ("storage", _Name() as kind, str(key), str(), int(count)) if kind in _STORAGES:
            storage = _Storage(record(key, kind), _STORAGES[kind], count)
        case _:
            raise ValueError("a reference to what is no storage")
    if not 0 <= count * storage.dtype.itemsize <= len(storage.raw):
        raise UserError(f"has a record of {len(storage.raw)} bytes, too short: copy the file again")
    return storage


def _tensor(storage: _Storage, offset: Any, size: Any, stride: Any) -> np.ndarray:
    """A read-only view `[*size]` of a storage; `offset` and `stride` count numbers, not bytes."""
    good = type(size) is type(stride) is tuple and len(size) == len(stride) <= 64  # numpy's most
    good = good and all(type(n) is int and 0 <= n < 2**63 for n in (offset, *size, *stride))
    _expect(good, "a tensor of odd shape")
    total = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # More numbers than the storage has are repeats, of stride 0, and can ask for any memory.
    if total > storage.count or (total and last >= storage.count):
        raise UserError(
            f"has a tensor of shape {size} beyond its storage of {storage.count} numbers: re-save "
            "it as .contiguous()"
        )
    if total == 0:
        return np.ndarray(size, storage.dtype, b"")
    item = storage.dtype.itemsize
    steps = [step * item if n > 1 else 0 for n, step in zip(size, stride, strict=True)]
    return np.ndarray(size, storage.dtype, storage.raw, offset * item, steps)
