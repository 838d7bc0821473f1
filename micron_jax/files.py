"""Files and folders written whole or not at all."""

import contextlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from micron_jax import locks
from micron_jax.errors import UserError

_ADDRESS = re.compile(r"([a-z][a-z0-9]+):/+(?=[^/])")  # of a bucket; a `Path` has one slash
_LONGEST = 240  # bytes of a name that another of 12 bytes more can stand beside


def refuse_bucket(path: str | Path) -> None:
    """Raises a `UserError` for an address like `gs://BUCKET/NAME`, a relative path to `Path`."""
    if (scheme := _ADDRESS.match(str(path))) and not os.path.lexists(path):
        address = _ADDRESS.sub(rf"{scheme[1]}://", str(path), count=1)
        raise UserError(
            f"{address}: is not on a file system that this machine mounts; mount the bucket "
            "(gcsfuse, mount-s3) or copy what is needed, and name that folder"
        )


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


def remove_debris(folder: Path) -> None:
    """Removes what a kill left of `write_whole`, below a folder that no other process writes."""
    for parent, _, names in os.walk(folder):  # which forgives folders that vanish meanwhile
        for path in (Path(parent, name) for name in names if name.startswith(".")):
            if path.suffix[1:].isdigit():
                path.unlink(missing_ok=True)


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
def whole_folder(output: Path) -> Iterator[Path]:
    """Makes a folder beside `output` that takes its name when all went well, and else goes away.

    Raises:
      UserError: `output` exists or cannot be written, or another run is writing it.
    """
    if os.path.lexists(output):
        raise UserError(f"{output} exists; remove it, or name another folder")
    with scratch_folder(output) as folder:
        yield folder
        (folder / locks.FILE).unlink(missing_ok=True)
        folder.rename(output)


def write_new(target: Path, contents: Mapping[str, bytes]) -> None:
    """Writes files that go together, beside each other: all of them whole, or none.

    Args:
      target: the first of what is written, for which a lock is held.
      contents: file -> its bytes. A file is named as it lies beside `target`; `FOLDER/NAME` lies in
        a new folder.

    Raises:
      UserError: one of them, or the folder, is there already; or they cannot be written.
    """
    places = [target.with_name(name) for name in dict.fromkeys(n.split("/")[0] for n in contents)]
    check_new(places)
    with scratch_folder(target) as scratch:
        check_new(places)  # another run may have written them since
        for name, data in contents.items():
            file = scratch / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
        for place in places:
            os.replace(scratch / place.name, place)


def check_new(places: Iterable[Path]) -> None:
    """Raises a `UserError` if one of the places is taken."""
    for place in places:
        if os.path.lexists(place):
            raise UserError(f"{place}: exists already; give a new name or remove it")


@contextlib.contextmanager
def scratch_folder(output: Path) -> Iterator[Path]:
    """Makes an empty folder beside `output` for the time in which this process makes the output.

    Raises:
      UserError: it cannot be written, or another run is writing that output.
    """
    name = output.name if len(os.fsencode(output.name)) <= _LONGEST else output.name[:50]
    folder = output.with_name(f".{name}.incomplete")
    busy = f"{output}: another run is writing it; wait for its end"
    with writing(output), locks.sole_writer(folder, busy=busy):
        try:
            for debris in folder.iterdir():  # of a run that was killed
                if debris.name != locks.FILE:
                    shutil.rmtree(debris) if debris.is_dir() else debris.unlink()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
