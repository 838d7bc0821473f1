"""Launchers: what their variables tell of ranks, GPUs and the address of process 0."""

import pytest

from micron_jax.errors import UserError
from micron_jax.training import launchers

SLURM = {
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NODELIST": "node[01-08]",
}
JOB = SLURM | {"SLURM_JOB_ID": "4097", "SLURM_STEP_TASKS_PER_NODE": "1(x8)"}
OMPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"}
ORTE = {
    "OMPI_MCA_orte_hnp_uri": "8192.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}


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
    assert launchers.cluster(environ) == launcher
    assert launchers.rank(environ) == rank


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
    assert launchers.own_gpus(environ) == gpus


@pytest.fixture
def under(monkeypatch):
    """Sets the variables of a launcher, and removes those of others."""

    def set_variables(environ):
        for name in (*JOB, *OMPI, *ORTE, "TPU_WORKER_HOSTNAMES", "MEGASCALE_NUM_SLICES"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 2, 0), "processes and process need coordinator=HOST:PORT"),
        (("a:1", 2, None), "give both, or neither"),
        (("a:1", None, None), "needs processes and process"),
        (("a:1", 2, 2), "process=2: must be 0 to 1"),
        (("a", 2, 1), "coordinator=a: must be HOST:PORT"),
        (("::1:80", 2, 1), "coordinator=::1:80: must be HOST:PORT"),
        ((":80", None, None), "coordinator=:80: no launcher here names the host: add it"),
    ],
)
def test_incompatible_options_are_refused(arguments, message, under):
    under({})
    with pytest.raises(UserError, match=message):
        launchers.place(*arguments, 1)


def test_one_process_has_no_place(under):
    under({})
    assert launchers.place(None, None, None, 1) is None


def test_open_mpi_5_wants_a_coordinator(under):
    under(OMPI)
    with pytest.raises(UserError, match="give coordinator=HOST:PORT"):
        launchers.place(None, None, None, 1)


def test_a_launcher_that_tells_too_little_is_named(under):
    under(SLURM)  # no number of the job
    with pytest.raises(UserError, match="slurm: tells too little of this job"):
        launchers.place(None, None, None, 1)


# jax takes the port of SLURM and Open MPI from the number of the job: 61440 + its last 12 bits.
@pytest.mark.parametrize(
    ("environ", "coordinator", "place"),
    [
        (JOB, None, ("node01:61441", 8, 3, [0])),
        (JOB, ":7000", ("node01:7000", 8, 3, [0])),
        (JOB, "gateway:7000", ("gateway:7000", 8, 3, [0])),
        (OMPI | ORTE, None, ("10.96.0.1:61442", 4, 2, [1])),
        (OMPI | ORTE, ":7000", ("10.96.0.1:7000", 4, 2, [1])),
        (OMPI, "node1:1234", ("node1:1234", 4, 2, None)),
        ({}, "[fe80::1]:7000", ("[fe80::1]:7000", 2, 1, None)),
    ],
)
def test_the_place_comes_from_the_launcher_and_the_options(environ, coordinator, place, under):
    under(environ)
    ranks = (None, None) if environ else (2, 1)
    options = launchers.place(coordinator, *ranks, 1)
    assert tuple(options.values()) == place
    assert list(options)[:2] == ["coordinator_address", "num_processes"]
