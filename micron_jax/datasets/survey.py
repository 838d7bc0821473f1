"""A survey of stored frames: damaged ones, sizes, and frames that are there twice."""

import array
import collections
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from micron_jax.data.pairs import Clip
from micron_jax.video import image_files

CHUNK = 256  # frames decoded at a time
IMAGE_KEYS = ("image", "images", "frame", "frames")  # whose bytes are images, damaged or not
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"RIFF", b"II*\x00", b"MM\x00*")


@dataclasses.dataclass
class Survey:
    """The result of `survey`.

    Attributes:
      sizes: "WIDTHxHEIGHT" -> frames.
      unreadable: [(owner, number of the frame in it, reason)].
      digests: uint64 [frames], of the stored bytes.
      owners: int64 [frames], the clip of each.
    """

    frames: int
    sizes: dict[str, int]
    unreadable: list[tuple[int, int, str]]
    digests: np.ndarray
    owners: np.ndarray


def images_in(record: dict[str, Any]) -> list[bytes]:
    """Returns the encoded frames of a record, in order.

    They are the bytes in a field called image or frame (or their plurals); in a record without
    such a field, all bytes that start as an image file does.
    """
    named = [_blobs(record.get(key)) for key in IMAGE_KEYS]
    if any(blobs is not None for blobs in named):
        return [blob for blobs in named for blob in blobs or ()]
    return [b for value in record.values() for b in _blobs(value) or () if b.startswith(MAGIC)]


def numbers_in(record: dict[str, Any], count: int) -> list[int]:
    """Returns the frames' numbers in the files' names if the record has them, else 0, 1, ..."""
    frames = record.get("frames")
    numbers = frames.get("number", ()) if isinstance(frames, dict) else ()
    return [int(n) for n in numbers] if len(numbers) == count else list(range(count))


def digest(blob: bytes) -> int:
    """Returns 64 bits: of 8 million different frames any two agree with probability 2e-6."""
    return int.from_bytes(hashlib.blake2b(blob, digest_size=8).digest(), "little")


def survey(parts: Iterable[tuple[int, Sequence[int], Sequence[bytes]]]) -> Survey:
    """Decodes and hashes encoded frames, several at a time.

    Args:
      parts: (owner, numbers of the frames in it, frames); owners are numbers of clips.
    """
    sizes, unreadable = collections.Counter(), []
    digests, owners = array.array("Q"), array.array("q")  # 8 bytes a frame, not 60
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for owner, numbers, blobs in parts:
            results = zip(numbers, pool.map(_inspect, blobs), strict=True)
            for number, (text, readable, mark) in results:
                if readable:
                    sizes[text] += 1
                else:
                    unreadable.append((owner, number, text))
                digests.append(mark)
                owners.append(owner)
    order = dict(sizes.most_common())
    marks, whose = np.array(digests, np.uint64), np.array(owners, np.int64)
    return Survey(len(marks), order, unreadable, marks, whose)


def shared(digests: np.ndarray, owners: np.ndarray) -> dict[tuple[int, int], int]:
    """Returns (clip, later clip) -> number of the later one's frames that the other has, too.

    If more than two clips hold a frame, each is paired with the first of them.
    """
    order = np.lexsort((owners, digests))
    digests, owners = digests[order], owners[order]
    starts = np.r_[True, digests[1:] != digests[:-1]] if len(digests) else np.zeros(0, bool)
    first = owners[np.maximum.accumulate(np.where(starts, np.arange(len(owners)), 0))]
    pairs = np.stack([first, owners], 1)[first != owners]
    pairs, counts = np.unique(pairs, axis=0, return_counts=True)
    return {(int(a), int(b)): int(n) for (a, b), n in zip(pairs, counts, strict=True)}


def draw_sample(clips: Sequence[Clip], count: int) -> np.ndarray | None:
    """Draws `count` records to look at, always the same ones, in order; None: take all.

    The first frame of each clip is among them (if there are fewer clips than `count`), because it
    shows a clip that is there twice.
    """
    total = sum(clip.count for clip in clips)
    if total <= count:
        return None
    rng = np.random.default_rng(0)
    first = np.array([clip.first for clip in clips], np.int64)
    if len(first) >= count:
        return np.sort(rng.choice(first, count, replace=False))
    rest = np.ones(total, bool)
    rest[first] = False
    rest = np.flatnonzero(rest)  # 8 bytes a frame
    return np.sort(np.concatenate([first, rng.choice(rest, count - len(first), replace=False)]))


def read_records(source: Any, numbers: Sequence[int]) -> list[dict]:
    """Reads several records, at once if the source can."""
    many = getattr(source, "__getitems__", None)
    return list(many(list(numbers))) if many else [source[number] for number in numbers]


def _blobs(value: Any) -> list[bytes] | None:
    """Returns the bytes in a field, perhaps none; None if the field is of another kind."""
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, dict):
        return images_in(value)
    if isinstance(value, list | tuple | np.ndarray) and getattr(value, "ndim", 1):
        blobs = [bytes(blob) for blob in value if isinstance(blob, bytes)]
        return blobs if blobs or not len(value) else None
    return None


def _inspect(blob: bytes) -> tuple[str, bool, int]:
    try:
        height, width, _ = image_files.decode_jpeg(blob).shape
    except image_files.Unreadable as error:
        return str(error), False, digest(blob)
    return f"{width}x{height}", True, digest(blob)
