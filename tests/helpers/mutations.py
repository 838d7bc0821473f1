"""Random damage to the bytes of a file."""

import random
import re
from collections.abc import Callable

EXTREMES = (0, -1, 1, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)
WORDS = (
    b"1e999",
    b"NaN",
    b"null",
    b"-1",
    b"1000000000000",
    b'"',
    b"\x00",
    b"\x1b[31m",
    b"[[[[[[[[",
)


def damage(data: bytes, rng: random.Random) -> bytes:
    """Returns the bytes with one to three faults, never equal to `data`."""
    while True:
        damaged = data
        for _ in range(rng.randint(1, 3)):
            damaged = rng.choice(_FAULTS)(damaged, rng)
        if damaged != data:
            return damaged


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(min(len(data), rng.choice((1, 1, 4, 64)))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _blank(data: bytes, rng: random.Random) -> bytes:
    first, last = _part(data, rng)
    return data[:first] + bytes(last - first) + data[last:]


def _remove(data: bytes, rng: random.Random) -> bytes:
    first, last = _part(data, rng)
    return data[:first] + data[last:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    first, last = _part(data, rng)
    return data[:last] + data[first:]


def _move(data: bytes, rng: random.Random) -> bytes:
    (first, last), place = _part(data, rng), rng.randrange(len(data) + 1)
    return data[:place] + data[first:last] + data[place + last - first :]


def _scramble(data: bytes, rng: random.Random) -> bytes:
    first, last = _part(data, rng)
    return data[:first] + rng.randbytes(last - first) + data[last:]


def _put_extreme(data: bytes, rng: random.Random) -> bytes:
    size, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
    number = (rng.choice(EXTREMES) % 2 ** (8 * size)).to_bytes(size, order)
    # Sizes and counts stand at the beginning of most formats.
    place = rng.randrange(rng.choice((len(data), min(len(data), 512))) + 1)
    return data[:place] + number + data[place + size :]


def _put_word(data: bytes, rng: random.Random) -> bytes:
    numbers = list(re.finditer(rb"\d+", data[:100_000]))
    if not numbers:
        return data + rng.choice(WORDS)
    number = rng.choice(numbers)
    return data[: number.start()] + rng.choice(WORDS) + data[number.end() :]


_FAULTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip_bits,
    _flip_bits,
    _truncate,
    _blank,
    _remove,
    _repeat,
    _move,
    _scramble,
    _put_extreme,
    _put_word,
)


def _part(data: bytes, rng: random.Random) -> tuple[int, int]:
    first = rng.randrange(len(data) + 1)
    return first, min(len(data), first + rng.choice((1, 4, 64, 1024, len(data) // 2)))
