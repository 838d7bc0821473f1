"""The unlabeled corpus: face crops of many clips, each clip's frames in order and adjacent.

Beside the records lies `seconds.npy`, float64 [records]: the time of each frame in its clip.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath

from micron_jax import npz
from micron_jax.data.pairs import Clip
from micron_jax.datasets.frames.source import FrameSource
from micron_jax.errors import UserError

NAME, VERSION, SPLIT = "frames", "1.0.0", "train"
SECONDS = "seconds.npy"


def set_folder(data_dir: str | Path) -> epath.Path:
    """Returns the place of the set below `data_dir`."""
    return epath.Path(data_dir) / NAME / VERSION


def is_built(data_dir: str | Path) -> bool:
    """Returns whether a complete set lies there: this file is put in place last."""
    return (set_folder(data_dir) / "dataset_info.json").is_file()


def describe(data_dir: str | Path) -> dict[str, Any] | None:
    """Describes a built set; None: there is none.

    Returns:
      {"folder": Path, "clips": runs of frames, "frames", "bytes", "skipped": [{"clip", "reason"}]
      of whole clips, "dropped": [{"clip", "reason", "frames"}] of gaps in clips, "identical":
      [{"clip", "reason"}] of clips in which nothing changes, "assumed": number of clips whose frame
      rate is the recipe's, "excluded": clips that the user left out, "notes": see
      `FileNotes.entries`, "recipe": settings of the build}; a set of an earlier version tells less.
    """
    if not is_built(data_dir):
        return None
    import tensorflow_datasets as tfds

    info = tfds.builder_from_directory(set_folder(data_dir)).info
    metadata = dict(info.metadata.items())
    return metadata | {
        "folder": set_folder(data_dir),
        "clips": len(metadata["clips"]),
        "frames": info.splits[SPLIT].num_examples,
        "bytes": info.splits[SPLIT].num_bytes,
    }


def open_frames(data_dir: str | Path) -> tuple[FrameSource, list[Clip]]:
    """Opens the built set.

    Returns:
      (source, clips): `source[i]` and `source.__getitems__([i, ...])` give records {"image": JPEG
      bytes of an RGB crop, "clip": UTF-8 bytes, "frame": int, number in the clip's files};
      `clips` is the index, in order of `first`; a set of an earlier version has no times, and its
      frames count as equally spaced.

    Raises:
      UserError: `data_dir` holds no such set, or not all of it; a shard cannot be read.
    """
    if not is_built(data_dir):
        raise UserError(
            f"no data set `{NAME}` in {data_dir}; build it: "
            f"micron-jax data build {NAME} --source FOLDER_OF_VIDEOS --data-dir {data_dir}"
        )
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(set_folder(data_dir))
    records = builder.as_data_source(SPLIT, decoders={"image": tfds.decode.SkipDecoding()})
    split = builder.info.splits[SPLIT]
    source = FrameSource(records, tuple(map(str, split.filepaths)), tuple(split.shard_lengths))
    index, seconds = builder.info.metadata["clips"], _read_seconds(set_folder(data_dir))
    if seconds is None:
        return source, [Clip(**clip) for clip in index]
    if len(seconds) != len(source):
        raise UserError(
            f"{set_folder(data_dir) / SECONDS}: holds {len(seconds)} times of {len(source)} "
            "frames; build the set again"
        )
    ends = (clip["first"] + clip["count"] for clip in index)
    return source, [
        Clip(**clip, seconds=seconds[clip["first"] : end])
        for clip, end in zip(index, ends, strict=True)
    ]


def _read_seconds(folder: epath.Path) -> np.ndarray | None:
    """Returns the times of all frames, float64 [records]; None: an earlier version kept none."""
    path = folder / SECONDS
    if not path.exists():
        return None
    try:
        return np.load(io.BytesIO(path.read_bytes()))
    except npz.DAMAGE as error:
        raise UserError(f"{path}: cannot be read ({error}); build the set again") from None
