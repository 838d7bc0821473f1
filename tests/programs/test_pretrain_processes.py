"""Several processes on this machine that train as one."""

import contextlib
import json
import random
import shutil
import signal
import socket
import time

import chex
import jax
import numpy as np
import pytest
from helpers.patience import Patience, await_end
from helpers.runs import arrays_of, curve, finish, free_port, start, wait_for_step

from micron_jax.datasets.frames import set_folder

LONG = ["--config.epochs=24", "--config.checkpoint_every=20"]
STEPS = 120


@pytest.fixture(scope="module")
def config(run_config, tmp_path_factory):
    """The paper's setting at a size that is compiled in a moment."""
    path = tmp_path_factory.mktemp("configs") / "tiny_paper.py"
    path.write_text(f"""
import runpy


def get_config():
    config = runpy.run_path({str(run_config)!r})["get_config"]()
    config.picture_every = 1000000
    config.model.update(
        dma_query="ref", dma_key="rep", dma_scaled=False, dma_diagonal=True, poi="cosine",
        projection_dim=0,
    )
    config.views.update(global_crops=0, local_crops=1)
    config.objective.agreement = "mse"
    return config
""")
    return path


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
    """The workdir of one process with four devices."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    finish(start(config, workdir, *LONG, devices=4, quick=True))
    return workdir


def outputs_of(processes):
    """Returns the output of each process; all must end."""
    try:
        return [await_end(process)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()


def test_a_second_process_that_never_comes_is_named(config, tmp_path):
    alone = start(
        config, tmp_path / "run", "--coordinator", f"localhost:{free_port()}", "--processes", "2",
        "--process", "0", "--initialization-timeout", "6",
    )  # fmt: skip
    out = outputs_of([alone])[0].splitlines()
    assert alone.returncode == 2, out
    assert f"process 0 on {socket.gethostname()} waits at localhost:" in out[0]
    assert "for process 1 of 2 (5 s of 6 s)" in out[0]
    assert out[1].startswith("micron-jax: process 1 of 2 did not come to localhost:")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_second_process_that_is_refused_at_its_start(config, tmp_path):
    """It ends before it comes; the first names it when its time is over."""
    place = ["--coordinator", f"localhost:{free_port()}", "--processes", "2", "--process"]
    more = ["--initialization-timeout", "10"]
    first = start(config, tmp_path / "run", *place, "0", *more)
    second = start(config, tmp_path / "run", *place, "1", *more, "--config.batch_size=no")
    out = outputs_of([first, second])
    assert [first.returncode, second.returncode] == [2, 2], out
    assert "process 1 of 2 did not come to" in out[0]
    assert "config.batch_size" in out[1]


@pytest.mark.slow
def test_a_shard_that_one_host_lacks_is_named_with_the_host(config, corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "data")
    [shard] = set_folder(tmp_path / "data").glob("*.array_record-*")
    shard.unlink()
    folders = {1: [f"--config.data.data_dir={tmp_path / 'data'}"]}
    both = start(config, tmp_path / "run", processes=2, own=folders)
    out = outputs_of(both)
    assert [process.returncode for process in both] == [2, 2], out
    for text in out:
        assert f"process 1 on {socket.gethostname()}: {shard}: is not there" in text


@pytest.mark.slow
def test_two_processes_train_and_stop_as_one(alone, config, tmp_path):
    workdir = tmp_path / "run"
    both = start(config, workdir, *LONG, devices=2, processes=2, quick=True)
    wait_for_step(both[0], workdir, 30)
    both[1].send_signal(signal.SIGTERM)
    out = outputs_of(both)
    assert [process.returncode for process in both] == [128 + signal.SIGTERM] * 2, out
    step = arrays_of(workdir)[0]
    assert 30 <= step < STEPS
    assert f"stopped at step {step}, which is saved" in out[0]
    assert "4 device(s) of 2 process(es), data 4 x fsdp 1; beginning in" in out[0]
    assert "beginning in" not in out[1], "one of them prints"

    refused = start(config, workdir, *LONG, "--config.seed=5", devices=2, processes=2)
    out = outputs_of(refused)
    assert [process.returncode for process in refused] == [2, 2], out
    assert "(seed=0, now 5); use a new workdir" in out[0]
    assert "process 0 on " in out[1]
    assert "use a new workdir" in out[1]

    # On another number of processes, with the data where the two had left it.
    finish(start(config, workdir, *LONG, devices=4, quick=True))
    rows, expected = curve(workdir), curve(alone)
    assert len(rows) == len(expected) == STEPS
    # Sums over devices and processes are taken in another order: rounding, which training grows.
    np.testing.assert_allclose(rows[:10], expected[:10], rtol=1e-5)
    np.testing.assert_allclose(rows, expected, rtol=2e-3)
    assert arrays_of(workdir)[2] == arrays_of(alone)[2]


@pytest.mark.slow
def test_four_processes_train_as_one(alone, config, tmp_path):
    more = ["--config.mesh.fsdp=2", "--config.picture_every=60"]
    four = start(config, tmp_path / "run", *LONG, *more, devices=2, processes=4, quick=True)
    out = outputs_of(four)
    assert [process.returncode for process in four] == [0] * 4, out
    np.testing.assert_allclose(curve(tmp_path / "run"), curve(alone), rtol=2e-3)
    assert (tmp_path / "run" / "pictures" / "step_00000060.png").is_file()


@pytest.mark.slow
def test_eight_devices_then_two_then_four(alone, config, tmp_path):
    workdir = tmp_path / "run"
    for devices, fsdp, until in ((8, 4, 30), (2, 2, 70), (4, 1, None)):
        mesh = f"--config.mesh.fsdp={fsdp}"
        process = start(config, workdir, *LONG, mesh, devices=devices, quick=True)
        if until is None:
            finish(process)
            break
        wait_for_step(process, workdir, until)
        process.send_signal(signal.SIGTERM)
        outputs_of([process])
        assert process.returncode == 128 + signal.SIGTERM
    assert len(curve(workdir)) == STEPS
    np.testing.assert_allclose(curve(workdir), curve(alone), rtol=2e-3)
    assert arrays_of(workdir)[2] == arrays_of(alone)[2]


def saving(workdir):
    """True while a checkpoint is being written."""
    folder = workdir / "checkpoints"
    return folder.is_dir() and any("tmp" in path.name for path in folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2], ids=["alone", "of two"])
def test_chaos(config, tmp_path, count):
    """Five times each, in turn killed and told to end: at random steps, twice during a save."""
    chance = random.Random(count)
    shape = dict(devices=2 // count, processes=count, quick=True)
    # Steps enough that no kill comes too late, and a save in progress at many of them.
    more = ["--config.epochs=32", "--config.checkpoint_every=4"]
    total, pairs = 160, 44

    def run(workdir, **options):
        children = start(config, workdir, *more, **shape, **options)
        return children if count > 1 else [children]

    uninterrupted = run(tmp_path / "whole")
    out = outputs_of(uninterrupted)
    assert [process.returncode for process in uninterrupted] == [0] * count, out

    workdir, before, killed = tmp_path / "run", 0, []
    for kill in range(5):
        processes = run(workdir, record=tmp_path / "record")
        wait_for_step(processes[0], workdir, before + chance.randrange(5, 22))
        patience = Patience(processes[0].pid, seconds=60)
        while kill in (2, 3) and not saving(workdir) and not patience.is_over():
            time.sleep(0.0005)
        number = (signal.SIGKILL, signal.SIGTERM)[(kill + count) % 2]
        victim = chance.randrange(count)
        processes[victim].send_signal(number)
        in_a_save = saving(workdir)
        out = outputs_of(processes)
        codes = [process.returncode for process in processes]
        assert all(codes), (codes, out)
        if number == signal.SIGTERM:
            assert codes == [128 + signal.SIGTERM] * count, out
        before = curve(workdir)[-1][0]
        killed.append((number.name, victim, before, in_a_save))
    print(*killed, sep="\n")
    assert sum(in_a_save for *_, in_a_save in killed) >= 2
    assert before < total, "every kill came before the end"
    last = run(workdir, record=tmp_path / "record")
    out = outputs_of(last)
    assert [process.returncode for process in last] == [0] * count, out

    step, expected, place = arrays_of(tmp_path / "whole")
    resumed_step, state, resumed_place = arrays_of(workdir)
    assert step == resumed_step == total
    assert place == resumed_place
    assert len(jax.tree.leaves(expected)) > 100
    chex.assert_trees_all_equal(state, expected)
    assert curve(workdir) == curve(tmp_path / "whole"), "a line a step, each once"

    rows_of = {}  # (batch number, process) -> the ids that it read, the same at each start
    for path in tmp_path.glob("record.*"):
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):  # cut short by a kill
                row = json.loads(line)
                place = row["batch"], row["process"]
                assert rows_of.setdefault(place, row["index"]) == row["index"]
    order = [(batch, process) for batch in range(total) for process in range(count)]
    assert set(order) <= rows_of.keys()
    ids = [index for place in order for index in rows_of[place]]
    assert len(ids) == 8 * total
    for first in range(0, len(ids) - pairs + 1, pairs):
        assert len(set(ids[first : first + pairs])) == pairs, "no sample twice in an epoch"
