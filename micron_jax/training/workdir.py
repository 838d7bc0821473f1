"""A run's folder: its settings, written once, and its compiled programs."""

import contextlib
import ctypes
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict
from jax.experimental.compilation_cache import compilation_cache

from micron_jax.config import up_to_date
from micron_jax.errors import UserError
from micron_jax.files import refuse_bucket, remove_debris, write_json, writing
from micron_jax.locks import sole_writer

CONFIG_FILE, CACHE_FOLDER = "config.json", "compiled"
_CHECKSUM = "checksum"  # of the config, a field in its file
_cache_of_a_run: str | None = None  # the last that this process used


@contextlib.contextmanager
def sole_run(workdir: Path) -> Iterator[None]:
    """Makes a workdir and holds it for this run, however the run ends.

    Raises:
      UserError: another run holds the workdir; it cannot be written or is in a bucket.
    """
    refuse_bucket(workdir)
    busy = f"{workdir}: another run is writing it; wait for its end, or use another workdir"
    with contextlib.ExitStack() as stack:
        with writing(workdir):
            stack.enter_context(sole_writer(workdir, busy=busy))
            remove_debris(workdir)
        yield


def claim_workdir(
    workdir: Path, settings: dict, *, free: set[str], added: Mapping[str, Any] | None = None
) -> None:
    """Writes the run's settings, nested, into its workdir, or checks them against those there.

    Args:
      free: fields, named with dots, that may change when a run goes on.
      added: fields that runs of earlier versions lack -> the value that means what they did.

    Raises:
      UserError: the workdir belongs to other settings or cannot be written.
    """
    path = workdir / CONFIG_FILE
    if path.exists():
        before = up_to_date(read_settings(path))
        # As JSON has them, tuples are lists.
        before, now = (flatten_dict(json.loads(json.dumps(x)), sep=".") for x in (before, settings))
        before = dict(added or {}) | before
        if retired := sorted(before.keys() - now.keys()):
            raise UserError(
                f"{workdir}: was started by another version, whose config has {retired[0]}; go on "
                "with that version, or use a new workdir (the checkpoints there can be loaded)"
            )
        for name in sorted((before.keys() | now.keys()) - free):
            if before.get(name) != now.get(name):
                raise UserError(
                    f"{workdir}: was started with another config "
                    f"({name}={before.get(name)!r}, now {now.get(name)!r}); use a new workdir"
                )
    with writing(path):
        write_json(path, settings | {_CHECKSUM: _checksum(settings)})


def read_settings(path: Path) -> dict:
    """Reads the settings of a run, nested, and compares them with their checksum, if they have one.

    Raises:
      UserError: they cannot be read, or are not those that were written.
    """
    try:
        settings = json.loads(path.read_text("utf-8"))
        checksum = settings.pop(_CHECKSUM, None)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not the config of a run ({error})") from error
    if checksum not in (None, _checksum(settings)):
        raise UserError(
            f"{path}: does not fit its checksum, so it is damaged, or was changed by hand; put a "
            f"copy in its place (after a change: remove the field {_CHECKSUM!r})"
        )
    return settings


def _checksum(settings: dict) -> str:
    """CRC-32 of settings as JSON, in hexadecimal digits."""
    return f"{zlib.crc32(json.dumps(settings, sort_keys=True).encode()):08x}"


def cache_compiled(workdir: Path) -> None:
    """Caches the compiled programs of a run in its workdir, for its next start.

    A cache that the user named (`JAX_COMPILATION_CACHE_DIR`) stays as it is. jax compiles again
    where an entry is damaged, or of another machine.
    """
    global _cache_of_a_run
    if jax.config.jax_compilation_cache_dir not in (None, _cache_of_a_run):
        return
    _cache_of_a_run = str(workdir.absolute() / CACHE_FOLDER)
    compilation_cache.reset_cache()  # of another run in this process
    jax.config.update("jax_compilation_cache_dir", _cache_of_a_run)


def release_compiler_memory() -> None:
    """Returns the memory that compiling needed to the system; glibc would keep it.

    For the release's train step on a CPU it was 490 of 1507 MB.
    """
    with contextlib.suppress(OSError, AttributeError):  # of another C library
        ctypes.CDLL(None).malloc_trim(0)
