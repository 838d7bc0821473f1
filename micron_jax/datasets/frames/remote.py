"""Clips and sets in a bucket (`gs://`, `s3://`), through etils.epath.

Films and array_record files are read and written on the machine's own disk: a clip is copied there
before it is read, and a finished shard is copied to the bucket.
"""

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

from micron_jax.files import write_whole
from micron_jax.video import clip_files, reader
from micron_jax.video.frame_order import order_frames
from micron_jax.video.image_files import Unreadable

BYTES_PER_FRAME = 20_000  # of a compressed video, about: a clip is not fetched to be counted


def is_remote(path: Any) -> bool:
    """Returns whether a path names an object of a bucket."""
    return "://" in os.fspath(path)


def clip_at(
    path: str, name: str, first: int | None, last: int | None, fps: float | None
) -> clip_files.ClipFiles:
    """Returns the clip that a video, or a folder of images, in a bucket is.

    Raises:
      ValueError: it is none; the message starts with the column that says so.
    """
    place = epath.Path(path)
    try:
        if place.is_dir():
            files = [place / name for name in _frame_names(place)]
        else:
            film = place.exists() and place.suffix.lower() in clip_files.VIDEOS
            files = [place] if film else []
        size = sum(file.stat().length for file in files)
    except Unreadable as error:
        raise ValueError(f"path: {path}: {error}") from None
    except Exception as error:  # every bucket's client has its own
        raise ValueError(f"path: {path} cannot be reached ({error})") from None
    if not files:
        raise ValueError(f"path: {path} is neither a video nor a folder of images")
    return clip_files.ClipFiles(name, place, len(files), size, first, last, fps)


def write_json(path: epath.Path, value: Any) -> None:
    """Writes JSON, whole or not at all, to the disk or a bucket."""
    text = json.dumps(value, ensure_ascii=False).encode()
    path.write_bytes(text) if is_remote(path) else write_whole(Path(path), text)


def length(clip: clip_files.ClipFiles) -> int:
    """Returns about how many frames a clip has, wherever it lies."""
    if not is_remote(clip.path):
        return reader.rate_and_length(clip)[1]
    if clip.last is not None:
        return clip.last - (clip.first or 0) + 1
    return max(clip.files, clip.bytes // BYTES_PER_FRAME)


@contextlib.contextmanager
def at_hand(clip: clip_files.ClipFiles) -> Iterator[clip_files.ClipFiles]:
    """Gives the clip on this machine's disk: itself, or a copy for as long as it is needed."""
    if not is_remote(clip.path):
        yield clip
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, clip.path.name)
        if clip.path.is_dir():
            copy.mkdir()
            for name in _frame_names(clip.path):
                (clip.path / name).copy(copy / name)
        else:
            clip.path.copy(copy)
        yield dataclasses.replace(clip, path=copy)


def _frame_names(folder: epath.Path) -> list[str]:
    return order_frames(clip_files.select_images(file.name for file in folder.iterdir())).names
