"""The server's folder below the temporary folder; uploads in it end with the server."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from micron_jax.errors import UserError

PREFIX = "micron-app-"
LOCK = "lock"  # the server holds it as long as it lives
UNFINISHED = 3600  # seconds: a folder without a lock file may be one that is being made


@contextlib.contextmanager
def server_folder() -> Iterator[Path]:
    """Makes a folder that goes at the end; first removes those of servers that were killed.

    Raises:
      UserError: the temporary folder cannot be written.
    """
    try:
        _remove_abandoned(Path(tempfile.gettempdir()))
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = _hold(folder)
    except OSError as error:
        raise UserError(f"the temporary folder {cannot_be_written(error)} (TMPDIR)") from None
    try:
        yield folder
    finally:
        for _ in range(3):  # a step of the work may still write
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def cannot_be_written(error: OSError) -> str:
    """Returns the end of a sentence on the temporary folder; its path is not for the page."""
    return f"cannot be written: {error.strerror or type(error).__name__}"


def _hold(folder: Path) -> int:
    """Makes the lock file of a folder; under its name it is held from the beginning."""
    lock = os.open(folder / f"{LOCK}.new", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.rename(folder / f"{LOCK}.new", folder / LOCK)
    return lock


def _remove_abandoned(temporary: Path) -> None:
    for folder in temporary.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # of another user, or a server lives
            if not (folder / LOCK).exists():
                if time.time() - folder.stat().st_mtime > UNFINISHED:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
