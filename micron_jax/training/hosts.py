"""Processes that train as one: how they find each other, agree, and stop together."""

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.errors import UserError
from micron_jax.training import launchers, roll_call

Result = TypeVar("Result")

HOST = socket.gethostname()

_TEXT_BYTES = 1000  # of a text that one process sends to the others
# A process that ends in order waits as long for the rest. jax notices one that was killed as soon
# as a collective breaks (CPU) or after 100 s without a heartbeat, and then ends the rest.
_SHUTDOWN_SECONDS = 60
_JOIN_SECONDS = 60  # for jax, once all processes are there
INITIALIZATION_TIMEOUT = 300  # seconds in which all processes must come, as in jax


def initialize(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    initialization_timeout: float = INITIALIZATION_TIMEOUT,
    notify: roll_call.Notify = lambda line: None,
) -> None:
    """Joins the other processes of the run, if there are others. Call it before other uses of jax.

    Args:
      coordinator: HOST:PORT where process 0 listens; None on a TPU pod, under `srun` and under
        Open MPI before 5, which know it. There `:PORT` chooses the port alone.
      processes, process: number of processes and of this one, from 0; None where SLURM or Open
        MPI know them.
      initialization_timeout: seconds to wait for the others.
      notify: gets a line on whom this process waits for, now and then.

    Raises:
      UserError: the three do not fit, or the processes do not come together; see `roll_call`.
    """
    options = launchers.place(coordinator, processes, process, initialization_timeout)
    if options is None or options["num_processes"] == 1:
        return
    # Not jax's watch for SIGTERM: `StopSignals` works for a single process too.
    jax.config.update("jax_enable_preemption_service", False)
    address = options["coordinator_address"]
    ranks = options["num_processes"], options["process_id"]
    with roll_call.roll_call(address, *ranks, seconds=initialization_timeout, notify=notify):
        try:
            jax.distributed.initialize(
                **options,
                cluster_detection_method="deactivate",
                initialization_timeout=_JOIN_SECONDS,
                shutdown_timeout_seconds=_SHUTDOWN_SECONDS,
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"the processes do not join at {address}: {reason}") from error


class OneProcessError(UserError):
    """An error of one process of several, whose message names it and its host."""


@contextlib.contextmanager
def fail_fast() -> Iterator[None]:
    """Ends one process of several at its error, without waiting for the processes that wait."""
    try:
        yield
    except Exception as error:
        if not jax.distributed.is_initialized():
            raise
        if isinstance(error, OneProcessError):
            print(f"micron-jax: {error}", file=sys.stderr)
        elif isinstance(error, UserError):
            print(f"micron-jax: {_named(error)}", file=sys.stderr)
        else:
            traceback.print_exc()
            here = f"process {jax.process_index()} of {jax.process_count()} on {HOST}"
            print(f"micron-jax: {here} ends, and so will the others", file=sys.stderr)
            mend = "the first that ends tells why; the same commands go on from the last checkpoint"
            print(f"micron-jax: {mend}", file=sys.stderr)
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
    """Runs an action; a `UserError` of one process is raised on all, so that none waits for it.

    The message of several processes names the one and its host.
    """
    result, message = None, ""
    try:
        result = action()
    except UserError as error:
        if jax.process_count() == 1:
            raise
        message = _named(error)
    if messages := list(filter(None, gather(message))):
        raise OneProcessError(message or messages[0])
    return result


def _named(error: UserError) -> str:
    return f"process {jax.process_index()} on {HOST}: {error}"


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
