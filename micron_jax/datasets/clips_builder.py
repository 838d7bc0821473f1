"""The TFDS builder of the labeled benchmarks: a clip an example, its files byte for byte."""

import contextlib
import dataclasses
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from micron_jax.checks import choose
from micron_jax.datasets.building import Info, group, quiet, refusal, sole_builder
from micron_jax.datasets.clips import KEEPS, LABELS, SPLIT, VERSION, set_folder
from micron_jax.datasets.clips_plan import Plan, Planned, plan
from micron_jax.datasets.clipset import ClipSet
from micron_jax.errors import UserError
from micron_jax.video.image_files import Unreadable, decode_jpeg

BYTES_PER_SHARD = 256 << 20
TRUTH = "truth.json"  # what `data synth` writes beside the sheet of a set that it makes


class ClipBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """The TFDS builder of a benchmark; `builder_class` makes one for a set."""

    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(name="clip", description="all frames from onset to offset"),
        tfds.core.BuilderConfig(name="pair", description="the frames onset and apex"),
        tfds.core.BuilderConfig(name=LABELS, description="the rows of the sheet, without frames"),
    ]
    spec: ClassVar[ClipSet]

    def __init__(self, *, plan: Plan, recipe: dict, strict: bool, **kwargs):
        """Prepares to build.

        Args:
          recipe: the settings of `build_clips`; stored with the data.
          strict: whether a frame that cannot be decoded ends the build.
          **kwargs: arguments of TFDS, as `config`, `data_dir` and `file_format`.
        """
        self._plan, self._recipe, self._strict = plan, recipe, strict
        self._samples, self._skipped, self._frames = [], list(plan.skipped), 0
        self._identical: list[dict] = []
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        text, integer = tfds.features.Text, tfds.features.Scalar(np.int64)
        # TFDS's own Image knows neither BMP nor a mixture, so frames are plain bytes.
        image = tfds.features.Tensor(shape=(), dtype=np.bytes_)
        features = tfds.features.FeaturesDict(
            {
                "frames": tfds.features.Sequence({"image": image, "number": integer}),
                "clip": text(),
                "subject": text(),
                "emotion": text(),
                "action_units": text(),
                "sheet": text(),
                "onset": integer,
                "apex": integer,
                "offset": integer,
                "fps": tfds.features.Scalar(np.float64),
            }
        )
        return Info(
            builder=self,
            description=self.spec.title,
            features=features,
            homepage=self.spec.homepage,
            citation=self.spec.citation,
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _shard_iterators_per_split(self, dl_manager) -> dict[str, list[Callable[[], Iterator]]]:
        del dl_manager
        shards = group([_size(item) for item in self._plan.planned], BYTES_PER_SHARD)
        return {SPLIT: [functools.partial(self._shard, shard) for shard in shards]}

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        total = len(self._plan.planned)
        with tqdm(total=total, unit=" clips", desc=self.spec.name) as self._bar:
            super()._download_and_prepare(dl_manager, download_config)
        if not self._samples:
            first = self._skipped[-1]
            raise UserError(f"no clip can be used (row {first['row']}: {first['reason']})")
        self.info.metadata.update(
            recipe=self._recipe,
            sheet=self._plan.sheet,
            frames=self._frames,
            samples=self._samples,
            mended=self._plan.mended,
            skipped=self._skipped,
            gaps=self._plan.gaps,
            identical=self._identical,
            notes=[*self.spec.notes, *self._plan.notes],
            **self._plan.more,
        )

    def _shard(self, numbers: range) -> Iterator[tuple[int, dict]]:
        for item in (self._plan.planned[number] for number in numbers):
            self._bar.update()
            try:
                images = [_read(item.folder / name) for _, name in item.files]
            except Unreadable as error:
                note = {"clip": item.sample.clip, "row": item.row, "reason": str(error)}
                if self._strict:
                    raise UserError(f"strict: {_line(note)}") from None
                self._skipped.append(note)
                continue
            sample = dataclasses.asdict(item.sample)
            counted = zip(item.files, images, strict=True)
            frames = [{"image": image, "number": number} for (number, _), image in counted]
            example = {name: value for name, value in sample.items() if name in self.info.features}
            example |= {"frames": frames, "sheet": self._plan.sheet["file"]}
            yield len(self._samples), example
            # After the yield: an example that cannot be written does not count.
            self._samples.append(sample)
            if len(images) > 1 and len(set(images)) == 1:
                reason = f"all {len(images)} frames are the same file, byte for byte"
                self._identical.append(
                    {"clip": item.sample.clip, "row": item.row, "reason": reason}
                )
            self._frames += len(frames)


def build_clips(
    spec: ClipSet,
    source: str | Path,
    data_dir: str | Path,
    *,
    keep: str = "clip",
    strict: bool = False,
    sheet: str | Path | None = None,
    frames: str | Path | None = None,
    others: Iterable[ClipSet] = (),
) -> bool:
    """Builds a set, whole or not at all; first it removes the debris of a killed build.

    Args:
      source: the folder as unpacked; of `labels`, the workbook, too.
      data_dir: where data sets lie; this one goes to `data_dir/NAME/KEEP/1.0.0`.
      keep: `pair` (onset and apex), `clip` (all frames from onset to offset), or `labels` (what the
        sheet says, without frames).
      strict: refuse, instead of skipping rows that cannot be used and keeping clips with gaps.
      sheet: the workbook, where several fit.
      frames: the folder of frames, where several fit.
      others: sets that a wrong sheet may belong to.

    Returns:
      True if it was built, False if it was already there, of the same source and settings.

    Raises:
      UserError: the source lacks the sheet or the frames, or leaves a choice; no row can be used,
        or, if strict, one cannot; another set lies in `data_dir`; it cannot be written.
    """
    choose("", {"keep": keep}, keep=KEEPS)
    chosen = {"sheet": sheet and Path(sheet), "frames": frames and Path(frames)}
    todo = plan(spec, Path(source), keep, **chosen, others=others)
    mark_synthetic(todo, Path(source) if Path(source).is_dir() else Path(source).parent)
    return build_plan(spec, todo, source, data_dir, keep=keep, strict=strict)


def mark_synthetic(todo: Plan, folder: Path) -> None:
    """Marks a set that `data synth` made, which its truth beside the sheet tells."""
    if (folder / TRUTH).is_file():
        todo.more["synthetic"] = True
        todo.notes.append(f"synthetic: `data synth` made these clips ({TRUTH} lies beside them)")


def build_plan(
    spec: ClipSet,
    todo: Plan,
    source: str | Path,
    data_dir: str | Path,
    *,
    keep: str,
    strict: bool,
) -> bool:
    """Builds a set by its plan; see `build_clips`."""
    folder = set_folder(data_dir, spec.name, keep)
    if strict and (faults := todo.skipped + todo.gaps):
        raise UserError(f"strict: {len(faults)} rows have faults, the first is {_line(faults[0])}")
    recipe = {
        "source": str(Path(source).resolve()),
        "frames": str(todo.prefix),
        "fingerprint": todo.fingerprint(),
        "sheet": todo.sheet["sha256"],
        "strict": strict,
    }
    if folder.exists():
        _check_same(recipe, folder)
        return False
    try:
        with (
            sole_builder(folder.parent),
            _no_traces(folder.parents[1]),
            quiet(),
            tempfile.TemporaryDirectory() as scratch,
        ):
            settings = {"config": keep, "data_dir": data_dir, "file_format": "array_record"}
            builder = builder_class(spec)(plan=todo, recipe=recipe, strict=strict, **settings)
            builder.download_and_prepare(download_dir=scratch)
    except (OSError, RuntimeError) as error:
        raise refusal(error, data_dir) from None
    return True


def builder_class(spec: ClipSet) -> type[ClipBuilder]:
    """Returns the TFDS builder of one set, under the set's own name."""

    class Builder(ClipBuilder, skip_registration=True):
        name = spec.name
        MANUAL_DOWNLOAD_INSTRUCTIONS = spec.instructions

    Builder.spec = spec
    return Builder


@contextlib.contextmanager
def _no_traces(folder: Path) -> Iterator[None]:
    """Removes the default config that TFDS notes early, if nothing was built."""
    try:
        yield
    finally:
        if not any(folder.glob("*/*/dataset_info.json")):
            shutil.rmtree(folder / ".config", ignore_errors=True)


def _check_same(recipe: dict, folder: Path) -> None:
    mend = f"remove {folder} to build it again, or choose another data_dir"
    if not (folder / "dataset_info.json").is_file():
        raise UserError(f"{folder} holds no complete data set; {mend}")
    earlier = dict(tfds.builder_from_directory(folder).info.metadata.items())["recipe"]
    if any(recipe[name] != earlier[name] for name in ("fingerprint", "sheet")):
        raise UserError(f"{folder} was built from {earlier['frames']} as it was then; {mend}")


def _line(note: dict) -> str:
    return f"row {note['row']}, {note['clip']}: {note['reason']}"


def _read(path: Path) -> bytes:
    """Returns the bytes of a whole picture; raises Unreadable if it is damaged."""
    try:
        data = path.read_bytes()
        decode_jpeg(data)
    except (Unreadable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Unreadable(f"{path.name}: {reason}") from None
    return data


def _size(item: Planned) -> int:
    return sum((item.folder / name).stat().st_size for _, name in item.files)
