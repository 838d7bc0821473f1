"""One shard of the corpus: the cropped frames of its clips, and a report beside them."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from etils import epath
from tensorflow_datasets.core.example_serializer import ExampleSerializer

from micron_jax.datasets.frames import remote
from micron_jax.datasets.frames.plan import Shard
from micron_jax.datasets.frames.runs import Runs
from micron_jax.faces.crop import place_crop
from micron_jax.faces.landmarks import Detector
from micron_jax.faces.threads import one_thread
from micron_jax.video.clip_files import ClipFiles
from micron_jax.video.image_files import Unreadable, encode_jpeg
from micron_jax.video.reader import read_frames
from micron_jax.video.sameness import Sameness
from micron_jax.video.timing import read_timed


def features(size: int) -> tfds.features.FeaturesDict:
    """Describes a record."""
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(size, size, 3), encoding_format="jpeg"),
            "clip": tfds.features.Text(),
            "frame": tfds.features.Scalar(np.int64),
        }
    )


def build_shard(
    shard: Shard, detect: Detector | None, tick: Callable[[int], None] = lambda frames: None
) -> None:
    """Writes a shard's file and then its report, each whole or not at all.

    The report: {"clips": runs of frames [{"name", "first" in the shard, "count", "fps"}],
    "frames", "bytes", "seconds": of each frame, "assumed": number of clips at the recipe's rate,
    "skipped": [{"clip", "reason"}], "dropped":
    [{"clip", "reason", "frames"}], "identical": [{"clip", "reason"}]}.

    Args:
      shard: to be built; equal shards make equal bytes, wherever and whenever.
      detect: see `crop.detector`.
      tick: called with how many frames went by; in the end, `sum(shard.lengths)`.

    Raises:
      OSError, RuntimeError: it cannot be written.
    """
    report = {"clips": [], "frames": 0, "bytes": 0, "seconds": [], "assumed": 0}
    report |= {"skipped": [], "dropped": [], "identical": []}
    serialize = _serializer(shard.recipe["size"])
    with one_thread(), _scratch(shard) as scratch:
        writer = ArrayRecordWriter(str(scratch), "group_size:1")
        try:
            for clip, length in zip(shard.clips, shard.lengths, strict=True):
                for record in _ticking(
                    _read_clip(clip, shard.recipe, detect, report), length, tick
                ):
                    writer.write(serialize(record))
        finally:
            writer.close()
        report["bytes"] = scratch.stat().st_size
    remote.write_json(shard.report, report)


def _read_clip(
    clip: ClipFiles, recipe: dict, detect: Detector | None, report: dict
) -> Iterator[dict]:
    """Yields a clip's records, and notes in the report what becomes of it."""
    try:
        with remote.at_hand(clip) as local:
            frames = (frame for _, _, frame in read_frames(local))
            crop = place_crop(frames, recipe["crop"], recipe["size"], detect)
            timed = read_timed(local, recipe["fps"])
            runs, same = Runs(clip.name, timed.fps, timed.step, report), Sameness()
            report["assumed"] += timed.assumed
            for index, number, seconds, frame in timed.frames:
                if isinstance(frame, Unreadable):
                    runs.drop(number, str(frame))
                    continue
                same.add(frame)
                jpeg = encode_jpeg(crop(frame), recipe["quality"])
                yield {"image": jpeg, "clip": runs.add(number, seconds), "frame": index}
            if same.reason:
                report["identical"].append({"clip": clip.name, "reason": same.reason})
    except Unreadable as error:
        report["skipped"].append({"clip": clip.name, "reason": str(error)})


def _ticking(records: Iterator[dict], length: int, tick: Callable) -> Iterator[dict]:
    """Yields the same; `tick` is called for `length` frames in all, however many there are."""
    ticks = 0
    for record in records:
        if ticks < length:
            tick(1)
            ticks += 1
        yield record
    tick(length - ticks)


def _serializer(size: int) -> Callable[[dict], bytes]:
    described = features(size)
    serializer = ExampleSerializer(described.get_serialized_info())

    def serialize(record: dict) -> bytes:
        example = serializer.get_tf_example(described.encode_example(record))
        # Without it the order of the fields is another one in each process.
        return example.SerializeToString(deterministic=True)

    return serialize


@contextlib.contextmanager
def _scratch(shard: Shard) -> Iterator[Path]:
    """Gives the path to write to; the file takes its place afterwards, unless something fails."""
    in_bucket = remote.is_remote(shard.folder)
    with tempfile.TemporaryDirectory() if in_bucket else contextlib.nullcontext() as folder:
        path = Path(folder or shard.report.parent, f"{shard.number:05}.{os.getpid()}.incomplete")
        try:
            yield path
            if in_bucket:
                epath.Path(path).copy(shard.file, overwrite=True)
            else:
                os.replace(path, shard.file)
        finally:
            path.unlink(missing_ok=True)
