"""What is written as `.pth` without torch is what torch, and our own reader, read."""

import argparse
import zipfile
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest

from micron_jax.checkpoints import pth, pth_writer

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
CHECKPOINT = {
    "model": OrderedDict(w=WEIGHT, tied=WEIGHT, view=WEIGHT.T, none=np.zeros((0, 3), np.float32)),
    "args": argparse.Namespace(model_name="µ", lr=1e-3, betas=(0.9, [None, True, {}]), size=224),
    "epoch": -(2**40),
    3: False,
    "long": 7**1000,
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(pth_writer.encode(CHECKPOINT))
    return path


def test_our_reader_reads_it(path):
    read = pth.read(path)
    assert {k: v for k, v in read.items() if k not in ("model", "args")} == {
        "epoch": -(2**40),
        3: False,
        "long": 7**1000,
    }
    assert dict(read["args"]) == vars(CHECKPOINT["args"])
    assert list(read["model"]) == list(CHECKPOINT["model"])
    for name, array in CHECKPOINT["model"].items():
        assert read["model"][name].shape == array.shape
        np.testing.assert_array_equal(read["model"][name], array)
    assert np.shares_memory(read["model"]["w"], read["model"]["tied"])
    assert not np.shares_memory(read["model"]["w"], read["model"]["view"])


def test_the_same_is_the_same_bytes(path):
    assert pth_writer.encode(CHECKPOINT) == path.read_bytes()


def test_records_lie_as_torch_lays_them(path):
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            if "/data/" in entry.filename:
                archive.fp.seek(entry.header_offset + 26)
                lengths = int.from_bytes(archive.fp.read(2), "little")
                lengths += int.from_bytes(archive.fp.read(2), "little")
                assert (entry.header_offset + 30 + lengths) % 64 == 0


@pytest.mark.parametrize("value", [print, {1, 2}, np.array(["text"]), np.float32(1)])
def test_what_has_no_place(value):
    with pytest.raises(TypeError, match="has no place"):
        pth_writer.encode({"x": value})


@pytest.mark.parametrize("mmap", [False, True])
def test_torch_reads_it_and_trusts_it(path, mmap):
    torch = pytest.importorskip("torch")
    path.write_bytes(pth_writer.encode({k: v for k, v in CHECKPOINT.items() if k != "long"}))
    read = torch.load(path, weights_only=True, mmap=mmap)
    for name, array in CHECKPOINT["model"].items():
        tensor = read["model"][name]
        assert tuple(tensor.shape) == array.shape
        assert tensor.is_contiguous()
        np.testing.assert_array_equal(tensor.numpy(), array)
    assert read["model"]["w"].data_ptr() == read["model"]["tied"].data_ptr()
    assert read["args"].model_name == "µ"
    assert vars(read["args"]) == vars(CHECKPOINT["args"])
    assert (read["epoch"], read[3]) == (-(2**40), False)


def test_torch_reads_every_dtype(tmp_path):
    torch = pytest.importorskip("torch")
    arrays = {str(np.dtype(kind)): np.arange(2).astype(kind) for kind in pth.STORAGE_OF}
    assert str(np.dtype(ml_dtypes.bfloat16)) in arrays
    path = tmp_path / "x.pth"
    path.write_bytes(pth_writer.encode(arrays))
    for kind, tensor in torch.load(path, weights_only=True).items():
        assert str(tensor.dtype) == f"torch.{kind}"
        assert tensor.double().tolist() == [0, 1]
