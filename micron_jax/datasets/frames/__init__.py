"""The unlabeled corpus: face crops of many clips, each clip's frames in order and adjacent."""

from pathlib import Path
from typing import Any

from etils import epath

from micron_jax.data.pairs import Clip
from micron_jax.errors import UserError

NAME, VERSION, SPLIT = "frames", "1.0.0", "train"


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
      of whole clips, "dropped": [{"clip", "reason", "frames"}] of gaps in clips, "excluded": clips
      that the user left out, "recipe": settings of the build}.
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


def open_frames(data_dir: str | Path) -> tuple[Any, list[Clip]]:
    """Opens the built set.

    Returns:
      (source, clips): `source[i]` and `source.__getitems__([i, ...])` give records {"image": JPEG
      bytes of an RGB crop, "clip": UTF-8 bytes, "frame": int, number in the clip's files};
      `clips` is the index, in order of `first`.

    Raises:
      UserError: `data_dir` holds no such set.
    """
    if not is_built(data_dir):
        raise UserError(
            f"no data set `{NAME}` in {data_dir}; build it: "
            f"micron-jax data build {NAME} --source FOLDER_OF_VIDEOS --data-dir {data_dir}"
        )
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(set_folder(data_dir))
    source = builder.as_data_source(SPLIT, decoders={"image": tfds.decode.SkipDecoding()})
    return source, [Clip(**clip) for clip in builder.info.metadata["clips"]]
