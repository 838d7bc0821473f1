"""PyTorch checkpoints (`.pth`), read without torch and without running anything they ask for.

A `.pth` is a zip of uncompressed records: `NAME/data.pkl`, one pickle of the whole object, and
`NAME/data/KEY`, the raw bytes of each storage that tensors view. Before 1.6 torch wrote five parts
one after another: pickles of a number, of the version, of the machine, of the whole object and of
the storages' keys; and then each storage, its count of numbers before its bytes.
"""

import functools
import io
import os
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from micron_jax.checkpoints.pickle_machine import Machine
from micron_jax.checkpoints.pickle_objects import STORAGES, Name, Placeholder, Storage, expect
from micron_jax.errors import Notice, UserError, naming, printable

ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".th", ".pth.tar")  # of such files' names, in any case
_OLD = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the number that torch before 1.6 writes first
_OTHER_SIZES = {  # bytes a number of storages that no network here has
    "torch.ComplexFloatStorage": 8, "torch.ComplexDoubleStorage": 16, "torch.QInt8Storage": 1,
    "torch.QUInt8Storage": 1, "torch.QInt32Storage": 4,
}  # fmt: skip
_DAMAGED = "is damaged or cut short: download or copy it again"
# A pickle that calls these is no work of torch.save; a `Placeholder` stands for them like for all.
_HARMFUL = (
    "os.", "posix.", "nt.", "subprocess.", "sys.", "shutil.", "socket.", "runpy.", "importlib.",
    "ctypes.", "pty.", "code.", "webbrowser.", "builtins.eval", "builtins.exec", "builtins.open",
    "builtins.compile", "builtins.__import__", "__builtin__.eval", "__builtin__.exec",
    "__builtin__.open", "__builtin__.compile", "__builtin__.__import__",
)  # fmt: skip


def is_file_name(name: str) -> bool:
    """Tests if a name has the ending of a PyTorch checkpoint."""
    return name.lower().endswith(ENDINGS)


def read(path: str | os.PathLike) -> Any:
    """Reads what `torch.save(object, path)` wrote, of any version.

    Tensors and parameters become numpy arrays of their shape, `()` for a scalar: read-only views of
    one copy of each storage, so tied tensors still share memory. dict, OrderedDict (without
    attributes such as `_metadata`), list, tuple, argparse.Namespace, text and numbers stay; a set
    becomes a list, a `torch.Size` a tuple, `torch.float16` itself a numpy dtype, a class its name,
    and an object of any other class a `Placeholder`.

    Raises:
      UserError: no such file, not a checkpoint, damaged or compressed.
    """
    with naming(os.fspath(path)):
        try:
            with open(path, "rb") as file:
                value, calls = _read_file(file)
        except MemoryError as error:
            raise UserError("does not fit in memory: read it on a larger machine") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", error)
            raise UserError(f"cannot be opened ({reason}): check the path") from error
    if harmful := sorted(name for name in calls if name.startswith(_HARMFUL)):
        warnings.warn(
            f"{os.fspath(path)}: asks to run {harmful[0][:100]}, which no weights need; it was not "
            "run here, and torch.load may run it",
            Notice,
            stacklevel=2,
        )
    return value


def _read_file(file: Any) -> tuple[Any, set[str]]:
    """The object in an open checkpoint and the calls in it; messages lack the file's name here."""
    head = file.read(64)
    file.seek(0)
    try:
        if head.startswith(b"PK\x03\x04"):
            return _read_zip(file)
        if _OLD in head:
            return _read_old(file.read())
    # OSError: a seek outside the file; RuntimeError: encrypted; KeyError: a record is missing.
    except (zipfile.BadZipFile, struct.error, EOFError, OSError, RuntimeError, KeyError) as error:
        raise UserError(_DAMAGED) from error
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        why = printable(error)[:100]
        raise UserError(
            f"holds what torch.save does not write ({why}): copy it again or, if you trust it, "
            "load it with torch and save its state_dict() again"
        ) from error
    raise UserError(f"is not a PyTorch checkpoint (it begins {head[:16]!r}): give a .pth file")


