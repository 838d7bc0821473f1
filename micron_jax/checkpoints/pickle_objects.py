"""The objects that a pickle of torch may make: tensors, plain values, and placeholders of the rest.

Nothing here is called by its name in a file: `construct` lists all that can be made.
"""

import math
from argparse import Namespace
from collections import OrderedDict
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from micron_jax.errors import UserError, printable

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
STORAGE_OF = {np.dtype(kind): storage for storage, _, kind in _KINDS}
_BYTES = ("torch.storage.UntypedStorage", "torch.UntypedStorage", "torch.storage._UntypedStorage")
STORAGES = {f"torch.{storage}": np.dtype(kind) for storage, _, kind in _KINDS}
STORAGES |= dict.fromkeys(_BYTES, np.dtype("u1"))
_DTYPES = {f"torch.{dtype}": np.dtype(kind) for _, dtype, kind in _KINDS}
_DTYPES |= {f"torch.{name}": np.dtype(name) for name in ("uint16", "uint32", "uint64")}
_DTYPES |= {
    f"torch.{name}": np.dtype(getattr(ml_dtypes, name)) for name in ("float8_e4m3fn", "float8_e5m2")
}
_EMPTY_BEFORE_STATE = ("copyreg", "copy_reg")  # modules of functions that make an object of a class
_SETS = ("builtins.set", "builtins.frozenset", "__builtin__.set", "__builtin__.frozenset")


class Name(str):
    """The name of a class or function: on the stack in place of what could be called."""


class Placeholder:
    """Stands for an object of a class that is not made here; nothing in it is run.

    Attributes:
      name: of the class, or of the function that was to make the object.
      state: the object's attributes by name, where it says so.
      entries: key -> value, of a kind of dictionary.
    """

    __slots__ = ("entries", "name", "state")

    def __init__(self, name: str):
        """Stands for an object of that class."""
        self.name, self.state, self.entries = str(name), {}, {}

    def __repr__(self) -> str:
        return f"<{printable(self.name[:100])}>"


class Storage(NamedTuple):
    """Numbers that tensors view: `count` of a dtype, in bytes."""

    raw: bytes
    dtype: np.dtype
    count: int


def fields_of(value: Any) -> dict:
    """Returns the named values in a dictionary, a namespace or a placeholder of either."""
    if isinstance(value, Placeholder):
        return value.state | value.entries
    if isinstance(value, Namespace):
        return vars(value)
    return value if isinstance(value, dict) else {}


def expect(good: bool, otherwise: str) -> None:
    """Raises a `ValueError` that says what a pickle holds, unless it is `good`."""
    if not good:
        raise ValueError(otherwise)


def append(target: Any, items: list[Any]) -> None:
    """Adds items to a list; those of another class's list are dropped."""
    expect(isinstance(target, list | Placeholder), "items of what is no list")
    if isinstance(target, list):
        target.extend(items)


def set_items(target: Any, items: list[Any]) -> None:
    """Adds entries to a dictionary; `items`: key, value, key, value, ..."""
    target = target.entries if isinstance(target, Placeholder) else target
    expect(type(target) in (dict, OrderedDict), "items of what is no dictionary")
    # No tuples: where they share parts, hashing one can take longer than anyone lives.
    plain = (str, Name, int, float, bool, bytes, type(None))
    keys = [key if type(key) in plain else Placeholder(type(key).__name__) for key in items[::2]]
    target.update(zip(keys, items[1::2], strict=True))


def set_state(target: Any, state: Any) -> None:
    """Gives an object its attributes by name, where it is a namespace or a placeholder."""
    if isinstance(target, Placeholder):
        state = state[1] if type(state) is tuple and len(state) == 2 else state  # with slots
        if isinstance(state, dict):
            target.state = {key: value for key, value in state.items() if isinstance(key, str)}
        return
    expect(
        type(state) is dict and all(isinstance(key, str) for key in state), "nameless attributes"
    )
    if type(target) is Namespace:
        target.__dict__ = state
    else:  # dropped: an OrderedDict's attributes could hide its methods, and nobody needs them
        expect(type(target) in (OrderedDict, dict), "attributes of what takes none")


