"""Processes that train as one: how they find each other, agree, and stop together."""

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

_TEXT_BYTES = 1000  # of a text that one process sends to the others
# A process that ends in order waits as long for the rest. jax notices one that was killed as soon
# as a collective breaks (CPU) or after 100 s without a heartbeat, and then ends the rest.
_SHUTDOWN_SECONDS = 60


def cluster(environ: Mapping[str, str]) -> str | None:
    """Names the launcher of this process as one of several: `slurm`, `ompi`, `tpu`, or None.

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
    # jax asks the network how many VMs a Compute Engine TPU has.
    chips = Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists()
    asks = "TPU_SKIP_MDS_QUERY" not in environ
    return "tpu" if chips and asks and importlib.util.find_spec("libtpu") else None


def rank(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """(number of processes, number of this one) from SLURM or Open MPI, or None."""
    names = {
        "slurm": ("SLURM_NTASKS", "SLURM_PROCID"),
        "ompi": ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    }.get(cluster(environ))
    return tuple(int(environ[name]) for name in names) if names else None


def own_gpus(environ: Mapping[str, str]) -> list[int] | None:
    """GPUs of a SLURM task that has its node to itself, or of one that sees only its own.

    None leaves the choice to jax, which gives the n-th task of a node the n-th GPU.
    """
    visible = environ.get("CUDA_VISIBLE_DEVICES", "")
    count = len(visible.split(",")) if visible else int(environ.get("SLURM_GPUS_ON_NODE") or 0)
    alone = environ.get("SLURM_STEP_TASKS_PER_NODE", "").partition("(")[0] == "1"
    return list(range(count)) if count and (alone or count == 1) else None


def initialize(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Joins the other processes of the run, if there are others. Call it before other uses of jax.

    Args:
      coordinator: HOST:PORT where process 0 listens; None on a TPU pod, under `srun` and under
        Open MPI before 5, which know it.
      processes, process: number of processes and of this one, from 0; None where SLURM or Open
        MPI know them.

    Raises:
      UserError: the three do not fit, or the processes do not find each other.
    """
    launcher = cluster(os.environ)
    if coordinator is None:
        if processes is not None or process is not None:
            raise UserError("processes and process need coordinator=HOST:PORT, of process 0")
        if launcher is None:
            return
        if launcher == "ompi" and "OMPI_MCA_orte_hnp_uri" not in os.environ:
            raise UserError("this Open MPI names no process 0: give coordinator=HOST:PORT")
        options = {"local_device_ids": own_gpus(os.environ)} if launcher == "slurm" else {}
    else:
        processes, process = _checked_ranks(coordinator, processes, process)
        if processes == 1:
            return
        options = dict(coordinator_address=coordinator, num_processes=processes)
        options |= dict(process_id=process, cluster_detection_method="deactivate")
    # Not jax's watch for SIGTERM: `StopSignals` works for a single process too.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(**options, shutdown_timeout_seconds=_SHUTDOWN_SECONDS)
    except (RuntimeError, ValueError) as error:
        address = coordinator or f"the address from {launcher}"
        reason = str(error).splitlines()[0]
        raise UserError(f"the processes do not find each other by {address}: {reason}") from error


def _checked_ranks(coordinator: str, processes: int | None, process: int | None) -> tuple[int, int]:
    if (processes is None) != (process is None):
        raise UserError("processes and process: give both, or neither")
    if processes is None:
        if (ranks := rank(os.environ)) is None:
            raise UserError("coordinator: needs processes and process with it")
        processes, process = ranks
    if not 0 <= process < processes:
        raise UserError(f"process={process}: must be 0 to {processes - 1}")
    if not coordinator.rpartition(":")[2].isdigit() or coordinator.startswith(":"):
        raise UserError(f"coordinator={coordinator}: must be HOST:PORT")
    return processes, process


@contextlib.contextmanager
def fail_fast() -> Iterator[None]:
    """Ends one process of several at its error, without waiting for the processes that wait."""
    try:
        yield
    except Exception as error:
        if not jax.distributed.is_initialized():
            raise
        if isinstance(error, UserError):
            print(f"micron-jax: {error}", file=sys.stderr)
        else:
            traceback.print_exc()
            here = f"process {jax.process_index()} of {jax.process_count()}"
            print(f"micron-jax: {here} ends, and so will the others", file=sys.stderr)
            print("micron-jax: the same commands go on from the last checkpoint", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        if is_chief():
            time.sleep(2)  # it serves the others, which may be about to print the same
        os._exit(2 if isinstance(error, UserError) else 1)
    else:
        jax.distributed.shutdown()  # a process that a signal stops has no other end


def is_chief() -> bool:
    """True on the one process that prints, and writes the files of the run."""
    return jax.process_index() == 0


def gather(text: str) -> list[str]:
    """Returns the texts of all processes, in their order, to each; all of them must call it."""
    if jax.process_count() == 1:
        return [text]
    data = text.encode()[:_TEXT_BYTES].ljust(_TEXT_BYTES, b"\0")
    rows = multihost_utils.process_allgather(np.frombuffer(data, np.uint8))
    return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in rows]


def together(action: Callable[[], Result]) -> Result:
    """Runs an action; a `UserError` of one process is raised on all, so that none waits for it."""
    result, message = None, ""
    try:
        result = action()
    except UserError as error:
        message = str(error)
    for process, other in enumerate(gather(message)):
        if other:
            raise UserError(message or f"process {process}: {other}")
    return result


class StopSignals:
    """SIGTERM, SIGINT or SIGHUP at any process stops all of them, before the same step.

    A second signal kills its process, unless it comes within half a second: `timeout` and launchers
    send one twice. Signals that were ignored, as under nohup, stay so. A request during a step is
    known to all one step later, by a small reduction that nobody waits for; to a single process at
    once.
    """

    def __init__(self):
        self._reason, self._shared, self._first = 0, None, None
        mesh = jax.sharding.Mesh(np.array(jax.devices()), ("all",))
        self._spread = NamedSharding(mesh, P("all"))
        self._largest = jax.jit(jnp.max, out_shardings=NamedSharding(mesh, P()))

    def __enter__(self) -> "StopSignals":
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        numbers = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _) -> None:
        self._first = self._first or time.monotonic()
        if time.monotonic() - self._first > 0.5:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.ask(number)

    def ask(self, number: int) -> None:
        """Asks all processes to stop; of several reasons, the largest number prevails."""
        self._reason = max(self._reason, int(number))

    def agreed(self) -> int:
        """The reason why all stop here, or 0. Every process calls it once a step."""
        if jax.process_count() == 1:
            return self._reason
        rows = np.full(jax.local_device_count(), self._reason, np.int32)
        reasons = jax.make_array_from_process_local_data(self._spread, rows)
        before, self._shared = self._shared, self._largest(reasons)
        return 0 if before is None else int(before)
