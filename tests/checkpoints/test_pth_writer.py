"""Files written as `.pth` without torch, read by torch and by the own reader."""

import argparse
import zipfile
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest

from micron_jax.checkpoints import pth, pth_writer
from micron_jax.checkpoints.pickle_objects import STORAGE_OF

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


def test_the_reader_reads_the_file(path):
    checkpoint = pth.read(path)
    assert {k: v for k, v in checkpoint.items() if k not in ("model", "args")} == {
        "epoch": -(2**40),
        3: False,
        "long": 7**1000,
    }
    assert dict(checkpoint["args"]) == vars(CHECKPOINT["args"])
    assert list(checkpoint["model"]) == list(CHECKPOINT["model"])
    for name, array in CHECKPOINT["model"].items():
        assert checkpoint["model"][name].shape == array.shape
        np.testing.assert_array_equal(checkpoint["model"][name], array)
    assert np.shares_memory(checkpoint["model"]["w"], checkpoint["model"]["tied"])
    assert not np.shares_memory(checkpoint["model"]["w"], checkpoint["model"]["view"])


def test_equal_values_give_equal_bytes(path):
    assert pth_writer.encode(CHECKPOINT) == path.read_bytes()


def test_records_are_aligned_as_in_torch(path):
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            if "/data/" in entry.filename:
                archive.fp.seek(entry.header_offset + 26)
                lengths = int.from_bytes(archive.fp.read(2), "little")
                lengths += int.from_bytes(archive.fp.read(2), "little")
                assert (entry.header_offset + 30 + lengths) % 64 == 0


@pytest.mark.parametrize("value", [print, {1, 2}, np.array(["text"]), np.float32(1)])
def test_unsupported_values_are_refused(value):
    with pytest.raises(TypeError, match="has no place"):
        pth_writer.encode({"x": value})


@pytest.mark.parametrize("mmap", [False, True])
def test_torch_reads_the_file_with_weights_only(path, mmap):
    torch = pytest.importorskip("torch")
    path.write_bytes(pth_writer.encode({k: v for k, v in CHECKPOINT.items() if k != "long"}))
    checkpoint = torch.load(path, weights_only=True, mmap=mmap)
    for name, array in CHECKPOINT["model"].items():
        tensor = checkpoint["model"][name]
        assert tuple(tensor.shape) == array.shape
        assert tensor.is_contiguous()
        np.testing.assert_array_equal(tensor.numpy(), array)
    assert checkpoint["model"]["w"].data_ptr() == checkpoint["model"]["tied"].data_ptr()
    assert checkpoint["args"].model_name == "µ"
    assert vars(checkpoint["args"]) == vars(CHECKPOINT["args"])
    assert (checkpoint["epoch"], checkpoint[3]) == (-(2**40), False)


def test_torch_reads_every_dtype(tmp_path):
    torch = pytest.importorskip("torch")
    arrays = {str(np.dtype(kind)): np.arange(2).astype(kind) for kind in STORAGE_OF}
    assert str(np.dtype(ml_dtypes.bfloat16)) in arrays
    path = tmp_path / "x.pth"
    path.write_bytes(pth_writer.encode(arrays))
    for kind, tensor in torch.load(path, weights_only=True).items():
        assert str(tensor.dtype) == f"torch.{kind}"
        assert tensor.double().tolist() == [0, 1]
