"""Looks at stored frames, each once: can it be decoded, how large is it, is it there twice."""

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
from micron_jax.video import images

CHUNK = 256  # frames decoded at a time
IMAGE_KEYS = ("image", "images", "frame", "frames")  # whose bytes are images, damaged or not
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"RIFF", b"II*\x00", b"MM\x00*")


@dataclasses.dataclass
class Survey:
    """What was found.

    Attributes:
      frames: how many there are.
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
    """The encoded frames of a record, in order.

    They are whatever bytes, or sequence of bytes, a field called image or frame (or their
    plurals) holds; in a record without such a field, those that start as an image file does.
    """
    named = [_blobs(record.get(key)) for key in IMAGE_KEYS]
    if any(blobs is not None for blobs in named):
        return [blob for blobs in named for blob in blobs or ()]
    return [b for value in record.values() for b in _blobs(value) or () if b.startswith(MAGIC)]


def numbers_in(record: dict[str, Any], count: int) -> list[int]:
    """The frames' numbers in the files' names, where the record has them; else from 0."""
    frames = record.get("frames")
    numbers = frames.get("number", ()) if isinstance(frames, dict) else ()
    return [int(n) for n in numbers] if len(numbers) == count else list(range(count))


def digest(blob: bytes) -> int:
    """64 bits: among 8 million frames two different ones agree with probability 2e-6."""
    return int.from_bytes(hashlib.blake2b(blob, digest_size=8).digest(), "little")


def survey(parts: Iterable[tuple[int, Sequence[int], Sequence[bytes]]]) -> Survey:
    """Looks at encoded frames, several at a time.

    Args:
      parts: (owner, numbers of the frames in it, frames); owners are numbers of clips.
    """
    sizes, unreadable = collections.Counter(), []
    digests, owners = array.array("Q"), array.array("q")  # 8 bytes a frame, not 60
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for owner, numbers, blobs in parts:
            looks = zip(numbers, pool.map(_look, blobs), strict=True)
            for number, (seen, readable, mark) in looks:
                if readable:
                    sizes[seen] += 1
                else:
                    unreadable.append((owner, number, seen))
                digests.append(mark)
                owners.append(owner)
    order = dict(sizes.most_common())
    marks, whose = np.array(digests, np.uint64), np.array(owners, np.int64)
    return Survey(len(marks), order, unreadable, marks, whose)


def shared(digests: np.ndarray, owners: np.ndarray) -> dict[tuple[int, int], int]:
    """Frames that two clips have in common: (clip, later clip) -> frames of the later one.

    Where more than two clips hold a frame, each is paired with the first of them.
    """
    order = np.lexsort((owners, digests))
    digests, owners = digests[order], owners[order]
    starts = np.r_[True, digests[1:] != digests[:-1]] if len(digests) else np.zeros(0, bool)
    first = owners[np.maximum.accumulate(np.where(starts, np.arange(len(owners)), 0))]
    pairs = np.stack([first, owners], 1)[first != owners]
    pairs, counts = np.unique(pairs, axis=0, return_counts=True)
    return {(int(a), int(b)): int(n) for (a, b), n in zip(pairs, counts, strict=True)}


def draw_sample(clips: Sequence[Clip], count: int) -> np.ndarray | None:
    """`count` frames to look at, always the same ones: records in order; None: all there are.

    The first frame of each clip is among them, by which a clip that is there twice shows itself;
    where there are more clips than that, the first frames of some.
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


def _blobs(value: Any) -> list[bytes] | None:
    """The bytes in a field, which may be none; None if it is of another kind, as a number is."""
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, dict):
        return images_in(value)
    if isinstance(value, list | tuple | np.ndarray) and getattr(value, "ndim", 1):
        blobs = [bytes(blob) for blob in value if isinstance(blob, bytes)]
        return blobs if blobs or not len(value) else None
    return None


def _look(blob: bytes) -> tuple[str, bool, int]:
    try:
        height, width, _ = images.decode_jpeg(blob).shape
    except images.Unreadable as error:
        return str(error), False, digest(blob)
    return f"{width}x{height}", True, digest(blob)
