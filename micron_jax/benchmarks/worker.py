"""A process for each side of a comparison, measured in turns; requests and answers are JSON lines.

The first request prepares the side, each later one asks for steps during some seconds. One side
works while the others wait, and each has its own memory. This module imports neither side's
libraries.
"""

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from micron_jax.errors import UserError

_PATIENCE = 5.0  # seconds: a step under way may take minutes


class Side:
    """One side of a comparison; a subclass gives `step`.

    Attributes:
      facts: becomes part of `Worker.facts`; JSON.
    """

    facts: dict

    def begin(self) -> None:
        """Prepares a turn; does not count."""

    def step(self) -> None:
        """Does one step and waits until the device has finished it."""
        raise NotImplementedError

    def peak_bytes(self) -> int:
        """Returns the peak memory, of the device or of this process."""
        return peak_resident_bytes()


class ReadAhead(Side):
    """A side that takes batches from a reader, which goes on reading between the turns.

    Attributes:
      batches: the reader, an iterator.
      ahead: number of batches that it may hold ready.
    """

    def begin(self) -> None:
        """Drops the batches that were read during the other side's turn."""
        for _ in range(self.ahead):
            next(self.batches)

    def step(self) -> None:
        """Takes a batch."""
        next(self.batches)


class Failed(Exception):
    """A side cannot be measured; the message is one line with the reason."""


def serve(prepare: Callable[[dict], Side]) -> int:
    """Runs a worker: answers requests until its standard input ends.

    Args:
      prepare: makes the side from the first request; may raise `Failed` or `UserError`.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print, too
    side = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if side is None:
                side = prepare(request)
                begin = time.perf_counter()
                side.step()  # compiles, if nothing has been compiled yet
                first = time.perf_counter() - begin
                begin = time.perf_counter()
                side.step()
                seconds = time.perf_counter() - begin
                answer = {"first_seconds": first, "step_seconds": seconds} | side.facts
                forget_peak()
            else:
                side.begin()
                answer = turn(side, request["seconds"]) | {"peak_bytes": side.peak_bytes()}
        except Exception as error:
            if not isinstance(error, Failed | UserError):
                traceback.print_exc()
            answer = {"failed": reason_of(error)}
        answers.write(json.dumps(answer) + "\n")
    return 0


def turn(side: Side, seconds: float) -> dict:
    """Does steps during a time, one at least, and returns {"steps", "seconds"}."""
    begin, steps, elapsed = time.perf_counter(), 0, 0.0
    while not steps or elapsed < seconds:
        side.step()
        steps, elapsed = steps + 1, time.perf_counter() - begin
    return {"steps": steps, "seconds": elapsed}


def reason_of(error: Exception) -> str:
    """Returns one line on why a side failed."""
    message = " ".join(str(error).split())
    if isinstance(error, Failed | UserError):
        return message
    memory = ("RESOURCE_EXHAUSTED", "out of memory", "not enough memory", "can't allocate memory")
    if isinstance(error, MemoryError) or any(words in message for words in memory):
        return "there is not enough memory: use a smaller batch"
    return f"{type(error).__name__}: {message}"[:300]


def forget_peak() -> None:
    """Resets the peak memory of this process, if Linux allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_resident_bytes() -> int:
    """Returns the peak of this process's main memory since `forget_peak`."""
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    except (OSError, TypeError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Worker:
    """The parent's end of a worker; a context that ends the process.

    Attributes:
      facts: of the side when it is ready, with `first_seconds` (of its first step) and
        `step_seconds`.
    """

    def __init__(self, name: str, module: str, request: dict, *, environ: dict | None = None):
        """Starts the process and waits until it has warmed up.

        Args:
          module: its program, below `micron_jax.benchmarks`.
          request: the argument of `prepare`.

        Raises:
          Failed: the side cannot be measured.
        """
        self.name, self._errors = name, tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"micron_jax.benchmarks.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | (environ or {}),
        )
        try:
            self.facts = self._ask(request)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def run(self, seconds: float) -> dict:
        """Does steps, one at least, and returns {"steps", "seconds", "peak_bytes"}.

        Raises:
          Failed: the side broke off.
        """
        return self._ask({"seconds": seconds})

    def close(self) -> None:
        """Lets the process end by itself, and its own processes with it, or kills it."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _ask(self, request: dict) -> dict:
        line = ""
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if not line:
            raise Failed(self._exit_reason())
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer

    def _exit_reason(self) -> str:
        status = self._process.wait()
        if status == -9:
            return "it was killed, probably for lack of memory: use a smaller batch"
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or ["no message"])[-1]
        return f"it ended with {status} ({last[:300]})"


def measure_in_turns(
    workers: Sequence[Worker], *, samples: int, rounds: int, seconds: float
) -> list[dict]:
    """Measures every side in turn, A B A B, so that a slow machine slows all of them.

    Args:
      samples: in a step.
      rounds: number of turns of each side.
      seconds: of a turn; its last step is done to the end.

    Returns:
      For each side {"samples_per_second": the median, "rates": of each round, "spread":
      (largest - smallest) / median, "step_seconds": from the median, "peak_bytes"}.

    Raises:
      UserError: a side broke off.
    """
    rates, peaks = [[] for _ in workers], [0] * len(workers)
    for _ in range(rounds):
        for side, worker in enumerate(workers):
            try:
                turn = worker.run(seconds)
            except Failed as error:
                raise UserError(f"a side broke off: {error}") from error
            rates[side].append(samples * turn["steps"] / turn["seconds"])
            peaks[side] = max(peaks[side], turn["peak_bytes"])
    return [
        {
            "samples_per_second": (median := statistics.median(rate)),
            "rates": rate,
            "spread": (max(rate) - min(rate)) / median,
            "step_seconds": samples / median,
            "peak_bytes": peak,
        }
        for rate, peak in zip(rates, peaks, strict=True)
    ]


def ratio(side: dict, other: dict) -> float:
    """Returns how many times as fast a side is: the median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(side["rates"], other["rates"], strict=True))
