"""ONNX models, run in a process that has ONNX Runtime and none of jax, torch and micron_jax."""

import dataclasses
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from helpers import tiny
from helpers.closeness import check_close
from helpers.refusals import refusal

import micron_jax
from micron_jax.checkpoints import files
from micron_jax.checkpoints.weights import Weights
from micron_jax.cli import main
from micron_jax.training.state import init_params

CONFIGS = {
    "release": tiny.RELEASE,
    "paper": dataclasses.replace(tiny.PAPER, dma_scaled=True),
    "ours": tiny.OURS,
}
RUN = """
import sys
from pathlib import Path

for name in ("micron_jax", "jax", "flax", "torch", "onnx"):
    sys.modules[name] = None  # an import of them fails
import numpy as np
import onnxruntime

path, frames = Path(sys.argv[1]), np.load(sys.argv[2])
session = onnxruntime.InferenceSession(path)
for count in (1, 3):
    names = [x.name for x in session.get_inputs()]
    out = session.run(None, {name: x[:count] for name, x in zip(names, frames)})
    names = [x.name for x in session.get_outputs()]
    np.savez(path.with_name(f"{path.stem}_{count}.npz"), **dict(zip(names, out)))
"""


@pytest.fixture(scope="module")
def converters():
    for module in ("onnx", "onnxruntime", "onnxscript", "torch"):
        pytest.importorskip(module)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, converters):
    folder = tmp_path_factory.mktemp("onnx")
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3)).astype(np.uint8)
    frames[1, 2] = frames[0, 2]  # a pair in which nothing moves
    np.save(folder / "frames.npy", frames)
    for name, config in CONFIGS.items():
        noise = np.random.default_rng(1)
        params = jax.tree.map(
            lambda x, noise=noise: np.asarray(x) + np.float32(noise.normal(0, 0.02, x.shape)),
            init_params(config, jax.random.key(0)),
        )
        files.save(Weights(config, params, {}, np.zeros((1, 0), "f4"), {}), folder / name)
    return folder


def exported(folder, name, what):
    """The JSON of an export, and its outputs for one and three frames: [{name: array}] * 2."""
    out = folder / f"{name}_{what}.onnx"
    assert main(["export", str(folder / name), str(out), "--what", what]) == 0
    process = subprocess.run(
        [sys.executable, "-c", RUN, str(out), str(folder / "frames.npy")],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    outputs = []
    for count in (1, 3):
        with np.load(out.with_name(f"{out.stem}_{count}.npz")) as arrays:
            outputs.append(dict(arrays))
    return json.loads(out.with_suffix(".json").read_text()), outputs


def check(title, outputs, frames, compute):
    """Compares outputs for one and three frames with what `micron_jax` computes."""
    for count, arrays in zip((1, 3), outputs, strict=True):
        expected = compute(*frames[:, :count])
        assert {*arrays} == {*expected}
        for key, value in expected.items():
            largest = np.abs(np.asarray(value)).max()
            name = f"ONNX Runtime: {title}, {key} of {count}"
            check_close(name, arrays[key], value, atol=1e-5 * max(largest, 1))


def test_features_are_those_of_the_model(folder):
    model = micron_jax.load(folder / "paper")
    about, outputs = exported(folder, "paper", "features")
    frames = np.load(folder / "frames.npy")
    check("paper", outputs, frames, lambda a, _: {"tokens": model.features(a)})
    assert (about["kind"], about["outputs"][0]["name"]) == ("onnx", "tokens")


def test_a_map_is_that_of_the_model(folder):
    model = micron_jax.load(folder / "paper")
    _, outputs = exported(folder, "paper", "motion")
    frames = np.load(folder / "frames.npy")
    check("paper", outputs, frames, lambda a, b: {"motion": model.motion_map(a, b)})


@pytest.mark.slow
def test_displacements_are_those_of_the_model(folder):
    model = micron_jax.load(folder / "ours")

    def compute(*pair):
        motion = model.motion(*pair)
        return {"displacement": motion.displacement, "scale": motion.scale}

    about, outputs = exported(folder, "ours", "motion")
    check("ours", outputs, np.load(folder / "frames.npy"), compute)
    assert about["outputs"][0]["unit"] == "px"


def test_the_description_is_inside_and_beside(folder):
    import onnx

    beside = exported(folder, "release", "features")[0]
    model = onnx.load(folder / "release_features.onnx")
    inside = json.loads({x.key: x.value for x in model.metadata_props}["micron_jax"])
    assert inside == {name: value for name, value in beside.items() if name != "sha256"}
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "B"


def test_without_the_extra_a_message_names_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    line = refusal(["export", "micron-tiny", str(tmp_path / "x.onnx")], capsys)
    assert "pip install 'micron-jax[onnx]'" in line
    assert not list(tmp_path.iterdir())
