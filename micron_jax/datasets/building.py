"""What every builder of ours does: one at a time, quietly, whole or not at all."""

import contextlib
import fcntl
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from absl import logging

from micron_jax.errors import UserError


def group(counts: list[int], limit: int) -> list[range]:
    """Ranges of neighbours whose counts add up to at least `limit` (the last one: to less)."""
    groups, start, total = [], 0, 0
    for number, count in enumerate(counts, 1):
        total += count
        if total >= limit or number == len(counts):
            groups.append(range(start, number))
            start, total = number, 0
    return groups


class Info(tfds.core.DatasetInfo):
    def initialize_from_bucket(self) -> None:
        """Not looked up in Google's bucket, for which TFDS leaves a temporary folder behind."""


@contextlib.contextmanager
def sole_builder(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process; afterwards takes away the folders that stayed empty."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"--data-dir: cannot write to {folder}: {error.strerror}") from None
    try:
        _lock(handle, folder)
        for debris in folder.glob("incomplete.*"):
            shutil.rmtree(debris)
        yield
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):  # the first that is not empty
            for path in made:
                path.rmdir()


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however it ends
    except BlockingIOError:
        raise UserError(f"another build is writing to {folder}; wait for its end") from None
    except OSError:
        pass  # a network file system without locks


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without TFDS's own words and bars; ours goes to standard error."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)