def _read_zip(file: Any) -> tuple[Any, set[str]]:
    with zipfile.ZipFile(file) as archive:
        root, swapped = _checked_root(archive, os.fstat(file.fileno()).st_size)

        @functools.cache
        def record(key: str, kind: str) -> bytes:
            return _ordered(archive.read(f"{root}/data/{key}"), kind, swapped=swapped)

        machine = Machine(lambda reference: _storage(reference, record))
        return machine.run(archive.read(f"{root}/data.pkl")), machine.calls


def _ordered(raw: bytes, kind: str, *, swapped: bool) -> bytes:
    """The bytes of a storage as they lie in memory here."""
    size = STORAGES[kind].itemsize
    if swapped and size > 1:
        raw = np.frombuffer(raw, f"u{size}").byteswap().tobytes()
    # A bool of a byte that is neither 0 nor 1 is neither true nor false to numpy.
    return raw.translate(b"\0" + b"\1" * 255) if kind == "torch.BoolStorage" else raw


def _checked_root(archive: zipfile.ZipFile, file_size: int) -> tuple[str, bool]:
    """The folder inside a zip of `file_size` bytes, and whether its numbers are big-endian."""
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
    order = archive.read(order) if order in names else b"little"
    if order not in (b"little", b"big"):
        raise UserError(_DAMAGED)
    return root, order == b"big"


def _storage(reference: tuple, record: Callable[[str, str], bytes]) -> Storage | Placeholder:
    """`reference`: see `Machine`; `record`: storage key, type -> its bytes."""
    match reference:
        case ("storage", Name() as kind, str(key), str(), int(count)) if kind in STORAGES:
            storage = Storage(record(key, kind), STORAGES[kind], count)
        case ("storage", Name() as kind, str(), str(), int()):  # complex, quantized, ...
            return Placeholder(f"a tensor of {kind}")
        case _:
            raise ValueError("a reference to what is no storage")
    if not 0 <= count * storage.dtype.itemsize <= len(storage.raw):
        raise UserError(f"has a record of {len(storage.raw)} bytes, too short: copy the file again")
    return storage


def _read_old(data: bytes) -> tuple[Any, set[str]]:
    """The object in a checkpoint of torch before 1.6."""
    kinds: dict[str, str] = {}  # of the storages, by key

    def note(reference: tuple) -> Placeholder:
        match reference:
            case ("storage", Name() as kind, str(key), str(), int(), *view) if view in ([], [None]):
                kinds.setdefault(key, kind)
            case _:
                raise ValueError("a reference to what is no storage, or to a part of one")
        return Placeholder(kind)

    parts, place = [], 0
    for _ in range(5):
        end = _end_of_pickle(data, place)
        parts.append(data[place:end])
        place = end
    Machine(note).run(parts[3])
    keys = Machine(note).run(parts[4])
    expect(type(keys) is list and set(keys) == set(kinds), "keys of other storages")
    records: dict[str, bytes] = {}
    for key in keys:
        (count,) = struct.unpack_from("<q", data, place)
        kind = kinds[key]
        if kind not in STORAGES and kind not in _OTHER_SIZES:
            raise UserError(f"holds {kind}: load it with torch and save its state_dict() again")
        size = _OTHER_SIZES.get(kind) or STORAGES[kind].itemsize
        end = place + 8 + count * size
        if count < 0 or end > len(data):
            raise UserError(_DAMAGED)
        if kind in STORAGES:
            records[key] = _ordered(data[place + 8 : end], kind, swapped=False)
        place = end
    if place != len(data):
        raise UserError(_DAMAGED)
    machine = Machine(lambda reference: _storage(reference[:5], lambda key, _: records[key]))
    return machine.run(parts[3]), machine.calls


def _end_of_pickle(data: bytes, place: int) -> int:
    file = io.BytesIO(data)
    file.seek(place)
    try:
        for _ in pickletools.genops(file):
            pass
    except ValueError as error:
        raise UserError(_DAMAGED) from error
    return file.tell()
