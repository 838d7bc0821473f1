"""Builds the data set `frames`: a folder of videos and of image folders -> aligned face crops.

A `ShardBasedBuilder`: frames stream to disk in order. TFDS's `GeneratorBasedBuilder` sorts the
examples first, in memory up to 1 GB and beyond that with TensorFlow.
"""

import functools
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from micron_jax.data import faces, images
from micron_jax.datasets.building import Info, group, quiet, sole_builder
from micron_jax.datasets.frames import SPLIT, VERSION, set_folder
from micron_jax.errors import UserError

FRAMES_PER_SHARD = 16_384  # about 400 MB at 224 px


def fingerprint(clips: list[images.ClipFiles]) -> str:
    """What a source folder holds, whatever it is called: names, numbers of files, sizes."""
    lines = [f"{clip.name}\t{clip.files}\t{clip.bytes}\n" for clip in clips]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class Frames(tfds.core.ShardBasedBuilder):
    """Unlabelled face video: aligned crops, a clip's frames in order and next to each other."""

    VERSION = tfds.core.Version(VERSION)

    def __init__(self, *, clips: list[images.ClipFiles], recipe: dict, **kwargs):
        """Prepares to build; `build` below is the way in.

        Args:
          clips: what to read, in this order.
          recipe: how, see `build`; stored with the data.
          **kwargs: TFDS's own, as `data_dir` and `file_format`.
        """
        self._sources, self._recipe, self._size = clips, recipe, recipe["size"]
        self._index, self._skipped, self._dropped, self._count = [], [], [], 0
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        shape = (self._size, self._size, 3)
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=shape, encoding_format="jpeg"),
                "clip": tfds.features.Text(),
                "frame": tfds.features.Scalar(np.int64),
            }
        )
        return Info(
            builder=self,
            description=self.__doc__,
            features=features,
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _shard_iterators_per_split(self, dl_manager) -> dict[str, list[Callable[[], Iterator]]]:
        del dl_manager
        shards = group(self._lengths, FRAMES_PER_SHARD)
        return {SPLIT: [functools.partial(self._shard, shard) for shard in shards]}

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        self._detect = faces.all_faces_detector()
        self._lengths = [images.clip_facts(clip)[1] for clip in self._sources]
        total = sum(self._lengths)
        with tqdm(total=total, unit=" frames", desc="frames", mininterval=1.0) as self._bar:
            super()._download_and_prepare(dl_manager, download_config)
        if not self._count:
            reasons = "; ".join(f"{skip['clip']}: {skip['reason']}" for skip in self._skipped[:3])
            raise UserError(f"none of the {len(self._sources)} clips can be used ({reasons})")
        self.info.metadata.update(
            recipe=self._recipe, clips=self._index, skipped=self._skipped, dropped=self._dropped
        )

    def _shard(self, numbers: range) -> Iterator[tuple[int, dict]]:
        for number in numbers:
            try:
                yield from self._clip(self._sources[number])
            except images.Unreadable as error:
                self._skipped.append({"clip": self._sources[number].name, "reason": str(error)})
                self._bar.total -= self._lengths[number]

    def _clip(self, clip: images.ClipFiles) -> Iterator[tuple[int, dict]]:
        transform = self._align(clip)
        fps = images.clip_facts(clip)[0] or self._recipe["fps"]
        run, runs = None, 0
        for number, frame in images.read_frames(clip):
            self._bar.update()
            if isinstance(frame, images.Unreadable):
                # What follows a gap is a run of its own: in a run, frames are equally spaced.
                self._dropped.append({"clip": clip.name, "reason": str(frame)})
                run = None
                continue
            if run is None:
                runs += 1
                name = clip.name if runs == 1 else f"{clip.name}#{runs}"
                run = {"name": name, "first": self._count, "count": 0, "fps": fps}
                self._index.append(run)
            crop = faces.warp(frame, transform, self._size)
            jpeg = images.encode_jpeg(crop, self._recipe["quality"])
            yield self._count, {"image": jpeg, "clip": run["name"], "frame": number}
            run["count"] += 1
            self._count += 1

    def _align(self, clip: images.ClipFiles) -> np.ndarray:
        """The clip's one transform, [2, 3].

        Raises:
          Unreadable: not a frame can be read, or none shows a face.
        """

        def readable() -> Iterator[np.ndarray]:
            frames = (frame for _, frame in images.read_frames(clip))
            return (frame for frame in frames if not isinstance(frame, images.Unreadable))

        landmarks = faces.find_landmarks(readable(), self._detect)
        if landmarks is None:
            if next(readable(), None) is None:
                raise next(images.read_frames(clip))[1]
            raise images.Unreadable("no face")
        return faces.canonical_transform(landmarks, self._size)


def build(
    source: str | Path,
    data_dir: str | Path,
    *,
    size: int = 224,
    fps: float = 30.0,
    quality: int = 95,
) -> bool:
    """Builds the set, whole or not at all; what a killed build left behind is cleared first.

    Args:
      source: folder, searched with all folders below it; see `images.find_clips`.
      data_dir: where data sets lie; this one goes to `data_dir/frames/1.0.0`.
      size: side of the square crops, in pixels.
      fps: frame rate of clips whose files do not tell theirs, as of image folders.
      quality: of the stored JPEGs, 1..100.

    Returns:
      True if it was built, False if it was already there, of the same source and settings.

    Raises:
      UserError: the source is no folder, or nothing in it can be used; another set lies in
        `data_dir`, or another build writes there; its disk is full; a setting is out of range.
    """
    for name, value, low, high in (
        ("size", size, 16, 4096),
        ("fps", fps, 1, 2000),
        ("quality", quality, 1, 100),
    ):
        if not low <= value <= high:
            raise UserError(f"--{name} {value:g}: needed is {low} to {high}")
    source, folder = Path(source), set_folder(Path(data_dir))
    clips = images.find_clips(source)
    recipe = {
        "source": str(source.resolve()),
        "fingerprint": fingerprint(clips),
        "layout": faces.LAYOUT,
        "size": size,
        "fps": fps,
        "quality": quality,
    }
    if folder.exists():
        _check_same(recipe, folder)
        return False
    try:
        with sole_builder(folder.parent), quiet(), tempfile.TemporaryDirectory() as scratch:
            builder = Frames(
                clips=clips, recipe=recipe, data_dir=data_dir, file_format="array_record"
            )
            builder.download_and_prepare(download_dir=scratch)
    except (OSError, RuntimeError) as error:
        if "No space left" in str(error):
            raise UserError(f"--data-dir {data_dir}: no space left on its disk") from None
        raise
    return True


def _check_same(recipe: dict, folder: Path) -> None:
    mend = f"remove {folder} to build anew, or name another --data-dir"
    if not (folder / "dataset_info.json").is_file():
        raise UserError(f"{folder} holds no complete data set; {mend}")
    built = dict(tfds.builder_from_directory(folder).info.metadata.items())["recipe"]
    differ = [name for name in recipe if name != "source" and recipe[name] != built[name]]
    if differ == ["fingerprint"]:
        same = recipe["source"] == built["source"]
        what = "what it held then is not what it holds now" if same else "this is another source"
        raise UserError(f"{folder} was built from {built['source']}, and {what}; {mend}")
    if differ:
        was = ", ".join(f"{name} {built[name]}" for name in differ)
        raise UserError(f"{folder} was built with {was}; {mend}")
