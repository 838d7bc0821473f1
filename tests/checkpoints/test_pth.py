"""`.pth` files read without torch: what torch writes, what is broken, what is hostile.

Most files here are put together by hand, opcode by opcode, so that they say what no honest writer
says and so that the tests run where there is no torch.
"""

import argparse
import collections
import contextlib
import datetime
import functools
import os
import pathlib
import random
import struct
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest
from helpers.mutations import damage
from helpers.pickles import Code, build, call, code, name, storage, tensor

from micron_jax.checkpoints import pth
from micron_jax.checkpoints.pickle_objects import Placeholder
from micron_jax.errors import Notice, UserError, printable

SIX = np.arange(6, dtype=np.float32)


@pytest.fixture
def write(tmp_path):
    """(object or opcodes, records, further entries) -> a checkpoint made without torch."""

    def write(value, records=None, extra=None, compression=zipfile.ZIP_STORED):
        path = tmp_path / "ckpt.pth"
        with zipfile.ZipFile(path, "w", compression) as archive:
            if value is not None:
                archive.writestr("any/data.pkl", b"\x80\x02" + code(value) + b".")
            for key, raw in ({"0": SIX.tobytes()} if records is None else records).items():
                archive.writestr(f"any/data/{key}", raw)
            for entry, raw in (extra or {}).items():
                archive.writestr(entry, raw)
        return path

    return write


def refusal(path) -> str:
    """The one line that `read` refuses a file with."""
    with pytest.raises(UserError) as caught:
        pth.read(path)
    message = str(caught.value)
    assert message.isprintable(), "more than one line, or what a terminal obeys"
    shown = printable(path)
    assert message.startswith(f"{shown}: ")
    assert ": " in message.removeprefix(f"{shown}: "), "no mend"
    return message


# What may be read.


def test_the_parts_of_a_checkpoint(write):
    options = build(call("argparse", "Namespace"), {"lr": 0.5, "dtype": name("torch", "bfloat16")})
    state = Code(call("collections", "OrderedDict") + b"(" + code("w") + tensor() + b"u")
    state = build(state, {"_metadata": call("collections", "OrderedDict"), "items": 3})
    read = pth.read(
        write(
            {
                "model": state,
                "args": options,
                "epoch": 2**40,
                "betas": (0.9, None, True, [], {}, -1),
                "shape": call("torch", "Size", (2, 3)),
            }
        )
    )
    assert type(read["model"]) is OrderedDict
    ((key, weight),) = read["model"].items()  # not hidden by the attribute
    assert key == "w"
    np.testing.assert_array_equal(weight, SIX.reshape(2, 3))
    assert type(read["args"]) is argparse.Namespace
    assert vars(read["args"]) == {"lr": 0.5, "dtype": np.dtype(ml_dtypes.bfloat16)}
    assert read["epoch"] == 2**40
    assert read["betas"] == (0.9, None, True, [], {}, -1)
    assert read["shape"] == (2, 3)
    assert type(read["shape"]) is tuple


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("DoubleStorage", np.float64),
        ("FloatStorage", np.float32),
        ("HalfStorage", np.float16),
        ("BFloat16Storage", ml_dtypes.bfloat16),
        ("LongStorage", np.int64),
        ("IntStorage", np.int32),
        ("ShortStorage", np.int16),
        ("CharStorage", np.int8),
        ("ByteStorage", np.uint8),
        ("BoolStorage", np.bool_),
    ],
)
def test_dtypes(write, kind, dtype):
    wanted = SIX.astype(dtype).reshape(2, 3)
    read = pth.read(write(tensor(kind=kind), {"0": wanted.tobytes()}))
    assert type(read) is np.ndarray
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, wanted)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({"size": (3, 2), "stride": (1, 3)}, SIX.reshape(2, 3).T),
        ({"size": (2, 2), "stride": (3, 1), "offset": 1}, SIX.reshape(2, 3)[:, 1:]),
        ({"size": (), "stride": (), "offset": 5}, SIX[5]),
        ({"size": (3,), "stride": (2,)}, SIX[::2]),
        ({"size": (4,), "stride": (0,), "offset": 2}, SIX[[2, 2, 2, 2]]),
        ({"size": (1, 6), "stride": (2**62, 1)}, SIX[None]),
        ({"size": (0, 3), "stride": (3, 1), "offset": 6}, SIX[:0].reshape(0, 3)),
        ({"size": (0,), "stride": (1,), "count": 0, "key": "empty"}, SIX[:0]),
    ],
)
def test_views(write, view, expected):
    read = pth.read(write(tensor(**view), {"0": SIX.tobytes(), "empty": b""}))
    assert read.shape == np.shape(expected)
    np.testing.assert_array_equal(read, expected)


