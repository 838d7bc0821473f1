"""The build of a spotting truth: an owners' sheet, joined to the videos' files, as one table.

The videos stay where they are: a copy of a hundred hours of frames would bring nothing. The table
`DATA_DIR/SET/truth.csv` names them, and `truth.json` beside it tells what was read how.
"""

import dataclasses
import fnmatch
import json
from pathlib import Path
from typing import Any

from micron_jax.datasets.long_videos.files import VideoFile, find_files, read_files
from micron_jax.datasets.long_videos.longset import LongSet, SheetRow
from micron_jax.datasets.long_videos.times import TimeFault, Times, kind_of, read_times
from micron_jax.datasets.long_videos.truth import (
    Expression,
    Truth,
    Video,
    in_order,
    read_truth,
    write_truth,
)
from micron_jax.datasets.vendor_files import sha256_of, walk
from micron_jax.errors import UserError
from micron_jax.files import write_json, writing

TABLE, ABOUT = "truth.csv", "truth.json"
NO_FRAME_0 = "the sheet counts from 1: the movement is there from the beginning"


def table_of(data_dir: Path, name: str) -> Path:
    """Returns the path of a set's table below `data_dir`."""
    return data_dir / name / TABLE


def is_built(data_dir: Path, name: str) -> bool:
    """Tells whether a set's table is there."""
    return table_of(data_dir, name).is_file()


def open_truth(data_dir: Path, name: str) -> tuple[Truth, dict[str, Any]]:
    """Returns a built truth, and what its build noted; UserError if there is none."""
    path = table_of(data_dir, name)
    if not path.is_file():
        raise UserError(
            f"no truth of `{name}` in {data_dir}; build it: micron-jax data build {name} "
            f"--source FOLDER_AS_UNPACKED --data-dir {data_dir}"
        )
    about = path.with_name(ABOUT)
    try:
        notes = json.loads(about.read_text("utf-8")) if about.is_file() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"{about}: cannot be read ({error}); build the set again") from error
    return read_truth(path), notes


def build_truth(
    spec: LongSet,
    source: Path,
    data_dir: Path,
    *,
    sheet: Path | None = None,
    frames: Path | None = None,
) -> tuple[bool, Truth, dict[str, Any]]:
    """Builds the table of a set.

    Args:
      source: the folder of the sheet and, as wanted, of the videos; or the sheet alone.
      sheet: the workbook, where several fit.
      frames: the folder of the videos, where several fit.

    Returns:
      (False if the same table was there already, the truth, what was noted).

    Raises:
      UserError: there is no sheet, or no row of it can be used; or another table is there.
    """
    truth, about = truth_of(spec, source, sheet=sheet, frames=frames)
    path = table_of(data_dir, spec.name)
    if path.is_file():
        before = open_truth(data_dir, spec.name)
        if (before[0].videos, before[0].expressions) == (truth.videos, truth.expressions):
            return False, truth, about
        raise UserError(
            f"{path} holds another table, of another sheet or other videos; remove it to build it "
            "again, or name another data_dir"
        )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path.with_name(ABOUT), about)
    write_truth(path, truth)
    return True, truth, about


def truth_of(
    spec: LongSet, source: Path, *, sheet: Path | None = None, frames: Path | None = None
) -> tuple[Truth, dict[str, Any]]:
    """Returns the truth of a set and what was noted; arguments and errors as of `build_truth`.

    Notes: {"set", "sheet": {"file", "sheet", "sha256"}, "labels": file or "", "mended": [{"row",
    "video", "field", "was", "now", "reason"}], "skipped": [{"row", "video", "reason"}],
    "without_files", "without_rows": [videos], "unreadable": [lines], "missing_frames": {video:
    count}, "notes": [lines]}.
    """
    if source.is_file():
        workbooks, files = [source], {}
    else:
        tree = walk(source)
        workbooks, files = tree.workbooks, find_files(spec, tree, frames)
    workbook = _find_sheet(spec, workbooks, source, sheet)
    read = spec.read(workbook)
    labels, labels_file = spec.labels(workbooks, read.rows) if spec.labels else ({}, "")
    videos, unreadable = read_files(files)
    mended, skipped = [], []
    places: dict[str, int] = {}
    truth = Truth([], [])
    for row in read.rows:
        file = videos.get(spec.video_key(row.video))
        place = places.setdefault(row.video, len(truth.videos))
        if place == len(truth.videos):
            truth.videos.append(_video(spec, row, file, source))
        try:
            times, kind = _interval(row, mended), kind_of(row.kind)
            if not kind:
                raise TimeFault("kind: it is empty")
            label = row.label or labels.get(row.number, "")
            truth.expressions.append(Expression(place, *times, kind, label, row.number))
        except TimeFault as fault:
            skipped.append({"row": row.number, "video": row.video, "reason": str(fault)})
    truth.expressions.sort(key=in_order)
    if not truth.expressions:
        raise UserError(f"{workbook}: row {skipped[0]['row']}: {skipped[0]['reason']}")
    keys = {spec.video_key(name): name for name in places}
    about = {
        "set": spec.name,
        "sheet": {"file": workbook.name, "sheet": read.name, "sha256": sha256_of(workbook)},
        "labels": labels_file,
        "mended": mended,
        "skipped": skipped,
        "without_files": [name for key, name in keys.items() if key not in videos],
        "without_rows": sorted(str(files[key]) for key in files.keys() - keys.keys()),
        "unreadable": unreadable,
        "missing_frames": {
            keys[key]: video.missing
            for key, video in videos.items()
            if key in keys and video.missing
        },
        "notes": read.notes,
    }
    return truth, about


def _interval(row: SheetRow, mended: list[dict]) -> Times:
    """Returns a row's times, in a count that begins at 1, and notes what was mended."""
    times, changes = read_times(row.onset, row.apex, row.offset)
    notes = [change._asdict() for change in changes]
    if times.onset < 1:
        apex = times.apex if times.apex is None else max(times.apex, 1.0)
        times = Times(1.0, apex, max(times.offset, 1.0))
        notes.append({"field": "onset", "was": row.onset, "now": "1", "reason": NO_FRAME_0})
    mended += [{"row": row.number, "video": row.video} | note for note in notes]
    return times


def _video(spec: LongSet, row: SheetRow, file: VideoFile | None, source: Path) -> Video:
    video = Video(row.video, row.subject, spec.name, spec.fps)
    if file is None:
        return video
    return dataclasses.replace(video, path=str(file.path), first=file.first, last=file.last)


def _find_sheet(spec: LongSet, workbooks: list[Path], source: Path, chosen: Path | None) -> Path:
    if chosen:
        return chosen
    if source.is_file():
        return source
    stems = {path: path.name.casefold().removesuffix(path.suffix.casefold()) for path in workbooks}
    fits = [p for p, s in stems.items() if any(fnmatch.fnmatchcase(s, f) for f in spec.sheet_files)]
    fits = list({sha256_of(path): path for path in fits}.values())  # copies are no question
    if not fits:
        patterns = " or ".join(f"{pattern}.xls*" for pattern in spec.sheet_files)
        names = ", ".join(path.name for path in workbooks[:5]) or "no workbook"
        raise UserError(
            f"no sheet of {spec.name} below {source}: looked for {patterns}, and there is {names}; "
            f"`micron-jax data list {spec.name}` shows the layout"
        )
    if len(fits) > 1:
        raise UserError(
            f"two workbooks fit {spec.name}: {fits[0]} and {fits[1]}; name one by sheet"
        )
    return fits[0]
