"""Checksums of files, by which a later reader notices damage."""

import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_BUFFER = 1 << 20  # bytes
_THREADS = 8

# Name of a file below a folder -> its size in bytes, and the CRC-32 of each part of `PART` bytes.
Sums = dict[str, list[int]]

PART = 1 << 26  # bytes; the parts of a large file are read side by side


def file_sums(folder: Path, names: Iterable[str]) -> Sums:
    """Reads files below a folder and returns their checksums; raises `OSError`."""
    sizes = {name: (folder / name).stat().st_size for name in names}
    parts = [(name, begin) for name in sizes for begin in range(0, sizes[name], PART)]
    sums: Sums = {name: [size] for name, size in sizes.items()}
    with ThreadPoolExecutor(_THREADS) as pool:  # zlib and the disk let other threads run
        codes = pool.map(lambda part: _crc(folder / part[0], part[1]), parts)
        for (name, _), code in zip(parts, codes, strict=True):
            sums[name].append(code)
    return sums


def find_damage(folder: Path, sums: Mapping[str, list[int]]) -> str | None:
    """Compares files below a folder with their checksums.

    Returns:
      The name of a file that is not what it was, and the difference; None: all are as they were.

    Raises:
      PermissionError: a file may not be read.
    """
    for name, (size, *_) in sums.items():
        try:
            now = (folder / name).stat().st_size
        except PermissionError:
            raise
        except OSError:
            return f"{name} is missing"
        if now != size:
            return f"{name} has {now} bytes instead of {size}"
    try:
        now = file_sums(folder, sums)
    except PermissionError:
        raise
    except OSError as error:
        return f"{error.filename or folder} cannot be read: {error.strerror or error}"
    return next((f"{name} has other bytes" for name in sums if now[name] != sums[name]), None)


def _crc(path: Path, begin: int) -> int:
    """CRC-32 of `PART` bytes of a file, or of those that it has."""
    # Not a map of the file into memory: there a disk that fails to read kills the process.
    code, left, buffer = 0, PART, memoryview(bytearray(_BUFFER))
    with path.open("rb", buffering=0) as file:
        file.seek(begin)
        while left and (size := file.readinto(buffer[:left])):
            code, left = zlib.crc32(buffer[:size], code), left - size
    return code
