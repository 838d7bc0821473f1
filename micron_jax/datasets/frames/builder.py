"""The build of the data set `frames`: crops of films and folders of images, in shards.

Finished shards stay: after a kill the same call goes on with the others, and the set has the same
bytes as without the kill, whoever builds the shards.
"""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tqdm import tqdm

from micron_jax.checks import choose, within
from micron_jax.datasets.building import quiet, refusal, sole_builder
from micron_jax.datasets.frames import (
    NAME,
    SECONDS,
    SPLIT,
    VERSION,
    is_built,
    plan,
    pool,
    set_folder,
    sources,
)
from micron_jax.datasets.frames.remote import is_remote, write_json
from micron_jax.datasets.frames.shard import features
from micron_jax.errors import UserError
from micron_jax.faces.crop import KINDS, settings
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.timing import ASSUMED_FPS

INFO = "dataset_info.json"
INDEX_VERSION = 2  # 1 kept no times of frames


def build(
    source: str | Path,
    data_dir: str | Path,
    *,
    size: int = 224,
    fps: float | None = None,
    quality: int = 95,
    crop: str = "face",
    exclude: str | Path | None = None,
    workers: int = 1,
    beam: str | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> bool:
    """Builds the set, or goes on with a build that was stopped; it is there once it is whole.

    Args:
      source: folder, searched with all folders below it, or a list of clips; see `sources.find`.
      data_dir: where data sets lie; this one goes to `data_dir/frames/1.0.0`.
      size: side of the square crops, in pixels.
      fps: frames per second of all clips, in place of what films tell, but not of a list's; None:
        `ASSUMED_FPS` of clips whose files do not tell it, which are images mostly. Their number is
        `assumed` in the description of the set.
      quality: of the stored JPEGs, 1..100.
      crop: one of `faces.crop.KINDS`; `whole` serves sources that are crops of faces already.
      exclude: file of clips to leave out; see `sources.read_patterns`.
      workers: processes; 1 is this one.
      beam: options of Apache Beam, which then builds the shards; see `beam.parse`.
      notify: called with a line on each pattern of `exclude` that fits no clip.

    Returns:
      True if it was built, False if it was already there, of the same source and settings.

    Raises:
      UserError: the source is no folder, or nothing in it can be used; another set lies in
        `data_dir`, whole or begun, or another build writes there; its disk is full or cannot be
        written; a setting is out of range.
    """
    given, fps = fps is not None, ASSUMED_FPS if fps is None else fps
    arguments = {"size": size, "fps": fps, "quality": quality, "workers": workers, "crop": crop}
    within("", arguments, size=(16, 4096), fps=(1, 2000), quality=(1, 100), workers=(1, 1024))
    choose("", arguments, crop=KINDS)
    patterns = sources.read_patterns(Path(exclude)) if exclude else []
    notes = FileNotes()
    all_clips = sources.find(Path(source), notes)
    clips, excluded, idle = sources.leave_out(all_clips, patterns)
    for pattern in idle:
        notify(f"{exclude}: no clip is called {pattern}")
    if not clips:
        raise UserError(f"{exclude} leaves none of the {len(all_clips):,} clips")
    recipe = {
        "source": str(Path(source).resolve()),
        "fingerprint": plan.fingerprint(all_clips),
        "excluded": plan.digest(excluded),
        "fps": fps,
        "fps_of": "all" if given else "images",
        "quality": quality,
        "index_version": INDEX_VERSION,
        **settings(crop, size),
    }
    if given:
        clips = [dataclasses.replace(clip, fps=clip.fps or float(fps)) for clip in clips]
    folder = set_folder(data_dir)
    if is_built(data_dir):
        earlier = dict(tfds.builder_from_directory(folder).info.metadata.items())["recipe"]
        _check_same(recipe, earlier, folder, "built")
        _remove(folder / plan.PROGRESS)  # killed between the last two steps
        return False
    build_shards = functools.partial(pool.build_shards, workers=workers)
    if beam is not None:
        from micron_jax.datasets.frames.beam import build_with_beam, parse

        build_shards = functools.partial(build_with_beam, options=parse(beam, workers))
    in_bucket = is_remote(folder)  # where nothing can be held
    try:
        with contextlib.nullcontext() if in_bucket else sole_builder(Path(folder.parent)), quiet():
            facts = {"excluded": excluded, "notes": notes.entries()}
            _build(clips, folder, recipe, facts, build_shards)
    except (OSError, RuntimeError) as error:
        raise refusal(error, data_dir) from None
    return True


def _build(
    clips: list,
    folder: epath.Path,
    recipe: dict[str, Any],
    facts: dict[str, Any],
    build_shards: Callable,
) -> None:
    lengths = _begin(clips, folder, recipe)
    shards = list(plan.shards(clips, lengths, str(folder), recipe))
    todo = [shard for shard in shards if not shard.finished()]
    done = sum(lengths) - sum(sum(shard.lengths) for shard in todo)
    try:
        with tqdm(total=sum(lengths), initial=done, unit=" frames", desc="frames") as bar:
            if todo:
                build_shards(todo, bar)
    except BaseException:
        if not plan.any_finished(folder):
            _remove(folder)  # there is nothing to go on with
        raise
    _finish(shards, folder, recipe, facts)


def _begin(clips: list, folder: epath.Path, recipe: dict[str, Any]) -> list[int]:
    """Goes on with an earlier plan, or writes a new one; returns about how long each clip is."""
    earlier = plan.earlier(folder)
    if earlier:
        _check_same(recipe, earlier["recipe"], folder, "begun")
        for debris in (folder / plan.PROGRESS).glob("*.incomplete"):  # of a build that was killed
            debris.unlink()
        return earlier["lengths"]
    _remove(folder)  # what a build left behind that was killed in its first shards
    lengths = plan.count_frames(clips)
    (folder / plan.PROGRESS).mkdir(parents=True, exist_ok=True)
    write_json(folder / plan.PROGRESS / "plan.json", {"recipe": recipe, "lengths": lengths})
    return lengths


def _finish(
    shards: Sequence[plan.Shard], folder: epath.Path, recipe: dict[str, Any], facts: dict[str, Any]
) -> None:
    """Joins the shards' reports to the set's index and puts TFDS's files in place."""
    index, seconds, lengths, size, assumed = [], [], [], 0, 0
    notes = {"skipped": [], "dropped": [], "identical": []}
    for shard in shards:
        report = json.loads(shard.report.read_text("utf-8"))
        before = sum(lengths)
        index += [run | {"first": before + run["first"]} for run in report["clips"]]
        seconds.append(np.array(report["seconds"], np.float64))
        for name, entries in notes.items():
            entries += report[name]
        lengths.append(report["frames"])
        size += report["bytes"]
        assumed += report["assumed"]
    if not index:
        _remove(folder)
        skipped = notes["skipped"]
        reasons = "; ".join(f"{skip['clip']}: {skip['reason']}" for skip in skipped[:3])
        raise UserError(f"none of the {len(skipped)} clips can be used ({reasons})")
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name=NAME, version=tfds.core.Version(VERSION), data_dir=str(folder), module_name=""
        ),
        description="Unlabeled face video: crops, a clip's frames in order and adjacent.",
        features=features(recipe["size"]),
        metadata=tfds.core.MetadataDict(
            recipe=recipe, clips=index, assumed=assumed, **notes, **facts
        ),
        disable_shuffling=True,
    )
    info.set_file_format("array_record")
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=NAME, split=SPLIT, filetype_suffix="array_record"
    )
    split = tfds.core.SplitInfo(SPLIT, lengths, size, filename_template=template)
    info.set_splits(tfds.core.SplitDict([split]))
    scratch = folder / plan.PROGRESS / "info"
    _remove(scratch)
    scratch.mkdir()
    info.write_to_directory(scratch)
    with (scratch / SECONDS).open("wb") as file:
        np.save(file, np.concatenate(seconds))
    for file in sorted(scratch.iterdir(), key=lambda file: file.name == INFO):  # that one last
        file.replace(folder / file.name)
    _remove(folder / plan.PROGRESS)


