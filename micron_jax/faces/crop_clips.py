"""Folders of crops, one crop a clip, to be looked at or read by other programs.

```
OUTPUT/crops.json            settings; of each clip: transform, landmarks, frames, fps, ...; "notes"
                             on files that were not read
OUTPUT/<clip>/<n>.jpg        n: the frame's number in the film, or in the image's file name
OUTPUT/<clip>/.crop.json     the clip's entry of crops.json: a clip that has it is finished
OUTPUT/contact_sheet.png     on demand: a tile a clip
```
"""

import json
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from micron_jax.checks import choose, within
from micron_jax.errors import UserError
from micron_jax.faces import contact_sheet
from micron_jax.faces.crop import FORMER_KINDS, KINDS, detector, place_crop, settings
from micron_jax.faces.landmarks import Detector
from micron_jax.files import write_json, write_whole, writing
from micron_jax.locks import sole_writer
from micron_jax.video.clip_files import CROPS, CROPS_OF_CLIP, SHEET, ClipFiles, find_clips
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.image_files import Unreadable, encode_jpeg
from micron_jax.video.inputs import open_clip
from micron_jax.video.sameness import Sameness

QUALITY = 95  # of the JPEGs
SCRATCH = ".incomplete"  # the clip that is being written


def crop_all(
    source: str | Path,
    output: str | Path,
    *,
    size: int = 224,
    kind: str = "face",
    sheet: bool = False,
) -> dict[str, Any]:
    """Crops every clip below a folder; finished clips of an earlier run are left as they are.

    Args:
      source: folder of films and image folders; see `find_clips`.
      output: folder to be made, or continued.
      size: side of the crops, in pixels.
      kind: one of `crop.KINDS`.

    Returns:
      The content of `crops.json`, and "fresh": how many clips were cropped just now.

    Raises:
      UserError: no clips, or none that can be used; a setting is out of range; `output` holds
        something else or crops of other settings, lies in `source`, or cannot be written.
    """
    source, output = Path(source), Path(output)
    within("", {"size": size}, size=(16, 4096))
    choose("", {"crop": kind}, crop=KINDS)
    notes = FileNotes()
    clips = find_clips(source, notes)
    if output.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{output} lies in {source}: it would be taken for clips next time")
    shared, detect = settings(kind, size) | {"quality": QUALITY}, detector(kind)
    busy = f"{output}: another run is writing it; wait"
    with writing(output), sole_writer(output, busy=busy):
        entries = _earlier_entries(output, shared)
        # The settings are there before the first crop is, for the run after one that is killed.
        write_json(output / CROPS, {**shared, "clips": [*entries.values()], "skipped": []})
        fresh, skipped = _crop_each(clips, output, shared, detect, entries)
        if not entries:
            (output / CROPS).unlink()
            reasons = "; ".join(f"{skip['clip']}: {skip['reason']}" for skip in skipped[:3])
            raise UserError(f"{source}: none of {len(clips)} clips can be used ({reasons})")
        ordered = [entries[name] for name in sorted(entries)]
        report = {**shared, "clips": ordered, "skipped": skipped, "notes": notes.entries()}
        write_json(output / CROPS, report)
        if sheet:
            write_whole(output / SHEET, contact_sheet.png(output, ordered))
    return report | {"fresh": fresh}


def folders(names: list[str]) -> dict[str, str]:
    """Returns the folder of each clip's crops, below the output: the clip's name.

    A folder of images that has other clips below it gets a folder of its own beside them, so that
    a clip's folder holds nothing but the clip.
    """
    parents = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    in_use, places = set(names) | parents, {}
    for name in names:
        place = name
        if name == "." or name in parents:
            place = str(PurePosixPath(name, "images"))
            while place in in_use:
                place += "_"
        in_use.add(place)
        places[name] = place
    return places


