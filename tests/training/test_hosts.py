"""Launchers and options of several processes; programs/test_pretrain_processes.py starts them."""

import signal

import pytest

from micron_jax.errors import UserError
from micron_jax.training import hosts

SLURM = {
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NODELIST": "node[01-08]",
}
OMPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"}


@pytest.mark.parametrize(
    ("environ", "launcher", "rank"),
    [
        ({}, None, None),
        (SLURM, "slurm", (8, 3)),
        (SLURM | {"SLURM_NTASKS": "1"}, None, None),
        ({"SLURM_NTASKS": "8"}, None, None),  # in the batch script, not under srun
        (OMPI, "ompi", (4, 2)),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, "tpu", None),
        ({"TPU_WORKER_HOSTNAMES": "a"}, None, None),
        ({"MEGASCALE_NUM_SLICES": "2"}, "tpu", None),
        ({"TPU_WORKER_HOSTNAMES": "a,b", "JAX_PLATFORMS": "cpu"}, None, None),
    ],
)
def test_launchers_are_recognized(environ, launcher, rank):
    assert hosts.cluster(environ) == launcher
    assert hosts.rank(environ) == rank


@pytest.mark.parametrize(
    ("environ", "gpus"),
    [
        ({"SLURM_STEP_TASKS_PER_NODE": "1(x8)", "SLURM_GPUS_ON_NODE": "4"}, [0, 1, 2, 3]),
        ({"SLURM_STEP_TASKS_PER_NODE": "1", "CUDA_VISIBLE_DEVICES": "2,3"}, [0, 1]),
        ({"SLURM_STEP_TASKS_PER_NODE": "4(x8)", "CUDA_VISIBLE_DEVICES": "0"}, [0]),
        ({"SLURM_STEP_TASKS_PER_NODE": "4(x8)", "SLURM_GPUS_ON_NODE": "4"}, None),
        ({"SLURM_STEP_TASKS_PER_NODE": "1"}, None),
    ],
)
def test_gpus_of_a_slurm_task(environ, gpus):
    assert hosts.own_gpus(environ) == gpus


@pytest.fixture
def alone(monkeypatch):
    for name in (*SLURM, *OMPI, "TPU_WORKER_HOSTNAMES", "MEGASCALE_NUM_SLICES"):
        monkeypatch.delenv(name, raising=False)

    def never(**_):
        raise AssertionError("initialized")

    monkeypatch.setattr("jax.distributed.initialize", never)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 2, 0), "processes and process need coordinator=HOST:PORT"),
        (("a:1", 2, None), "give both, or neither"),
        (("a:1", None, None), "needs processes and process"),
        (("a:1", 2, 2), "process=2: must be 0 to 1"),
        (("a", 2, 1), "coordinator=a: must be HOST:PORT"),
    ],
)
def test_incompatible_flags_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        hosts.initialize(*arguments)


@pytest.mark.usefixtures("alone")
def test_one_process_starts_nothing():
    hosts.initialize()
    hosts.initialize("localhost:1", 1, 0)


@pytest.mark.usefixtures("alone")
def test_open_mpi_5_wants_a_coordinator(monkeypatch):
    for name, value in OMPI.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="give coordinator=HOST:PORT"):
        hosts.initialize()


@pytest.mark.usefixtures("alone")
def test_ranks_come_from_the_launcher(monkeypatch):
    for name, value in OMPI.items():
        monkeypatch.setenv(name, value)
    options = {}
    monkeypatch.setattr("jax.distributed.initialize", options.update)
    monkeypatch.setattr("jax.config.update", lambda *_: None)
    hosts.initialize("node1:1234")
    assert (options["coordinator_address"], options["num_processes"], options["process_id"]) == (
        "node1:1234", 4, 2,
    )  # fmt: skip


def test_a_signal_is_agreed_on_at_once_by_one_process():
    before = signal.getsignal(signal.SIGTERM)
    with hosts.StopSignals() as stop:
        assert stop.agreed() == 0
        signal.raise_signal(signal.SIGTERM)
        assert stop.agreed() == signal.SIGTERM
        stop.ask(1000)
        assert stop.agreed() == 1000
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_single_process_meets_nobody():
    assert hosts.together(lambda: 3) == 3
    assert hosts.gather("said") == ["said"]
    with pytest.raises(UserError, match="mine"):
        hosts.together(lambda: (_ for _ in ()).throw(UserError("mine")))
