"""Checksums of a checkpoint's files, in a file beside them that is written with them.

`checksums.json` stands in the folder of a step before the folder gets its name, so that every whole
checkpoint has one. Those of earlier versions have none, and are read as they are.
"""

import contextlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from micron_jax.checksums import file_sums, find_damage
from micron_jax.files import write_whole

FILE = "checksums.json"
# A checkpoint whose metadata say so was written with checksums.
MARK = {"checksums": FILE}

_METADATA = "_CHECKPOINT_METADATA"
_DESCRIBE = (_METADATA, "metrics/metrics")
_WRITTEN_LAST = (_METADATA, "commit_success.txt")  # by Orbax, after all that a restore reads


def write(folder: Path, step: int) -> None:
    """Writes the checksums of a checkpoint that is whole but for its last two files.

    Raises:
      OSError: a file cannot be read or written.
    """
    names = sorted({*_names(folder)} - {FILE, *_WRITTEN_LAST})
    write_whole(folder / FILE, _encoded({"step": step, "files": file_sums(folder, names)}))


def add_last_files(folder: Path) -> None:
    """Adds the two files that Orbax writes last; of a run that is killed before, they have none.

    They hold nothing of the state: if it cannot be done, it stays undone.
    """
    with contextlib.suppress(OSError, ValueError):
        content = json.loads((folder / FILE).read_bytes())
        names = [name for name in _WRITTEN_LAST if (folder / name).is_file()]
        if not content["files"].keys() >= {*names}:
            content["files"] |= file_sums(folder, names)
            write_whole(folder / FILE, _encoded(content))


def exist(folder: Path) -> bool:
    """Tells if a checkpoint has checksums."""
    return (folder / FILE).is_file()


def damage(folder: Path, *, all_files: bool = True, share: int = 0, of: int = 1) -> str | None:
    """Returns the first difference between a checkpoint and its checksums, or None.

    Args:
      folder: of a step, named by it.
      all_files: False for the checksums themselves and the small files that describe a step.
      share, of: several processes read a share each of the files; all read the checksums.

    Raises:
      PermissionError: a file may not be read.
    """
    try:
        text = (folder / FILE).read_bytes()
    except FileNotFoundError:
        return f"{FILE} is missing" if _marked(folder) else None
    except PermissionError:
        raise
    except OSError as error:
        return f"{FILE} cannot be read: {error.strerror}"
    try:
        content = json.loads(text)
        intact = text == _encoded(content)
    except (ValueError, RecursionError):
        intact = False
    if not intact:
        return f"{FILE} has other bytes"
    if content["step"] != int(folder.name):
        return f"its files are those of step {content['step']}"
    sums = content["files"]
    names = [*sums][share::of] if all_files else [name for name in _DESCRIBE if name in sums]
    return find_damage(folder, {name: sums[name] for name in names})


def _names(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def _marked(folder: Path) -> bool:
    try:
        return (
            MARK.items() <= json.loads((folder / _METADATA).read_bytes())["custom_metadata"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _encoded(content: dict) -> bytes:
    """JSON with the CRC-32 of itself in front, which no other bytes can stand for."""
    body = {name: content[name] for name in ("step", "files")}
    code = zlib.crc32(json.dumps(body).encode())
    return json.dumps({"crc32": code} | body, indent=1).encode()
