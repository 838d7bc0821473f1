"""`micron-jax plan`, from the command line to its JSON."""

import importlib.util
import json
import os

import pytest
from helpers.refusals import refusal
from helpers.small_disk import small_disk

from micron_jax.cli import main
from micron_jax.planning import steps

TINY = """
import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.batch_size = 8
    config.model = dict(
        img_size=16, patch_size=8, width=32, depth=1, heads=2, decoder_width=16, decoder_depth=1,
        decoder_heads=2,
    )
    config.views = dict(swap="none")
    config.objective = dict(agreement="none")
    return config
"""
DESIGNED = {
    "topology", "devices", "fits", "hbm_bytes", "peak_bytes", "flops", "bytes", "collectives",
    "floor_seconds",
}  # fmt: skip


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    return str(path)


@pytest.mark.skipif(
    not importlib.util.find_spec("libtpu"),
    reason="libtpu is missing, no TPU program is compiled: pip install '.[plan]'",
)
def test_a_tpu_program_is_compiled_without_a_tpu(recipe, tmp_path, capsys):
    out = tmp_path / "plan.json"
    arguments = ["plan", "--config", recipe, "--topology", "v5e:2x2", "--json", str(out)]
    assert main(arguments) == 0
    plan = json.loads(out.read_text())
    assert plan.keys() >= DESIGNED
    assert (plan["devices"], plan["method"], plan["fits"]) == (4, "compiled", True)
    assert plan["mesh"] == {"data": 4, "fsdp": 1}
    # Of one device: parameters and two moments of Adam in float32, and its two pairs of frames.
    state = 3 * 4 * plan["parameters"]
    assert state < plan["memory"]["arguments"] < 3 * state
    assert plan["flops"] > 0
    # The gradients of all parameters cross the mesh, in float32 here.
    exchanged = sum(c["bytes"] for c in plan["collectives"] if c["op"] == "all-reduce")
    assert exchanged == pytest.approx(4 * plan["parameters"], rel=0.2)
    text = capsys.readouterr().out
    assert "compiling for v5e:2x2, 2 samples a device" in text
    assert "ESTIMATE" not in text


def test_a_refusal_of_the_compiler_means_it_does_not_fit(recipe, tmp_path, monkeypatch, capsys):
    refusal = steps.TooLarge(needed=20 * 2**30, available=15 * 2**30)
    monkeypatch.setattr(steps, "prepare", lambda topology: None)
    monkeypatch.setattr(steps, "devices_of", lambda topology: [])
    monkeypatch.setattr(steps, "compile_step", lambda *_, **__: refusal)
    out = tmp_path / "plan.json"
    arguments = ["plan", "--config", recipe, "--topology", "v5e:2x2"]
    assert main([*arguments, "--json", str(out)]) == 0
    plan = json.loads(out.read_text())
    assert plan.keys() >= DESIGNED
    assert (plan["fits"], plan["peak_bytes"]) == (False, 20 * 2**30)
    text = capsys.readouterr().out
    assert "needs 20.0 GiB, too much" in text
    assert "--find-batch" in text
    monkeypatch.setattr(steps, "compile_step", lambda *_, **__: refusal)
    assert main([*arguments, "--find-batch"]) == 2
    assert "not even one sample" in capsys.readouterr().err


def test_a_gpu_is_an_estimate(tmp_path, capsys):
    out = tmp_path / "plan.json"
    arguments = ["plan", "--config", "pretrain_paper", "--topology", "h100:8", "--json", str(out)]
    assert main([*arguments, "--frames", "1e6", "--find-batch", "--config.epochs=10"]) == 0
    plan = json.loads(out.read_text())
    assert plan.keys() >= DESIGNED
    assert (plan["devices"], plan["method"], plan["fits"]) == (8, "estimated", True)
    assert 100 < plan["largest_batch_per_device"] < 500
    assert plan["batch_per_device"] == plan["largest_batch_per_device"]
    assert 0.9 * plan["hbm_bytes"] < plan["peak_bytes"] <= plan["hbm_bytes"]
    run = plan["pretraining"]
    assert run["steps"] == pytest.approx(1e6 * 10 / plan["batch_size"])
    assert run["chip_hours"] == pytest.approx(8 * run["hours"])
    assert "AN ESTIMATE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topology", "v5e:5x5"], "v5e comes as 1x1, 2x2"),
        (["--topology", "tpu"], "no such chip"),
        (["--topology", "h100:8", "--frames", "0"], "--frames"),
        (["--topology", "h100:8", "--config.batch_size=7"], "does not divide over 8 devices"),
        (["--topology", "h100:8", "--config.mesh.fsdp=3"], "mesh.fsdp=3"),
        (["--topology", "h100:8", "--config.model.dpeth=3"], "did you mean depth?"),
        (["--topology", "h100:8", "--json", "/no/such/folder/x.json"], "name a file in a folder"),
        ([], "--topology"),
    ],
)
def test_bad_input_is_one_line(arguments, message, recipe, capsys):
    assert message in refusal(["plan", "--config", recipe, *arguments], capsys)


def test_a_full_disk_is_one_line(tmp_path, capsys):
    with small_disk(tmp_path / "disk", "4k") as disk:
        (disk / "filler").write_bytes(bytes(4096))
        out = disk / "plan.json"
        argv = ["plan", "--config", "pretrain_paper", "--topology", "h100:8", "--json", str(out)]
        assert main(argv) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line == f"micron-jax: {out}: cannot be written (No space left on device)"
        assert os.listdir(disk) == ["filler"]
