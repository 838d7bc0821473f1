"""Many processes that train as one: how they meet, what they agree on, when they stop."""

import contextlib
import importlib.util
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.errors import UserError

Result = TypeVar("Result")

_TEXT = 1000  # bytes of what one process tells the others
# A process that ends in order waits as long for the rest; one that was killed is missed as soon as
# a collective breaks (CPU) or after jax's 100 s without a heartbeat, and the rest are ended.
_SHUTDOWN_SECONDS = 60


def cluster(environ: Mapping[str, str]) -> str | None:
    """What started this process as one of several: `slurm`, `ompi`, `tpu`, or None.

    A SLURM or MPI job of one task is no cluster: jax would hide all of its GPUs but one.
    """
    if int(environ.get("SLURM_NTASKS", 1)) > 1 and "SLURM_STEP_NODELIST" in environ:
        return "slurm"
    if int(environ.get("OMPI_COMM_WORLD_SIZE", 1)) > 1:
        return "ompi"
    if (environ.get("JAX_PLATFORMS") or "tpu").split(",")[0] != "tpu":
        return None
    several = "," in environ.get("TPU_WORKER_HOSTNAMES", "")
    if several or int(environ.get("MEGASCALE_NUM_SLICES") or 1) > 1:
        return "tpu"
    # A Compute Engine TPU VM tells how many there are over the network, which jax asks.
    chips = Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists()
    asks = "TPU_SKIP_MDS_QUERY" not in environ
    return "tpu" if chips and asks and importlib.util.find_spec("libtpu") else None


def rank(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """(number of processes, number of this one) as SLURM or Open MPI tell them, or None."""
    names = {
        "slurm": ("SLURM_NTASKS", "SLURM_PROCID"),
        "ompi": ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    }.get(cluster(environ))
    return (int(environ[names[0]]), int(environ[names[1]])) if names else None


def own_gpus(environ: Mapping[str, str]) -> list[int] | None:
    """The GPUs of a SLURM task that has its node to itself, or of one that sees only its own.

    None leaves it to jax, which gives the n-th task of a node the n-th GPU.
    """
    visible = environ.get("CUDA_VISIBLE_DEVICES", "")
    count = len(visible.split(",")) if visible else int(environ.get("SLURM_GPUS_ON_NODE") or 0)
    alone = environ.get("SLURM_STEP_TASKS_PER_NODE", "").partition("(")[0] == "1"
    return list(range(count)) if count and (alone or count == 1) else None


def initialize(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Joins the other processes of the run, if there are others. Before any other use of jax.

    Args:
      coordinator: HOST:PORT where process 0 listens; None on a TPU pod, under `srun` and under
        Open MPI before 5, which tell it.
      processes, process: how many there are and which this is, from 0; None where SLURM or Open
        MPI tell them.

    Raises:
      UserError: the three do not fit, or the processes do not find each other.
    """
    environ = os.environ
    found = cluster(environ)
    options = {}
    if coordinator is None:
        if processes is not None or process is not None:
            raise UserError("--processes and --process need --coordinator HOST:PORT, of process 0")
        if found is None:
            return
        if found == "ompi" and "OMPI_MCA_orte_hnp_uri" not in environ:
            raise UserError(
                "this Open MPI does not say where process 0 is: add --coordinator HOST:PORT"
            )
        if found == "slurm":
            options["local_device_ids"] = own_gpus(environ)
    else:
        if (processes is None) != (process is None):
            raise UserError("--processes N and --process I: give both, or neither")
        if processes is None:
            if (ranks := rank(environ)) is None:
                raise UserError("--coordinator: needs --processes N and --process I with it")
            processes, process = ranks
        if not 0 <= process < processes:
            raise UserError(f"--process={process}: needed is 0 to {processes - 1}")
        if not coordinator.rpartition(":")[2].isdigit() or coordinator.startswith(":"):
            raise UserError(f"--coordinator={coordinator}: needed is HOST:PORT")
        if processes == 1:
            return
        options = dict(
            coordinator_address=coordinator,
            num_processes=processes,
            process_id=process,
            cluster_detection_method="deactivate",
        )
    # Its own watch for SIGTERM: `StopSignals` is ours, and works for one process too.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(**options, shutdown_timeout_seconds=_SHUTDOWN_SECONDS)
    except (RuntimeError, ValueError) as error:
        where = coordinator or f"what {found} tells"
        reason = str(error).splitlines()[0]
        raise UserError(f"the processes do not find each other by {where}: {reason}") from error


@contextlib.contextmanager
def fail_fast() -> Iterator[None]:
    """Ends one process of several at its error, not waiting for those that wait for it."""
    try:
        yield
    except Exception as error:
        if not jax.distributed.is_initialized():
            raise
        here = f"process {jax.process_index()} of {jax.process_count()}"
        if isinstance(error, UserError):
            print(f"micron-jax: {error}", file=sys.stderr)
        else:
            traceback.print_exc()
            print(f"micron-jax: {here} ends, and so will the others", file=sys.stderr)
            print("micron-jax: the same commands go on from the last checkpoint", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        if jax.process_index() == 0:
            time.sleep(2)  # it serves the others, which may be about to say the same
        os._exit(2 if isinstance(error, UserError) else 1)


def is_chief() -> bool:
    """Whether this process is the one that prints, and writes what is written once."""
    return jax.process_index() == 0


def gather(text: str) -> list[str]:
    """What each process says, in their order; the same on all. Every process must call it."""
    if jax.process_count() == 1:
        return [text]
    mine = np.zeros(_TEXT, np.uint8)
    data = text.encode()[:_TEXT]
    mine[: len(data)] = np.frombuffer(data, np.uint8)
    said = multihost_utils.process_allgather(mine)
    return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in said]


def together(action: Callable[[], Result]) -> Result:
    """Runs an action; what one process complains of is raised on all, so that none waits for it.

    Raises:
      UserError: of this process, or else of the first that has one.
    """
    result, complaint = None, ""
    try:
        result = action()
    except UserError as error:
        complaint = str(error)
    for process, other in enumerate(gather(complaint)):
        if other:
            raise UserError(complaint or f"process {process}: {other}")
    return result


class StopSignals:
    """SIGTERM or SIGINT at any process stops all of them, before the same step.

    A second signal of a kind kills its process. What is asked during a step is known to all, with
    a small reduction that nobody waits for, one step later; to a single process at once.
    """

    def __init__(self):
        self._asked, self._shared = 0, None
        mesh = jax.sharding.Mesh(np.array(jax.devices()), ("all",))
        self._spread = NamedSharding(mesh, P("all"))
        self._largest = jax.jit(jnp.max, out_shardings=NamedSharding(mesh, P()))

    def __enter__(self) -> "StopSignals":
        numbers = (signal.SIGTERM, signal.SIGINT)
        self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _) -> None:
        self.ask(number)
        signal.signal(number, signal.SIG_DFL)

    def ask(self, number: int) -> None:
        """Asks all processes to stop, for a reason given as a number; the largest prevails."""
        self._asked = max(self._asked, int(number))

    def agreed(self) -> int:
        """Why all stop here, or 0. Every process calls it once a step."""
        if jax.process_count() == 1:
            return self._asked
        rows = np.full(jax.local_device_count(), self._asked, np.int32)
        asked = jax.make_array_from_process_local_data(self._spread, rows)
        before, self._shared = self._shared, self._largest(asked)
        return 0 if before is None else int(before)
