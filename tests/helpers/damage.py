"""Damage of files, as disks, copies and people do it."""

import random
from pathlib import Path


def _flip(chance: random.Random, path: Path, _):
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _truncate(chance: random.Random, path: Path, _):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(chance.choice([0, size // 2, size - 1]))


def _zero(chance: random.Random, path: Path, _):
    """A sector, or all of a small file."""
    data = bytearray(path.read_bytes())
    ones = [i for i, byte in enumerate(data) if byte]
    begin = chance.choice(ones) // 512 * 512
    end = min(begin + 512, len(data))
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)


def _remove(_, path: Path, __):
    path.unlink()


def _swap(chance: random.Random, path: Path, others: list[Path]):
    """With another file, which may be one of another checkpoint."""
    data = path.read_bytes()
    other = chance.choice([other for other in others if other.read_bytes() != data])
    path.write_bytes(other.read_bytes())
    other.write_bytes(data)


KINDS = {
    "bit flipped": _flip,
    "truncated": _truncate,
    "sector zeroed": _zero,
    "file missing": _remove,
    "files swapped": _swap,
}


def damage(chance: random.Random, kind: str, folder: Path) -> str:
    """Damages one file below a folder; returns its name there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    path = chance.choice(paths)
    others = [other for other in folder.parent.rglob("*") if other.is_file()]
    KINDS[kind](chance, path, others)
    return path.relative_to(folder).as_posix()
