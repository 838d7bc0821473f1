"""Limits of other processes by the work that they do: on a busy machine wall time tells nothing."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

LOOK = 1.0  # seconds between two looks
PROC = Path("/proc/self/stat").exists()
TICK = os.sysconf("SC_CLK_TCK")


class Patience:
    """How long a process, and those of its process group if it leads one, may go on.

    Args:
      seconds: of processor time from now on.
      idle: seconds of wall time in which it must get some work done; one that gets a fiftieth of
        a processor does.
    """

    def __init__(self, process: int, *, seconds: float = 300.0, idle: float = 120.0):
        self._process, self._seconds, self._idle = process, seconds, idle
        self._begin = self._worked = processor_seconds(process)
        self._looked = self._since = time.monotonic()

    def is_over(self) -> bool:
        """True if it has worked for too long, or stands still."""
        now = time.monotonic()
        if now < self._looked + LOOK:
            return False
        self._looked, worked = now, processor_seconds(self._process)
        if abs(worked - self._worked) > 0.1:  # that of a member goes when the member ends
            self._worked, self._since = worked, now
        return worked > self._begin + self._seconds or now > self._since + self._idle


def await_end(process: subprocess.Popen, *, seconds: float = 300.0) -> tuple[str, str]:
    """Waits for the end of a process as `Patience` does, and returns its output and errors."""
    patience = Patience(process.pid, seconds=seconds)
    while True:
        try:
            return process.communicate(timeout=LOOK)
        except subprocess.TimeoutExpired:
            if patience.is_over():
                _kill(process)
                out, error = process.communicate()
                pytest.fail(f"it does not end: {out[-2000:]} {(error or '')[-2000:]}")


def _kill(process: subprocess.Popen) -> None:
    if os.getpgid(process.pid) == process.pid:
        os.killpg(process.pid, signal.SIGKILL)  # its children hold its pipes open, too
    process.kill()


def await_handlers(process: subprocess.Popen) -> None:
    """Waits until a Python process leaves no signal that ends commands to the kernel.

    Before its first line runs, SIGTERM and SIGHUP end it without a word, as they do any program.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    wanted = sum(1 << (number - 1) for number in numbers)
    patience = Patience(process.pid)
    while PROC and process.poll() is None and (_signals(process.pid) & wanted) != wanted:
        assert not patience.is_over(), "it handles no signals"
        time.sleep(0.005)


def processor_seconds(process: int) -> float:
    """Processor time of a process and of its group, with their children that have ended.

    Without `/proc`, wall time.
    """
    return sum(seconds for _, seconds in members(process)) if PROC else time.monotonic()


def members(group: int) -> list[tuple[int, float]]:
    """(process, seconds of processor time) of those of a group, or of one, that have not ended."""
    living = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            process, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue  # it has ended since
        process, (state, _, itself, *more) = int(process.split()[0]), rest.split()
        if state != "Z" and group in (process, int(itself)):
            living.append((process, sum(map(int, more[8:12])) / TICK))
    return living


def _signals(process: int) -> int:
    """The signals that a process catches or ignores, a bit each."""
    mask = 0
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(("SigIgn:", "SigCgt:")):
                mask |= int(line.split()[1], 16)
    except OSError:
        pass  # it has ended
    return mask
