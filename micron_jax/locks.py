"""A folder that one process writes at a time, whichever hosts mount it.

On one host the lock of the system decides, which ends with its process. Between hosts not all file
systems have such locks: there the writer moves the time of its file `.lock` on every few seconds,
and another host takes the folder when that stands still.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from micron_jax.errors import Notice, UserError

FILE = ".lock"
BEAT, PATIENCE = 2.0, 10.0  # seconds between two signs of life; those that another host waits


@dataclasses.dataclass(frozen=True)
class Holder:
    """A process that holds a folder.

    Attributes:
      kernel: tells the running systems of hosts apart, which may have the same name.
      since: ISO 8601.
    """

    process: int
    host: str
    kernel: str
    since: str

    @classmethod
    def here(cls) -> "Holder":
        """Returns this process."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), _kernel(), now)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


@contextlib.contextmanager
def sole_writer(folder: Path, *, busy: str) -> Iterator[None]:
    """Makes a folder and holds it for this process, however the process ends.

    Afterwards removes the folders that are new and still empty.

    Raises:
      OSError: the folder cannot be written.
      UserError: another process holds it; the message is `busy` and that process.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        holder, locked = _read(folder), _lock(handle)
        # The lock of the system knows the processes of this host, if it has such locks.
        dead = locked and (holder is None or holder.kernel == _kernel())
        if locked is False or (holder and not dead and _lives(folder, holder)):
            raise UserError(f"{busy} ({holder or 'its process is not known'})")
        with _signs_of_life(folder):
            yield
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):  # the first that is not empty
            for path in filter(Path.exists, new):
                path.rmdir()


def _lock(handle: int) -> bool | None:
    """Locks a folder for this process.

    Returns:
      False if another process of this host has locked it; None if the system cannot lock it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _lives(folder: Path, holder: Holder) -> bool:
    """Tells if the holder gives signs of life; waits for them."""
    path = folder / FILE
    message = f"{folder}: was in use ({holder}); this takes {PATIENCE:.0f} s to see if it still is"
    warnings.warn(Notice(message), stacklevel=3)
    end, first = time.monotonic() + PATIENCE, _time_of(path)
    while time.monotonic() < end:
        time.sleep(BEAT / 4)
        if (now := _time_of(path)) != first:
            return now is not None  # None: it has ended
    return False


@contextlib.contextmanager
def _signs_of_life(folder: Path) -> Iterator[None]:
    """Writes the file of the holder, touches it at every beat, and removes it at the end."""
    path, ended = folder / FILE, threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            with contextlib.suppress(OSError):  # the folder has got another name, or is gone
                os.utime(path)

    thread = threading.Thread(target=beat, daemon=True)
    try:
        path.unlink(missing_ok=True)  # it may be another user's
        path.write_text(json.dumps(dataclasses.asdict(Holder.here())), "utf-8")
        thread.start()
        yield
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            path.unlink()


def _read(folder: Path) -> Holder | None:
    """The holder that a folder names; None: there is none, or its file was cut short."""
    try:
        return Holder(**json.loads((folder / FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _time_of(path: Path) -> int | None:
    try:
        with path.open("rb") as file:  # a network file system asks its server when a file is opened
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def _kernel() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return socket.gethostname()