def test_tied_tensors_share_read_only_memory(write):
    whole, part = pth.read(write([tensor(), tensor((3,), (1,), offset=3)]))
    assert np.shares_memory(whole, part)
    assert not whole.flags.writeable
    assert not part.flags.writeable


def test_bools_are_zero_or_one(write):
    read = pth.read(write(tensor((4,), (1,), kind="BoolStorage", count=4), {"0": b"\0\1\2\xff"}))
    assert read.tobytes() == b"\0\1\1\1"


def test_parameters(write):
    hooks = call("collections", "OrderedDict")
    plain = call("torch._utils", "_rebuild_parameter", tensor(), True, hooks)
    other = call(
        "torch._utils", "_rebuild_parameter_with_state", tensor(more=({},)), True, hooks, {"a": 1}
    )
    for array in pth.read(write([plain, other])):
        np.testing.assert_array_equal(array, SIX.reshape(2, 3))


def test_later_pickle_protocols(write):
    frame = b"\x80\x04\x95" + struct.pack("<Q", 30)
    empty = b"\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93)R\x94"
    first, second = pth.read(write(Code(frame + empty + b"\x8c\x01ah\x00sh\x02\x86")))
    assert first == OrderedDict(a="collections")
    assert second is first


def test_neither_torch_nor_jax_is_imported():
    program = (
        "import sys, micron_jax.checkpoints.pth; assert not {'torch', 'jax'} & set(sys.modules), 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# What is broken.


def test_no_such_file(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.pth")
    assert "No such file" in refusal(tmp_path / "none\n\x1b[31m.pth")
    assert "Is a directory" in refusal(tmp_path)
    assert "cannot be opened" in refusal("nul\0.pth")


@pytest.mark.parametrize("raw", [b"", b"P", b"version https://git-lfs\n", b"\x89PNG\r\n", b"\x80."])
def test_not_a_zip(tmp_path, raw):
    path = tmp_path / "x.pth"
    path.write_bytes(raw)
    assert "not a PyTorch checkpoint" in refusal(path)


def old_format(value, keys, records) -> bytes:
    """What torch before 1.6 wrote: five pickles, then each storage after its count of numbers."""
    sys_info = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    head = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    parts = [1001, sys_info, value, list(keys)]
    raw = b"".join(struct.pack("<q", count) + data for count, data in records)
    return head + b"".join(b"\x80\x02" + code(part) + b"." for part in parts) + raw


def old_tensor(key, kind="FloatStorage", view=None):
    reference = code(("storage", name("torch", kind), key, "cpu", 6, view)) + b"Q"
    hooks = call("collections", "OrderedDict")
    args = (Code(reference), 0, (2, 3), (3, 1), False, hooks)
    return call("torch._utils", "_rebuild_tensor_v2", *args)


def test_the_format_before_1_6(tmp_path):
    path = tmp_path / "x.pth"
    state = {"b": old_tensor("7"), "a": old_tensor("3", "LongStorage"), "tied": old_tensor("7")}
    other = np.arange(6) + 10
    records = [(6, other.tobytes()), (6, SIX.tobytes())]
    whole = old_format(state | {"epoch": 3}, ["3", "7"], records)
    path.write_bytes(whole)
    read = pth.read(path)
    assert read["epoch"] == 3
    np.testing.assert_array_equal(read["a"], other.reshape(2, 3))
    np.testing.assert_array_equal(read["b"], SIX.reshape(2, 3))
    assert np.shares_memory(read["b"], read["tied"])
    for length in range(20, len(whole)):
        path.write_bytes(whole[:length])
        assert "damaged or cut short" in refusal(path)
    for state, keys, count in (
        ({"a": old_tensor("3", view=("7", 0, 6))}, ["3"], 6),
        ({"a": old_tensor("3")}, ["4"], 6),
        ({"a": old_tensor("3")}, [3], 6),
        ({"a": old_tensor("3")}, ["3"], 2**40),
        ({"a": old_tensor("3")}, ["3"], -6),
        ({"a": old_tensor("3")}, ["3"], 5),
        ({"a": old_tensor("3", "OtherStorage")}, ["3"], 6),
    ):
        path.write_bytes(old_format(state, keys, [(count, SIX.tobytes())]))
        refusal(path)


def test_other_zips(write):
    assert "data.pkl" in refusal(write(None))
    assert "data.pkl" in refusal(write([], {}, {"two/data.pkl": b"\x80\x02N."}))
    assert "data.pkl" in refusal(write(None, {}, {"data.pkl": b"\x80\x02N."}))
    assert "TorchScript" in refusal(write([], {}, {"any/constants.pkl": b""}))
    assert "TorchScript" in refusal(write([], {}, {"any/code/__torch__.py": b""}))
    assert "damaged" in refusal(write([], {}, {"any/byteorder": b"middle"}))
    assert pth.read(write([], {}, {"any/byteorder": b"little", "any/version": b"3\n"})) == []


@pytest.mark.parametrize("kind", ["FloatStorage", "BFloat16Storage", "LongStorage", "ByteStorage"])
def test_numbers_of_a_big_endian_machine(write, kind):
    dtype = {"FloatStorage": "f4", "BFloat16Storage": ml_dtypes.bfloat16, "LongStorage": "i8"}
    wanted = SIX.astype(dtype.get(kind, "u1"))
    raw = wanted.view(f"u{wanted.itemsize}").byteswap().tobytes()
    path = write(tensor(kind=kind), {"0": raw}, {"any/byteorder": b"big"})
    np.testing.assert_array_equal(pth.read(path), wanted.reshape(2, 3))


def test_records_of_more_than_four_gigabytes_have_other_headers(write, tmp_path):
    path = tmp_path / "large.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, raw in (("data.pkl", b"\x80\x02" + tensor() + b"."), ("data/0", SIX.tobytes())):
            with archive.open(f"any/{entry}", "w", force_zip64=True) as file:
                file.write(raw)
    np.testing.assert_array_equal(pth.read(path), SIX.reshape(2, 3))


def test_a_zip_bomb(write):
    path = write(tensor(), {"0": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 60_000
    assert "compressed" in refusal(path)


def relisted(path, change) -> None:
    """Rewrites a zip's list of entries: `change` takes and returns the entries' bytes."""
    raw = path.read_bytes()
    start = raw.index(b"PK\x01\x02")
    first, *others = raw[start:-22].split(b"PK\x01\x02")  # 22 bytes then tell where the list is
    entries = [b"PK\x01\x02" + entry for entry in change(others)]
    tail = bytearray(raw[-22:])
    struct.pack_into("<HHI", tail, 8, len(entries), len(entries), sum(map(len, entries)))
    path.write_bytes(raw[:start] + first + b"".join(entries) + bytes(tail))


def test_a_list_of_entries_that_lies(write):
    path = write(tensor(), {"0": SIX.tobytes(), "1": bytes(1000)})
    relisted(path, lambda old: old)
    pth.read(path)
    relisted(path, lambda old: [*old, old[0]])
    assert "overlap or repeat" in refusal(path)
    path = write(tensor(), {"0": SIX.tobytes(), "1": bytes(1000)})
    others = (b"data/2", b"data/3")  # other names for the same bytes
    relisted(path, lambda old: [*old, *(old[-1].replace(b"data/1", other) for other in others)])
    assert "overlap or repeat" in refusal(path)
    path = write(tensor())
    relisted(path, lambda old: [old[0], old[1].replace(b"\x18\0\0\0", b"\x17\0\0\0", 1)])
    assert "damaged" in refusal(path)


def test_cut_short(write):
    path = write({"w": tensor(), "b": tensor(key="1")}, {"0": SIX.tobytes(), "1": SIX.tobytes()})
    raw = path.read_bytes()
    assert set(pth.read(path)) == {"w", "b"}
    for length in range(4, len(raw)):
        path.write_bytes(raw[:length])
        assert "damaged or cut short" in refusal(path)


def test_a_changed_weight_is_noticed(write):
    path = write(tensor())
    raw = bytearray(path.read_bytes())
    raw[raw.index(SIX.tobytes()) + 6] ^= 1
    path.write_bytes(raw)
    assert "damaged" in refusal(path)


def test_too_large_for_the_machine(write, monkeypatch):
    def no_memory(*args):
        raise MemoryError

    monkeypatch.setattr(pth.Machine, "run", no_memory)
    assert "does not fit in memory" in refusal(write(tensor()))


def test_missing_and_short_records(write):
    assert "damaged" in refusal(write(tensor(), {}))
    assert "too short" in refusal(write(tensor(), {"0": SIX.tobytes()[:-1]}))
    assert "too short" in refusal(write(tensor(count=-1)))
    assert "too short" in refusal(write(tensor(count=2**70)))


@pytest.mark.parametrize(
    "view",
    [
        {"size": (7,), "stride": (1,)},
        {"size": (2, 3), "stride": (3, 1), "offset": 1},
        {"size": (2,), "stride": (6,)},
        {"size": (2,), "stride": (2**62,)},
        {"size": (), "stride": (), "offset": 6},
    ],
)
def test_tensors_beyond_their_storage(write, view):
    assert "beyond its storage" in refusal(write(tensor(**view)))


def test_an_expanded_tensor_takes_no_memory(write):
    read = pth.read(write(tensor(size=(2**20, 2**20, 3), stride=(0, 0, 1))))
    assert read.shape == (2**20, 2**20, 3)
    np.testing.assert_array_equal(read[7, 9], SIX[:3])
    assert "does not write" in refusal(write(tensor(size=(2**62,) * 60, stride=(0,) * 60)))


@pytest.mark.parametrize(
    "view",
    [
        {"size": (-1,), "stride": (1,)},
        {"size": (2,), "stride": (-1,), "offset": 5},
        {"size": (2,), "stride": (1,), "offset": -1},
        {"size": (2.0,), "stride": (1,)},
        {"size": (True,), "stride": (1,)},
        {"size": ("2",), "stride": (1,)},
        {"size": (2, 3), "stride": (1,)},
        {"size": [2], "stride": [1]},
        {"size": 6, "stride": 1},
        {"size": (1,) * 65, "stride": (1,) * 65},
        {"size": (0, 2**62, 2**62), "stride": (0, 0, 0)},
        {"size": (2**64,), "stride": (1,)},
        {"size": (2,), "stride": (1,), "offset": None},
        {"more": ({}, {})},
        {"count": "6"},
        {"key": 0},
    ],
)
def test_tensors_of_odd_arguments(write, view):
    assert "does not write" in refusal(write(tensor(**view)))


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"NN",
        b"(N",
        b"t",
        b"a",
        b"h\x00",
        b"\x85",
        b"NNNs",
        b"]NNs",
        b"}(Nu",
        b"Na",
        b"N}b",
        b"]}b",
        b"NQ",
        b")Q",
        b"N)R",
        b"(lNb",
        b"X\xff\xff\xff\xffabc",
        b"\x8d" + b"\xff" * 8,
        b"X\x01\x00\x00\x00\xff",
        b"\x8b\xff\xff\xff\xff",
        b"\x96" + b"\xff" * 7 + b"\x7f",
        b"ctorch\n",
        b"\xff",
        b"NN\x93",
        b"\x82\x01",
        b"\x97",
        b"Pos.system\n",
        code(("storage", Code(b"N"), "0", "cpu", 1)) + b"Q",
        code(("storage", name("torch", "Size"), "0", 1, 1)) + b"Q",
        call("collections", "OrderedDict", [("a", 1, 2)]),
        code(1) + b")R",
        call("torch._utils", "_rebuild_parameter", None, True, None),
        call("torch._utils", "_rebuild_tensor_v2", tensor(), 0, (6,), (1,), False, None),
    ],
)
def test_broken_pickles(write, pickled):
    assert "does not write" in refusal(write(Code(pickled)))


# What is hostile.


@pytest.mark.parametrize(
    ("pickled", "asks"),
    [
        (call("os", "system", "touch touched"), "os.system"),
        (call("posix", "system", "touch touched"), "posix.system"),
        (call("builtins", "eval", "open('touched', 'w')"), "builtins.eval"),
        (call("torch", "Size", (call("os", "system", "touch touched"),)), "os.system"),
        (tensor(more=({"a": call("os", "system", "touch touched")},)), "os.system"),
        (Code(b"(" + code("touch touched") + b"ios\nsystem\n"), "os.system"),
        (Code(b"(" + name("os", "system") + code("touch touched") + b"o"), "os.system"),
        (Code(name("os", "_wrap_close") + code(("touch", "touched")) + b"\x81"), "os._wrap_close"),
        (Code(code("os") + code("system") + b"\x93" + code(("touched",)) + b"R"), "os.system"),
        (call("copyreg", "_reconstructor", name("os", "system"), "touch touched"), "os.system"),
        (call("subprocess", "Popen", ["touch", "touched"]), "subprocess.Popen"),
    ],
)
def test_nothing_is_run(write, pickled, asks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write({"model": {"w": tensor()}, "args": [pickled]})
    with pytest.warns(Notice, match=f"asks to run {asks}, .* was not run") as caught:
        read = pth.read(path)
    assert len(caught) == 1
    np.testing.assert_array_equal(read["model"]["w"], SIX.reshape(2, 3))
    assert os.listdir() == ["ckpt.pth"]


@pytest.mark.parametrize(
    ("pickled", "shown"),
    [
        (call("__builtin__", "getattr", "", "join"), "<__builtin__.getattr>"),
        (call("torch.nn.modules.linear", "Linear"), "<torch.nn.modules.linear.Linear>"),
        (call("torch.serialization", "load", "x"), "<torch.serialization.load>"),
        (call("torch", "FloatStorage.from_file", "x"), "<torch.FloatStorage.from_file>"),
        (call("argparse", "FileType", "w"), "<argparse.FileType>"),
        (call("argparse", "Namespace.__init__", "w"), "<argparse.Namespace.__init__>"),
        (call("argparse", "Namespace", 1), "<argparse.Namespace>"),
        (call("pathlib", "PosixPath", "/", "home", "me"), "<pathlib.PosixPath>"),
        (
            call("numpy.core.multiarray", "scalar", None, "12345678"),
            "<numpy.core.multiarray.scalar>",
        ),
        (call("torch", "device", "cuda", 0), "<torch.device>"),
        (
            build(call("functools", "partial", name("a", "b")), (name("a", "b"), (), {}, None)),
            "<functools.partial>",
        ),
        (Code(call("my", "D") + b"(" + code("a") + code(1) + b"u"), "<my.D>"),
        (Code(call("my", "L") + b"(" + code("a") + b"e"), "<my.L>"),
        (Code(call("my", "F") + code(()) + b"R"), "<my.F>"),
        (Code(name("my", "K") + code(()) + code({"a": 1}) + b"\x92"), "<my.K>"),
        (tensor(more=({"neg": True},)), "<a lazy view>"),
        (tensor(kind="ComplexFloatStorage"), "<a tensor of torch.ComplexFloatStorage>"),
        (call("torch._utils", "_rebuild_qtensor", storage(), 0), "<torch._utils._rebuild_qtensor>"),
        (
            call(
                "torch._utils",
                "_rebuild_meta_tensor_no_storage",
                name("torch", "float32"),
                (2,),
                (1,),
                False,
            ),
            "<torch._utils._rebuild_meta_tensor_no_storage>",
        ),
        (Code(code("o\n\x1b[2J\ud800") + code("x" * 10**6) + b"\x93)R"), r"<o\n\x1b[2J\ud800.xxx"),
    ],
)
def test_other_classes_become_placeholders(write, pickled, shown):
    read = pth.read(write({"model": {"w": tensor()}, "other": pickled, "after": 1}))
    assert type(read["other"]) is Placeholder
    assert str(read["other"]).startswith(shown)
    assert len(str(read["other"])) < 200
    assert read["after"] == 1


def test_kinds_of_dictionaries_and_sets_are_readable(write):
    attributes = Code(call("lightning", "AttributeDict") + b"(" + code("lr") + code(0.5) + b"u")
    counts = Code(
        call("collections", "defaultdict", name("__builtin__", "list"))
        + b"("
        + code("a")
        + code(1)
        + b"u"
    )
    read = pth.read(
        write(
            {
                "hyper": attributes,
                "counts": counts,
                "set": call("__builtin__", "set", ["b", "a"]),
                "set4": Code(b"\x8f(" + code("c") + b"\x90"),
                "pairs": call("collections", "OrderedDict", [["a", 1]]),
                "simple": build(call("types", "SimpleNamespace"), {"a": 1}),
                "bytes": Code(b"C\x02ab"),
                "class": name("torch.nn", "LayerNorm"),
            }
        )
    )
    assert read["hyper"].entries == {"lr": 0.5}
    assert read["counts"] == {"a": 1}
    assert (read["set"], read["set4"]) == (["b", "a"], ["c"])
    assert read["pairs"] == OrderedDict(a=1)
    assert read["simple"] == argparse.Namespace(a=1)
    assert read["bytes"] == b"ab"
    assert read["class"] == "torch.nn.LayerNorm"
    (key,) = pth.read(write(Code(b"})Ns")))  # a tuple is no key here: to hash it may take forever
    assert type(key) is Placeholder


@pytest.mark.parametrize(
    "target",
    [
        name("argparse", "Namespace"),
        name("collections", "OrderedDict"),
        name("torch", "float32"),
        name("torch", "FloatStorage"),
        name("torch._utils", "_rebuild_tensor_v2"),
        tensor(),
        storage(),
        code({}),
        code(()),
    ],
)
@pytest.mark.parametrize("state", [{"hello": 1}, (None, {"hello": 1}), (), None, {1: 2}])
def test_attributes_reach_no_other_object(write, target, state):
    """Python's own unpickler would leave `argparse.Namespace.hello` behind."""
    with contextlib.suppress(UserError):
        pth.read(write(build(target, state)))
    assert not hasattr(argparse.Namespace, "hello")
    assert not hasattr(np.ndarray, "hello")


@pytest.mark.parametrize(
    "state", [(None, {"a": 1}), (), None, [("a", 1)], {1: 2}, call("collections", "OrderedDict")]
)
def test_attributes_of_a_namespace(write, state):
    refusal(write(build(call("argparse", "Namespace"), state)))


def test_bombs_take_neither_memory_nor_time(write):
    assert pth.read(write(Code(b"Nr\x00\x00\x00\x7f"))) is None  # memo 2 ** 31 - 2 ** 24
    halves = b"".join(b"q%ch%c\x86" % (i, i) for i in range(100))  # pairs of the same pair
    pth.read(write(Code(b")" + halves)))
    pth.read(write(Code(b"}" + b")" + halves + b"Ns")))  # its hash is 2 ** 100 steps away
    refusal(write(Code(b")" + halves + b"N\x93")))  # and so is its text
    refusal(write(Code(b")" + halves + b"Q")))
    nested = pth.read(write(Code(b"]" * 200_000 + b"a" * 199_999)))
    assert len(nested) == 1
    many = [tensor((100_000,), (1,), kind="BoolStorage", count=100_000)] * 3000
    read = pth.read(write(many, {"0": bytes(100_000)}))
    assert all(np.shares_memory(read[0], array) for array in read)


def rich() -> Code:
    hooks = call("collections", "OrderedDict")
    return code(
        {
            "model": build(
                Code(hooks + b"(" + code("w") + tensor() + code("b") + tensor((), ()) + b"u"),
                {"_metadata": hooks},
            ),
            "p": call("torch._utils", "_rebuild_parameter", tensor(key="1"), True, hooks),
            "args": build(call("argparse", "Namespace"), {"lr": 1e-3, "n": [1, (2, None), "x"]}),
        }
    )


@pytest.mark.parametrize("layer", ["file", "pickle"])
def test_random_damage(write, layer):
    """`pickle`: inside a sound zip, so that no checksum stands before the machine."""
    records = {"0": SIX.tobytes(), "1": SIX.tobytes()}
    path = write(rich(), records)
    assert set(pth.read(path)) == {"model", "p", "args"}
    content, successes = path.read_bytes(), 0
    for seed in range(1000):
        if layer == "file":
            path.write_bytes(damage(content, random.Random(seed)))
        else:
            write(Code(damage(rich(), random.Random(seed))), records)
        with contextlib.suppress(UserError):
            pth.read(path)
            successes += 1
    assert successes < 500


# What torch itself writes.


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def same(array, tensor):
    """An array of the values, shape and dtype of a tensor."""
    assert type(array) is np.ndarray
    assert array.shape == tuple(tensor.shape)
    assert str(array.dtype) == str(tensor.dtype).removeprefix("torch.")
    wanted = tensor.detach().double().numpy()
    np.testing.assert_array_equal(array.astype(np.float64), wanted)


def test_a_training_checkpoint(torch, tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    model.tied = model[0].weight
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    args = argparse.Namespace(lr=0.1, name="µ", dtype=torch.float16, shape=model[0].weight.shape)
    path = tmp_path / "ckpt.pth"
    torch.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "args": args,
            "epoch": 3,
        },
        path,
    )
    read = pth.read(path)
    assert list(read["model"]) == list(model.state_dict())
    for key, value in model.state_dict().items():
        same(read["model"][key], value)
    assert np.shares_memory(read["model"]["0.weight"], read["model"]["tied"])
    same(read["optimizer"]["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    assert read["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert vars(read["args"]) == {**vars(args), "dtype": np.float16, "shape": (4, 3)}
    assert read["epoch"] == 3


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_of_torch(torch, tmp_path, protocol):
    base = torch.arange(24.0).reshape(2, 3, 4)
    attributed = torch.nn.Parameter(base.clone())
    attributed.note = "x"
    tensors = {
        "base": base,
        "transposed": base.permute(2, 0, 1),
        "sliced": base[1:, ::2, 1:3],
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "expanded": torch.arange(5).expand(1, -1),
        "parameter": torch.nn.Parameter(base[0].T),
        "attributed": attributed,
    }
    for kind in ("float64", "float32", "float16", "bfloat16"):
        tensors[kind] = torch.tensor([0.0, -1.5, float("inf")]).to(getattr(torch, kind))
    for kind in ("int64", "int32", "int16", "int8", "uint8", "bool"):
        tensors[kind] = torch.tensor([0, 1, 5, 127]).to(getattr(torch, kind))
    path = tmp_path / "x.pth"
    torch.save(tensors, path, pickle_protocol=protocol)
    read = pth.read(path)
    assert list(read) == list(tensors)
    for key, value in tensors.items():
        same(read[key], value)
    assert np.shares_memory(read["base"], read["sliced"])


def test_other_files_of_torch(torch, tmp_path):
    path = tmp_path / "x.pth"
    base = torch.arange(6.0)
    state = {"w": base.reshape(2, 3), "tied": base[:2], "half": base.half(), "n": torch.tensor(3)}
    torch.save({"model": state, "x": 1}, path, _use_new_zipfile_serialization=False)
    read = pth.read(path)
    assert read["x"] == 1
    for key, value in state.items():
        same(read["model"][key], value)
    assert np.shares_memory(read["model"]["w"], read["model"]["tied"])
    torch.save({"w": torch.ones(1).expand(1000), "i": torch.ones(2, dtype=torch.uint16)}, path)
    read = pth.read(path)
    np.testing.assert_array_equal(read["w"], np.ones(1000))
    np.testing.assert_array_equal(read["i"], np.ones(2, np.uint16))
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), path)
    assert "TorchScript" in refusal(path)


class Mine(dict):
    """A class of a training script."""


def test_what_scripts_save_beside_the_model(torch, tmp_path):
    path = tmp_path / "x.pth"
    mine = Mine(a=1)
    mine.b = 2
    beside = {
        "scalar": np.float64(1.5),
        "array": np.arange(3),
        "random": np.random.get_state(),  # noqa: NPY002
        "python": random.getstate(),
        "torch": torch.get_rng_state(),
        "path": pathlib.Path("/home/me"),
        "device": torch.device("cpu"),
        "set": {"a"},
        "frozen": frozenset("a"),
        "time": datetime.datetime(2023, 1, 1),
        "default": collections.defaultdict(list, a=[1]),
        "partial": functools.partial(int, base=2),
        "class": torch.nn.Linear,
        "module": torch.nn.Linear(2, 2),
        "complex": torch.ones(2, dtype=torch.complex64),
        "sparse": torch.eye(2).to_sparse(),
        "namespace": types.SimpleNamespace(a=1),
        "mine": mine,
        "keys": {(1, 2): 3, torch.float16: 4, 1.5: 5},
        "bytes": b"ab",
        "conjugate": torch.ones(2, dtype=torch.complex64).conj(),
    }
    for settings in ({}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}):
        torch.save({"model": {"w": torch.ones(2)}} | beside, path, **settings)
        read = pth.read(path)
        assert list(read) == ["model", *beside]
        np.testing.assert_array_equal(read["model"]["w"], [1, 1])
        assert (read["mine"].entries, read["mine"].state) == ({"a": 1}, {"b": 2})
        assert read["default"] == {"a": [1]}
        same(read["module"].state["_parameters"]["weight"], beside["module"].weight)
