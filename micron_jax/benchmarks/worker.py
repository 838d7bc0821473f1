"""A process that one side of a comparison has to itself, and how it is talked to.

Requests and answers are lines of JSON over its standard input and output. The first request says
what to make ready, each later one for how long to take steps: while one side works the others
wait, and no side's memory is counted as another's. Neither side's libraries are imported here.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from micron_jax.errors import UserError

_PATIENCE = 5.0  # seconds: a step under way may take minutes


class Side(Protocol):
    """What a worker measures.

    Attributes:
      facts: what `Worker.facts` becomes; JSON.
    """

    facts: dict

    def begin(self) -> None:
        """Before each turn; does not count."""

    def step(self) -> None:
        """One step, to its very end: nothing of it is still under way on a device."""

    def peak_bytes(self) -> int:
        """The most memory that it has had; see `peak_resident_bytes` for one without a device."""


class Failed(Exception):
    """A side cannot be measured; the message is one line that says why."""


def serve(prepare: Callable[[dict], Side]) -> int:
    """What a worker's `main` does: answers until its standard input ends.

    Args:
      prepare: the first request -> the side. It may raise `Failed` or `UserError`.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    side = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if side is None:
                side = prepare(request)
                begun = time.perf_counter()
                side.step()  # compiles, where that was not done yet
                first = time.perf_counter() - begun
                begun = time.perf_counter()
                side.step()
                seconds = time.perf_counter() - begun
                answer = {"first_seconds": first, "step_seconds": seconds} | side.facts
                forget_peak()
            else:
                side.begin()
                answer = _turn(side, request["seconds"]) | {"peak_bytes": side.peak_bytes()}
        except Exception as error:
            if not isinstance(error, Failed | UserError):
                traceback.print_exc()
            answer = {"failed": _reason(error)}
        answers.write(json.dumps(answer) + "\n")
    return 0


def _turn(side: Side, seconds: float) -> dict:
    begun, steps, taken = time.perf_counter(), 0, 0.0
    while not steps or taken < seconds:
        side.step()
        steps, taken = steps + 1, time.perf_counter() - begun
    return {"steps": steps, "seconds": taken}


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    if isinstance(error, Failed | UserError):
        return said
    memory = ("RESOURCE_EXHAUSTED", "out of memory", "not enough memory", "can't allocate memory")
    if isinstance(error, MemoryError) or any(words in said for words in memory):
        return "memory does not suffice: lower --batch"
    return f"{type(error).__name__}: {said}"[:300]


def forget_peak() -> None:
    """What memory this process needed until now no longer counts as its peak, where Linux lets."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_resident_bytes() -> int:
    """The most main memory that this process has held, since `forget_peak`."""
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    except (OSError, TypeError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Worker:
    """The parent's end; a context that ends the process.

    Attributes:
      facts: what the side said of itself once it was ready, with `first_seconds` (of its first
        step) and `step_seconds`.
    """

    def __init__(self, name: str, module: str, request: dict, *, environ: dict | None = None):
        """Starts it and waits until it is ready, warmed up.

        Args:
          name: what messages call the side.
          module: its program, below `micron_jax.benchmarks`.
          request: what `prepare` gets.
          environ: variables besides this process's own.

        Raises:
          Failed: it cannot be measured.
        """
        self.name, self._said = name, tempfile.TemporaryFile("w+")  # noqa: SIM115 (open as long as it)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"micron_jax.benchmarks.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
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
        """Takes steps for so long, one at least -> {"steps", "seconds" they took, "peak_bytes"}.

        Raises:
          Failed: it cannot.
        """
        return self._ask({"seconds": seconds})

    def close(self) -> None:
        """Lets it end by itself, with processes of its own if it has any, or else kills it."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it holds nothing that would be lost
            self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def _ask(self, request: dict) -> dict:
        line = ""
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if not line:
            raise Failed(self._last_words())
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer

    def _last_words(self) -> str:
        status = self._process.wait()
        if status == -9:
            return "it was killed, for want of memory most likely: lower --batch"
        self._said.seek(0)
        last = (self._said.read().strip().splitlines() or ["no message"])[-1]
        return f"it ended with {status} ({last[:300]})"