def _crop_each(
    clips: list[ClipFiles],
    output: Path,
    shared: dict,
    detect: Detector | None,
    entries: dict[str, dict],
) -> tuple[int, list[dict]]:
    """Adds missing entries; returns how many clips were cropped, and those that cannot be used."""
    shutil.rmtree(output / SCRATCH, ignore_errors=True)  # of a run that was killed
    places, skipped, todo = folders([clip.name for clip in clips]), [], []
    for files in clips:
        if entry := _finished(output / places[files.name], files):
            entries[files.name] = entry
        else:
            entries.pop(files.name, None)
            todo.append((files, open_clip(files, files.name)))
    total = sum(clip.count for _, clip in todo)
    with tqdm(total=total, unit=" frames", desc="frames") as bar:
        for files, clip in todo:
            try:
                crop = place_crop(clip.frames(), shared["crop"], shared["size"], detect)
            except Unreadable as error:
                skipped.append({"clip": clip.name, "reason": str(error)})
                bar.total -= clip.count
                bar.refresh()
                continue
            entry = {
                "clip": clip.name,
                "folder": places[clip.name],
                "frames": 0,
                "fps": clip.fps,  # null: the files do not say
                "frame_size": [*crop.frame_size],
                "crop": crop.kind,
                "size": crop.size,
                "landmarks": None if crop.landmarks is None else crop.landmarks.tolist(),
                "transform": crop.transform.tolist(),
                "dropped": [],
                "source": {"files": files.files, "bytes": files.bytes},
            }
            _write_crops(clip, crop, output, entry, bar)
            entries[clip.name] = entry
    return len(todo) - len(skipped), skipped


def _write_crops(clip, crop, output: Path, entry: dict, bar: tqdm) -> None:
    """Writes a clip's crops, all of them or none, and completes its entry."""
    scratch, folder = output / SCRATCH, output / entry["folder"]
    scratch.mkdir()
    same, seconds = Sameness(), {}
    try:
        for number, second, frame in clip.read():
            bar.update()
            if isinstance(frame, Unreadable):
                entry["dropped"].append({"frame": number, "reason": str(frame)})
                continue
            same.add(frame)
            if second is not None:
                seconds[number] = round(second, 6)
            (scratch / f"{number}.jpg").write_bytes(encode_jpeg(crop(frame), QUALITY))
            entry["frames"] += 1
        entry["identical"] = same.reason
        write_json(scratch / CROPS_OF_CLIP, entry | {"seconds": seconds})
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _earlier_entries(output: Path, shared: dict) -> dict[str, dict]:
    """Returns the entries of an earlier run with the same settings, by clip."""
    path = output / CROPS
    if not path.exists():
        if any(not entry.name.startswith(".") for entry in output.iterdir()):
            raise UserError(f"{output} holds something else; name a new folder")
        return {}
    try:
        report = json.loads(path.read_text("utf-8"))
        earlier = {name: report[name] for name in shared}
        entries = [c for c in report["clips"] if (output / c["folder"] / CROPS_OF_CLIP).is_file()]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a report of face crops; name another folder") from None
    earlier["crop"] = FORMER_KINDS.get(earlier["crop"], earlier["crop"])
    if earlier != shared:
        differ = (n for n in shared if earlier[n] != shared[n] and earlier[n])
        differences = ", ".join(f"{name} {earlier[name]}" for name in differ)
        raise UserError(
            f"{output} holds crops of other settings ({differences}); "
            "give the same, remove it, or name another folder"
        )
    return {entry["clip"]: entry for entry in entries}


def _finished(folder: Path, files: ClipFiles) -> dict | None:
    """Returns the entry of a clip that was cropped before; None: it was not."""
    try:
        entry = json.loads((folder / CROPS_OF_CLIP).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        if not os.path.lexists(folder):
            return None
        mend = "remove it, or name another folder"
        raise UserError(f"{folder} holds something else; {mend}") from None
    if entry["source"] != {"files": files.files, "bytes": files.bytes}:
        raise UserError(
            f"{files.path} is not what was cropped before; remove {folder} to crop it again, "
            "or name another folder"
        )
    entry.pop("seconds", None)  # a number a frame, in the clip's own folder alone
    return entry
