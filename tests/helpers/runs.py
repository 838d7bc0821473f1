"""Pretrainings in processes of their own, and what they leave."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from helpers.patience import Patience, await_end

from micron_jax.training.telemetry import read_metrics

RECORDER = Path(__file__).parent / "recorder.py"


def start(config, workdir, *more, devices=8, processes=1, quick=False, record=None, own=None):
    """Starts `micron-jax pretrain`: its process, or a list of them if there are several.

    Args:
      config, workdir, more: the command's arguments.
      devices: that each process has.
      processes: how many.
      quick: compile in less time to slower code, with other rounding.
      own: number of a process -> arguments that it alone has.
      record: a file to which each batch's ids are added, by `recorder.py`.
    """
    flags = f"--xla_force_host_platform_device_count={devices}"
    if quick:
        flags += " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    program = [str(RECORDER), str(record)] if record else ["-m", "micron_jax"]
    command = [sys.executable, *program, "pretrain", "--config", str(config)]
    command += ["--workdir", str(workdir), *more]
    where = f"localhost:{free_port()}"
    children = []
    for i in range(processes):
        place = ["--coordinator", where, "--processes", str(processes), "--process", str(i)]
        place += (own or {}).get(i, [])
        children.append(
            subprocess.Popen(
                command + (place if processes > 1 else []),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return children if processes > 1 else children[0]


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def wait_for_step(process, workdir, step):
    """Until the run has logged the step."""
    patience = Patience(process.pid)
    while process.poll() is None and not patience.is_over():
        rows = read_metrics(workdir)
        if rows and rows[-1]["step"] >= step:
            return
        time.sleep(0.01)
    process.kill()
    pytest.fail(f"never reached step {step}: {process.communicate()[0][-2000:]}")


def finish(process):
    out, _ = await_end(process)
    assert process.returncode == 0, out[-2000:]


def arrays_of(workdir):
    """Every array of the last checkpoint, optimizer and all, and the place in the data."""
    # A kill in the middle of a save leaves a folder that is no checkpoint.
    steps = sorted(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())
    folder = workdir / "checkpoints" / str(steps[-1])
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
        tree = reader.metadata(folder.absolute() / "state").item_metadata.tree
        args = ocp.args.PyTreeRestore(
            tree,
            restore_args=jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree),
        )
        state = reader.restore(folder.absolute() / "state", args=args)
    return steps[-1], state, (folder / "data" / "metadata").read_text()


def curve(workdir):
    names = ("step", "loss", "reconstruction", "agreement", "grad_norm", "learning_rate")
    rows = [row for row in read_metrics(workdir) if "loss" in row]
    return [[row[name] for name in names] for row in rows]