def named(module: Any, attribute: Any) -> Any:
    """Returns what stands for a global: a numpy dtype, or the name itself."""
    expect(type(module) is type(attribute) is str, "a global without a name")
    name = f"{module}.{attribute}"
    return _DTYPES[name] if name in _DTYPES else Name(name)


def construct(name: str, args: tuple) -> Any:  # noqa: PLR0911 (a table)
    """Makes an object of a pickle: these are all kinds beyond dict, list and tuple."""
    match str(name), args:
        case "collections.OrderedDict", ():
            return OrderedDict()
        case "collections.OrderedDict", (list(pairs),):  # Python 2
            expect(all(type(p) in (list, tuple) and len(p) == 2 for p in pairs), "odd pairs")
            value = OrderedDict()
            set_items(value, [part for pair in pairs for part in pair])
            return value
        case "collections.defaultdict" | "collections.Counter", _:
            return {}
        case (("argparse.Namespace" | "types.SimpleNamespace"), ()):
            return Namespace()
        case kind, (list(items),) if kind in _SETS:
            return items
        case "torch.Size", (tuple(size),):
            return size
        case kind, (Name() as made, *rest) if kind.split(".")[0] in _EMPTY_BEFORE_STATE:
            return construct(made, () if made.endswith("Namespace") else tuple(rest))
        case kind, (tensor, *_) if kind.startswith("torch._utils._rebuild_"):
            unknown = isinstance(tensor, Placeholder)
            return tensor if unknown else _rebuild(kind.removeprefix("torch._utils."), args)
        case "torch._tensor._rebuild_from_type_v2", (Name() as rebuild, _, tuple(inner), _):
            return construct(rebuild, inner)
    return Placeholder(name)


def _rebuild(name: str, args: tuple) -> Any:
    """A tensor or a parameter."""
    match name, args:
        case "_rebuild_tensor", (Storage(), _, _, _):
            return _tensor(*args)
        case "_rebuild_tensor_v2", (Storage() as storage, offset, size, stride, _, _):
            return _tensor(storage, offset, size, stride)
        case "_rebuild_tensor_v2", (Storage(), _, _, _, _, _, dict(marks)):
            # Where there are any, of a view to negate or conjugate when read.
            return Placeholder("a lazy view") if marks else _rebuild(name, args[:6])
        case "_rebuild_tensor_v3", (Storage() as stored, offset, size, stride, _, _, kind, *_):
            if not isinstance(kind, np.dtype):
                return Placeholder(f"a tensor of {kind}")
            expect(stored.dtype == "u1", "a storage of numbers where bytes were to be")
            stored = Storage(stored.raw, kind, stored.count // kind.itemsize)
            return _tensor(stored, offset, size, stride)
        case "_rebuild_parameter", (np.ndarray() as data, _, _):
            return data
        case "_rebuild_parameter_with_state", (np.ndarray() as data, _, _, _):
            return data
    known = name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
    expect(not known and not name.startswith("_rebuild_parameter"), f"{name} of odd arguments")
    return Placeholder(f"torch._utils.{name}")


def _tensor(storage: Storage, offset: Any, size: Any, stride: Any) -> np.ndarray:
    """A read-only view `[*size]` of a storage; `offset` and `stride` count numbers, not bytes."""
    good = type(size) is type(stride) is tuple and len(size) == len(stride) <= 64  # numpy's most
    good = good and all(type(n) is int and 0 <= n < 2**63 for n in (offset, *size, *stride))
    expect(good, "a tensor of odd shape")
    total = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if total and last >= storage.count:
        raise UserError(
            f"has a tensor of shape {size} beyond its storage of {storage.count} numbers: copy the "
            "file again"
        )
    if total == 0:
        return np.ndarray(size, storage.dtype, b"")
    item = storage.dtype.itemsize
    steps = [step * item if n > 1 else 0 for n, step in zip(size, stride, strict=True)]
    return np.ndarray(size, storage.dtype, storage.raw, offset * item, steps)
