"""A machine for the pickles that torch writes: it makes tensors and plain values, and runs nothing.

A pickle is a program for a small stack machine, and Python's own machine does not get safe by an
allow-list of names: `BUILD` sets attributes of an allowed *class* for the rest of the process, and
seven bytes fill 8 GB of memo. So the machine here is our own. Nothing on its stack can be called,
and `pickle_objects.construct` lists all it can make. A pickle may ask for anything else: a
`Placeholder` stands for it, which can do nothing.
"""

import pickletools
from collections.abc import Callable
from typing import Any

from micron_jax.checkpoints.pickle_objects import (
    Name,
    Placeholder,
    append,
    construct,
    expect,
    named,
    set_items,
    set_state,
)

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list}
_LITERALS = (
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING",
    "STRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
)  # fmt: skip
_TO_MARK = ("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS", "ADDITEMS", "FROZENSET", "OBJ", "INST")
_TAKES = {  # opcode -> how many values from the top of the stack
    "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2, "REDUCE": 2, "NEWOBJ": 2,
    "NEWOBJ_EX": 3, "STACK_GLOBAL": 2, "BUILD": 1, "BINPERSID": 1, "POP": 1,
}  # fmt: skip


class Machine:
    """Runs one pickle.

    Attributes:
      calls: names of all that the pickle wanted to call and that was not called.
    """

    def __init__(self, storage: Callable[[tuple], Any]):
        """Takes the function that reads a storage.

        Args:
          storage: ("storage", type, record's key, device it was on, numbers in it, ...) -> a
            `Storage`, or a `Placeholder` of one.
        """
        self.calls: set[str] = set()
        self._storage = storage
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # what the stack was at each open MARK
        self._memo: dict[int, Any] = {}

    def run(self, code: bytes) -> Any:
        """Returns the object of a pickle.

        Raises:
          ValueError, IndexError, TypeError: it is no pickle that torch or Python writes.
        """
        for opcode, arg, _ in pickletools.genops(code):
            name, items = opcode.name, []
            if name in _TO_MARK:  # these take all since the last MARK
                items, self._stack = self._stack, self._below.pop()
            elif name in _TAKES:
                items = [self._stack.pop() for _ in range(_TAKES[name])][::-1]
            self._step(name, arg, items)
        expect(not self._below and len(self._stack) == 1, "a pickle of more or less than an object")
        return self._stack[0]

    def _step(self, name: str, arg: Any, items: list[Any]) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(arg)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            self._below.append(stack)
            self._stack = []
        elif name == "POP_MARK":
            self._stack = self._below.pop()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name.startswith("TUPLE"):
            stack.append(tuple(items))
        elif name in ("LIST", "FROZENSET"):
            stack.append(items)
        elif name == "DICT":
            stack.append({})
            set_items(stack[-1], items)
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            append(stack[-1], items)
        elif name in ("SETITEM", "SETITEMS"):
            set_items(stack[-1], items)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            self._memo[len(self._memo) if arg is None else int(arg)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            expect(int(arg) in self._memo, "a memo that was never set")
            stack.append(self._memo[int(arg)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(named(*(items or arg.split(" ", 1))))
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            stack.append(self._call(*items[:2]))
        elif name == "OBJ":
            stack.append(self._call(items[0], tuple(items[1:])))
        elif name == "INST":
            stack.append(self._call(named(*arg.split(" ", 1)), tuple(items)))
        elif name == "BUILD":
            set_state(stack[-1], items[0])
        elif name == "BINPERSID":
            stack.append(self._persistent(items[0]))
        else:
            expect(name in ("PROTO", "FRAME", "STOP", "POP"), f"the opcode {name}")

    def _persistent(self, reference: Any) -> Any:
        expect(type(reference) is tuple and len(reference) > 1, "a reference to what is no storage")
        if reference[0] == "module":  # torch before 1.6: a class and its source
            return reference[1]
        expect(reference[0] == "storage", "a reference to what is no storage")
        return self._storage(reference)

    def _call(self, name: Any, args: Any) -> Any:
        """The object that a call would make, or a placeholder of it."""
        if isinstance(name, Placeholder) and type(args) is tuple:  # as of a partial function
            return Placeholder(name.name)
        expect(isinstance(name, Name) and type(args) is tuple, "a call of what is no name")
        value = construct(name, args)
        if isinstance(value, Placeholder):
            self.calls.add(value.name)
        return value