def _check_same(recipe: dict, earlier: dict, folder: epath.Path, state: str) -> None:
    """Refuses a set that was built, or begun, of something else or in another way."""
    mend = f"remove {folder} to build it again, or name another data_dir"
    versions = {"crop_version": 1, "index_version": 1}
    # An earlier version took `fps` of images alone.
    defaults = versions | {"fps_of": "images"}
    recipe, earlier = (defaults | settings for settings in (recipe, earlier))
    if state == "built":  # whole by itself, whatever an earlier version made of the frames
        earlier |= {name: recipe[name] for name in versions}
    differ = [name for name in recipe if recipe[name] != earlier.get(name) and name != "source"]
    if recipe.keys() != earlier.keys() or (differ and {*differ} <= {*versions}):
        raise UserError(f"{folder} was {state} by another version of this program; {mend}")
    if differ == ["fingerprint"]:
        same = recipe["source"] == earlier["source"]
        how = "its files have changed since" if same else "this is another source"
        raise UserError(f"{folder} was {state} from {earlier['source']}, and {how}; {mend}")
    if "excluded" in differ:
        raise UserError(f"{folder} was {state} with other clips left out; {mend}")
    if differ:
        was = ", ".join(
            f"{name} {earlier[name]}" for name in differ if name not in ("layout", *versions)
        )
        raise UserError(f"{folder} was {state} with {was}; {mend}")


def _remove(folder: epath.Path) -> None:
    if folder.exists():
        folder.rmtree()
