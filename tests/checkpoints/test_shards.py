"""Folders whose arrays lie in several files, and folders of 16-bit numbers."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from helpers import tiny
from helpers.drawn_weights import draw_weights
from helpers.refusals import refusal

from micron_jax.checkpoints import files
from micron_jax.checkpoints.weights import Weights
from micron_jax.cli import main
from micron_jax.errors import Notice, UserError

WEIGHTS = draw_weights(tiny.PAPER)
FLAT = WEIGHTS.flat()


@pytest.fixture
def folder(tmp_path):
    files.save(WEIGHTS, tmp_path / "folder")
    return tmp_path / "folder"


def split(folder):
    """Splits a folder's file in two, as the Hub's tools do."""
    whole = folder / "model.safetensors"
    arrays = safetensors.numpy.load_file(whole)
    whole.unlink()
    names = sorted(arrays)
    places = {}
    for i, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{i:05}-of-00002.safetensors"
        data = {name: arrays[name] for name in part}
        safetensors.numpy.save_file(data, folder / file, {"format": "pt"})
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def equal(weights: Weights, expected: dict):
    flat = weights.flat()
    return flat.keys() == expected.keys() and all(
        np.array_equal(flat[name], expected[name]) and flat[name].dtype == np.float32
        for name in expected
    )


def test_a_folder_in_several_files_is_read(folder):
    split(folder)
    assert equal(files.read_folder(folder), FLAT)


def test_what_is_wrong_with_several_files_is_named(folder):
    split(folder)
    second = folder / "model-00002-of-00002.safetensors"
    data = bytearray(second.read_bytes())
    data[-1] ^= 1
    second.write_bytes(data)
    with pytest.raises(UserError, match=f"^{folder}: .* does not hold the numbers"):
        files.read_folder(folder)
    second.unlink()
    with pytest.raises(UserError, match=r"no model-00002-of-00002.safetensors, which model\."):
        files.read_folder(folder)
    index = folder / "model.safetensors.index.json"
    for text in ("{", "[]", '{"weight_map": {"a": "../x.safetensors"}}', '{"weight_map": {}}'):
        index.write_text(text)
        with pytest.raises(UserError, match=f"^{index}: cannot be read"):
            files.read_folder(folder)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_folder_of_16_bits_is_written_and_read(dtype, folder, tmp_path, capsys):
    half = tmp_path / "half"
    assert main(["convert", str(folder), str(half), "--dtype", dtype]) == 0
    kind = np.float16 if dtype == "float16" else ml_dtypes.bfloat16
    assert equal(files.read_folder(half), {n: x.astype(kind) for n, x in FLAT.items()})
    sizes = [(f / "model.safetensors").stat().st_size for f in (folder, half)]
    assert sizes[1] < 0.6 * sizes[0]
    assert dtype in (half / "README.md").read_text()
    data = bytearray((half / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (half / "model.safetensors").write_bytes(data)
    with pytest.raises(UserError, match="does not hold the numbers"):
        files.read_folder(half)


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_a_folder_that_somebody_else_has_rounded_is_read_with_a_notice(kind, folder):
    file = folder / "model.safetensors"
    rounded = {n: x.astype(kind) for n, x in safetensors.numpy.load_file(file).items()}
    safetensors.numpy.save_file(rounded, file)
    with pytest.warns(Notice, match="holds 16-bit numbers; its checksums are of the float32"):
        assert equal(files.read_folder(folder), rounded)


def test_a_file_has_the_format_that_loaders_ask_for(folder):
    with safetensors.safe_open(folder / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "flax"}


def test_16_bits_are_refused_where_they_do_not_fit(folder, tmp_path, capsys):
    argv = ["convert", folder, tmp_path / "x.pth", "--dtype", "float16"]
    assert "dtype='float16': choose one of float32" in refusal(argv, capsys)
    large = {"encoder": WEIGHTS.params["encoder"] | {"cls": np.full((1, 1, 32), 1e6, "f4")}}
    weights = Weights(tiny.PAPER, WEIGHTS.params | large, {}, np.zeros((1, 0), "f4"), {})
    with pytest.raises(UserError, match="too small for params/encoder/cls; take bfloat16"):
        files.save(weights, tmp_path / "large", dtype="float16")
    assert not (tmp_path / "large").exists()
