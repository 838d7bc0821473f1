"""What every builder of ours does: one at a time, quietly, whole or not at all."""

import contextlib
import errno
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from absl import logging

from micron_jax.errors import UserError
from micron_jax.files import sole_writer

FULL = (errno.ENOSPC, errno.EDQUOT)


def group(counts: list[int], limit: int) -> list[range]:
    """Ranges of neighbors whose counts add up to at least `limit` (the last one: to less)."""
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
    """Holds `folder` for this process and clears what a killed build has left in it."""
    busy = f"another build is writing to {folder}; wait for its end"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(sole_writer(folder, busy=busy))
        except OSError as error:
            raise UserError(f"--data-dir: cannot write to {folder}: {error.strerror}") from None
        for debris in folder.glob("incomplete.*"):
            shutil.rmtree(debris)
        yield


def refusal(error: Exception, data_dir: str | Path) -> Exception:
    """What to raise when a set could not be written: for people, where the disk is to blame."""
    number = getattr(error, "errno", None)
    if number in FULL or "No space left" in str(error):
        return UserError(
            f"--data-dir {data_dir}: no space left on its disk; make room, start again"
        )
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return UserError(f"--data-dir {data_dir}: cannot be written: {error.strerror}")
    return error


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
