"""Files and folders written whole or not at all, by one process at a time."""

import contextlib
import fcntl
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from micron_jax.errors import UserError


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that is never seen in part; what stood there before stays until then.

    Raises:
      OSError: it cannot be written; nothing is left behind.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(data)
        os.replace(scratch, path)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes JSON as `write_whole` does."""
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_npz(path: Path, *, compressed: bool = False, **arrays) -> None:
    """Writes named arrays as `.npz`, as `write_whole` does; makes its folder."""
    import numpy as np  # here, for a help text should not wait for it

    data = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(data, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data.getvalue())


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises a `UserError` that names `path` for an `OSError` within: it cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextlib.contextmanager
def sole_writer(folder: Path, *, busy: str) -> Iterator[None]:
    """Makes a folder and holds it for this process, however the process ends.

    Afterwards removes the folders that are new and still empty.

    Raises:
      OSError: the folder cannot be written.
      UserError: another process holds it; the message is `busy`.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(busy) from None
        except OSError:
            pass  # a network file system without locks
        yield
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):  # the first that is not empty
            for path in filter(Path.exists, new):
                path.rmdir()


@contextlib.contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """Makes a folder beside `output` that takes its name when all went well, and else goes away.

    Raises:
      UserError: `output` exists or cannot be written, or another run is writing it.
    """
    if os.path.lexists(output):
        raise UserError(f"{output} exists; remove it, or name another folder")
    folder = output.with_name(f".{output.name}.incomplete")
    with writing(output), sole_writer(folder, busy=f"{output}: another run is writing it; wait"):
        try:
            for debris in folder.iterdir():  # of a run that was killed
                shutil.rmtree(debris) if debris.is_dir() else debris.unlink()
            yield folder
            folder.rename(output)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
