"""Parts that all builders share: one build at a time, quiet, whole or not at all."""

import contextlib
import errno
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from absl import logging

from micron_jax.errors import UserError
from micron_jax.files import writing
from micron_jax.locks import sole_writer

FULL = (errno.ENOSPC, errno.EDQUOT)


def group(counts: list[int], limit: int) -> list[range]:
    """Returns ranges of neighbors with at least `limit` in total; the last one may have less."""
    groups, start, total = [], 0, 0
    for number, count in enumerate(counts, 1):
        total += count
        if total >= limit or number == len(counts):
            groups.append(range(start, number))
            start, total = number, 0
    return groups


class Info(tfds.core.DatasetInfo):
    """The description of a set that Google's bucket does not hold."""

    def initialize_from_bucket(self) -> None:
        """Does nothing: TFDS would ask the bucket, and leave a temporary folder behind."""


@contextlib.contextmanager
def sole_builder(folder: Path) -> Iterator[None]:
    """Holds `folder` for this process and removes the debris of a killed build.

    Raises:
      UserError: another build holds the folder, or it cannot be written.
    """
    busy = f"another build is writing to {folder}; wait for its end"
    with contextlib.ExitStack() as stack:
        with writing(folder):
            stack.enter_context(sole_writer(folder, busy=busy))
        for debris in folder.glob("incomplete.*"):
            shutil.rmtree(debris)
        yield


def refusal(error: Exception, data_dir: str | Path) -> Exception:
    """Returns the error to raise when a set cannot be written: a `UserError` if the disk is why."""
    number = getattr(error, "errno", None)
    if number in FULL or any(text in str(error) for text in ("No space left", "Not enough disk")):
        return UserError(
            f"{data_dir}: no space left on its disk; make room and start the same command again"
        )
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return UserError(f"{data_dir}: cannot be written ({error.strerror})")
    return error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences the messages and bars of TFDS; those on standard error stay."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)
