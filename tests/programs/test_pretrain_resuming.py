"""A pretraining that is killed, and goes on."""

import shutil
import signal

import chex
import jax
import numpy as np
import pytest
from helpers.patience import await_end
from helpers.runs import arrays_of, curve, finish, start, wait_for_step

from micron_jax.training.telemetry import read_metrics

LONG = ["--config.epochs=20", "--config.checkpoint_every=10", "--config.picture_every=1000000"]
STEPS = 100


@pytest.fixture(scope="module")
def killed(run_config, tmp_path_factory):
    """(a run never stopped, one killed in the middle and resumed, a copy of it as it was left)."""
    folder = tmp_path_factory.mktemp("killed")
    uninterrupted = start(run_config, folder / "whole", *LONG, quick=True)
    wait_for_step(uninterrupted, folder / "whole", 1)  # so that the other need not compile it again
    process = start(run_config, folder / "killed", *LONG, quick=True)
    wait_for_step(process, folder / "killed", 35)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shutil.copytree(folder / "killed", folder / "left")
    steps = [row["step"] for row in read_metrics(folder / "left")]
    assert steps[-1] < STEPS, "the kill came too late to be one"
    finish(start(run_config, folder / "killed", *LONG, quick=True))
    finish(uninterrupted)
    return folder / "whole", folder / "killed", folder / "left"


def test_a_killed_run_ends_with_the_same_bits(killed):
    uninterrupted, resumed, left = killed
    step, expected, place = arrays_of(uninterrupted)
    resumed_step, state, resumed_place = arrays_of(resumed)
    assert step == resumed_step == STEPS
    assert place == resumed_place
    assert len(jax.tree.leaves(expected)) > 100
    chex.assert_trees_all_equal(state, expected)
    assert curve(resumed) == curve(uninterrupted), "a line a step, each once"
    assert len(curve(uninterrupted)) == STEPS
    assert arrays_of(left)[0] < STEPS


def test_a_checkpoint_continues_with_two_devices(killed, run_config):
    uninterrupted, _, left = killed
    before = arrays_of(left)[0]
    process = start(run_config, left, *LONG, "--config.mesh.fsdp=2", devices=2, quick=True)
    wait_for_step(process, left, before + 20)
    process.send_signal(signal.SIGTERM)
    out, _ = await_end(process)
    assert process.returncode == 128 + signal.SIGTERM, out[-2000:]
    rows, expected = curve(left), curve(uninterrupted)
    assert f"going on at step {before}" in out
    assert len(rows) >= before + 20
    np.testing.assert_allclose(rows, expected[: len(rows)], rtol=2e-3)
    # SIGTERM saved where it stopped.
    assert "is saved; the same command goes on" in out
    assert arrays_of(left)[0] == len(rows)
