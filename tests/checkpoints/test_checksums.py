"""Damage in converted files: every changed byte is noticed, and its array is named."""

import json
import random
import shutil

import numpy as np
import pytest
from helpers import tiny
from helpers.drawn_weights import draw_weights

import micron_jax
from micron_jax.checkpoints import checksums, files, load
from micron_jax.checkpoints.tensor_file import open_tensors
from micron_jax.errors import UserError

WEIGHTS = draw_weights(tiny.OURS, info={"source": "x", "note": 'µ "header": "00000000"'})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("written")
    files.save(WEIGHTS, root / "folder")
    files.save(WEIGHTS, root / "alone.safetensors")
    return root


@pytest.fixture
def copied(written, tmp_path):
    shutil.copytree(written, tmp_path / "copied")
    return tmp_path / "copied"


def test_files_are_read_back(written):
    for path in (written / "folder", written / "alone.safetensors"):
        read = load.read(path)
        assert (read.config, read.info) == (WEIGHTS.config, WEIGHTS.info)
        np.testing.assert_equal(read.flat(), WEIGHTS.flat())
    described = json.loads((written / "folder" / "config.json").read_text())
    sums = described["checksums"]
    assert set(sums["tensors"]) == set(WEIGHTS.flat())
    assert sums["tensors"]["params/dma/proj/bias"] == checksums.of_array(
        WEIGHTS.params["dma"]["proj"]["bias"]
    )
    assert checksums.of_bytes(b"123456789") == "cbf43926"  # the check value of CRC-32


@pytest.mark.parametrize("name", ["folder/model.safetensors", "alone.safetensors"])
@pytest.mark.parametrize("part", ["header", "whole"])
def test_every_changed_byte_is_noticed(copied, name, part):
    path = copied / name
    raw = path.read_bytes()
    end = len(checksums.header_of(raw)) if part == "header" else len(raw)
    draw = random.Random(0)
    for _ in range(150):
        damaged = bytearray(raw)
        damaged[draw.randrange(end)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(UserError) as caught:
            load.read(path.parent if path.parent != copied else path)
        assert str(caught.value).isprintable()


def test_the_damaged_array_is_named(copied):
    for path in (copied / "folder", copied / "alone.safetensors"):
        file = path / "model.safetensors" if path.is_dir() else path
        array = WEIGHTS.params["dma"]["proj"]["kernel"]
        raw = bytearray(file.read_bytes())
        place = raw.index(array.tobytes()) + 17
        raw[place] ^= 64
        file.write_bytes(raw)
        with pytest.raises(UserError, match=r": params/dma/proj/kernel does not hold the numbers"):
            micron_jax.load(path)


def test_changed_settings_are_named(copied):
    path = copied / "folder" / "config.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described))  # order and spaces do not count
    load.read(copied / "folder")
    described["model"]["heads"] = 4
    path.write_text(json.dumps(described))
    message = "its settings are not those that were written; if you changed them yourself, remove"
    with pytest.raises(UserError, match=message):
        load.read(copied / "folder")
    del described["checksums"]
    path.write_text(json.dumps(described))
    assert load.read(copied / "folder").config.heads == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sums: sums.pop("tensors"), "its checksums cannot be read"),
        (lambda sums: sums["tensors"].pop("params/dma/proj/bias"), "params/dma/proj/bias does not"),
        (lambda sums: sums["tensors"].update(more="00000000"), "lacks more, which was written"),
        (lambda sums: sums.update(header="00000000"), "its header is not the one"),
        (lambda sums: sums.update(header=None), "its header is not the one"),
        (lambda sums: sums.pop("settings"), "its settings are not those"),
    ],
)
def test_checksums_that_are_damaged_themselves(copied, change, message):
    path = copied / "folder" / "config.json"
    described = json.loads(path.read_text())
    change(described["checksums"])
    path.write_text(json.dumps(described))
    with pytest.raises(UserError, match=message):
        load.read(copied / "folder")


def test_packaged_weights_have_them():
    for folder in load.packaged_weights().values():
        described = json.loads((folder / "config.json").read_text())
        tensors = open_tensors(folder / "model.safetensors").arrays()
        sums = {name: checksums.of_array(array) for name, array in tensors.items()}
        assert described["checksums"]["tensors"] == sums
