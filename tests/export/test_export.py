"""Exported programs, run in a process that has jax alone, against `MicronBert`."""

import dataclasses
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from helpers import tiny
from helpers.closeness import check_close
from helpers.kept_classifier import CLASSES, KEPT
from helpers.refusals import refusal

import micron_jax
from micron_jax.checkpoints import files
from micron_jax.checkpoints.classifier import Pairs
from micron_jax.checkpoints.weights import Weights
from micron_jax.cli import main
from micron_jax.training.state import init_params

pytest.importorskip("flatbuffers")

CONFIGS = {"release": tiny.RELEASE, "paper": tiny.PAPER, "ours": tiny.OURS}
# All exports of a folder, each on batches of two sizes.
RUN = """
import json, sys
from pathlib import Path

sys.modules["micron_jax"] = sys.modules["flax"] = None  # an import of them fails
import jax
import numpy as np

folder = Path(sys.argv[1])
for path in sorted(folder.glob("*.jax")):
    about = json.loads(path.with_suffix(".json").read_text())
    assert len(path.read_bytes()) and about["file"] == path.name
    program = jax.export.deserialize(bytearray(path.read_bytes()))
    for count in (1, 3):
        arrays = np.load(folder / f"{len(about['inputs'])}.npz")
        inputs = [arrays[f"arr_{i}"][:count] for i in range(len(about["inputs"]))]
        out = program.call(*inputs)
        out = out if isinstance(out, (tuple, list)) else (out,)
        named = {a["name"]: np.asarray(x) for a, x in zip(about["outputs"], out, strict=True)}
        np.savez(folder / f"{path.stem}_{count}.npz", **named)
"""


@pytest.fixture(scope="module")
def frames():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3)).astype(np.uint8)
    frames[1, 2] = frames[0, 2]  # a pair in which nothing moves
    return frames


def weights_of(config):
    """Weights before training, none of them zero."""
    params = init_params(config, jax.random.key(0))
    noise = np.random.default_rng(1)
    params = jax.tree.map(lambda x: x + np.float32(noise.normal(0, 0.02, x.shape)), params)
    return Weights(config, jax.tree.map(np.asarray, params), {}, np.zeros((1, 0), "f4"), {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory, frames):
    """A folder of checkpoints, of their exports, and of what these computed elsewhere."""
    folder = tmp_path_factory.mktemp("exports")
    for count in (1, 2):
        np.savez(folder / f"{count}.npz", *frames[:count])
    cropped = dataclasses.replace(KEPT, pairs=Pairs(32, "face", False))
    for name, config in CONFIGS.items():
        files.save(weights_of(config), folder / name, cropped if name == "paper" else None)
    for name, what, *more in (
        ("release", "features"),
        ("paper", "features", "--platforms", "cpu"),
        ("paper", "motion"),
        ("paper", "classify"),
        ("ours", "features"),
        ("ours", "motion"),
    ):
        argv = ["export", folder / name, folder / f"{name}_{what}.jax", "--what", what, *more]
        assert main([*map(str, argv)]) == 0
    process = subprocess.run(
        [sys.executable, "-c", RUN, str(folder)], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return folder


def results(folder, name, count):
    with np.load(folder / f"{name}_{count}.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("count", [1, 3])
def test_features_are_those_of_the_model(folder, frames, name, count):
    tokens = results(folder, f"{name}_features", count)["tokens"]
    model = micron_jax.load(folder / name)
    expected = model.features(frames[0][:count])
    check_close(f"jax.export: {name}, features of {count}", tokens, expected, atol=1e-5)
    assert tokens.dtype == np.float32


def test_displacements_are_those_of_the_model(folder, frames):
    model = micron_jax.load(folder / "ours")
    for count in (1, 3):
        out = results(folder, "ours_motion", count)
        pair = [x[:count] for x in frames]
        assert out["displacement"].shape == (count, 4, 4, 2)
        title = f"jax.export: ours, {{}} of {count}"
        expected = model.displacement(*pair)
        check_close(title.format("displacement"), out["displacement"], expected, atol=1e-5)
        check_close(title.format("scale"), out["scale"], model.motion(*pair).scale, rtol=1e-5)


def test_maps_are_those_of_the_model(folder, frames):
    out = results(folder, "paper_motion", 3)
    model = micron_jax.load(folder / "paper")
    expected = model.motion_map(*frames)
    check_close("jax.export: paper, map of 3", out["motion"], expected, rtol=1e-5, atol=1e-5)
    assert json.loads((folder / "paper_motion.json").read_text())["map"] == model.map_kinds[0]


def test_probabilities_are_those_of_the_model(folder, frames):
    out = results(folder, "paper_classify", 3)["probabilities"]
    expected = np.asarray(micron_jax.load(folder / "paper").classify(*frames))
    check_close("jax.export: paper, probabilities of 3", out, expected, atol=1e-5)
    assert np.isnan(out[2]).all()
    assert np.isfinite(out[:2]).all()
    about = json.loads((folder / "paper_classify.json").read_text())
    assert about["classes"] == list(CLASSES)
    assert about["pairs"] == {"size": 32, "crop": "face", "registered": False}


def test_the_description_tells_inputs_outputs_and_units(folder):
    about = json.loads((folder / "ours_motion.json").read_text())
    assert about["platforms"] == ["cpu", "cuda", "tpu"]
    assert [(x["name"], x["shape"], x["dtype"]) for x in about["inputs"]] == [
        ("frames", ["B", 32, 32, 3], "uint8"),
        ("reference", ["B", 32, 32, 3], "uint8"),
    ]
    assert [(x["name"], x["shape"], x["unit"]) for x in about["outputs"]] == [
        ("displacement", ["B", 4, 4, 2], "px"),
        ("scale", ["B", 4, 4], "px"),
    ]
    assert about["normalization"]["inside"] is True
    assert about["normalization"]["mean"] == [0.485, 0.456, 0.406]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["out.jax", "--platforms", "gpu"], "platforms='gpu': choose one of cpu, cuda, rocm, tpu"),
        (["out.jax", "--platforms", "cpu,cpu"], "platforms='cpu,cpu': name some, each once"),
        (["out.jax", "--platforms", ""], "platforms='': choose one of"),
        (["out.jax", "--what", "classify"], "the checkpoint has no classifier"),
        (["out.safetensors"], "out.safetensors: .safetensors files are not exported"),
        (["ours_motion.jax"], "ours_motion.jax: exists already"),
        (["out.onnx", "--platforms", "cpu"], "platforms='cpu': ONNX has none"),
        (
            ["out.onnx", "--dtype", "bfloat16"],
            "dtype='bfloat16': ONNX files are written in float32",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused(folder, words, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert message in refusal(["export", "ours", *words], capsys)
    assert sorted(folder.iterdir()) == before


def test_a_registered_classifier_says_so(tmp_path):
    files.save(weights_of(tiny.PAPER), tmp_path / "paper", KEPT)
    out = tmp_path / "classify.jax"
    argv = ["export", tmp_path / "paper", out, "--what", "classify", "--platforms", "cpu"]
    assert main([*map(str, argv)]) == 0
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["inputs"][1]["meaning"].endswith("registered onto the onset")
