"""The clips of a corpus: those of a folder or of a list, less those to leave out.

A list is a CSV file with a line a clip. Its columns: `path` (a video, or a folder of images; from
the list's own folder, or from anywhere) and, as wanted, `first` and `last` (frames, both included:
the numbers in the names of a folder's files, and in a video counted from 0), `fps`, `name`.
"""

import csv
import dataclasses
import fnmatch
import io
import json
from collections.abc import Sequence
from pathlib import Path

from micron_jax.datasets.frames import remote
from micron_jax.datasets.sheets.delimited import read_text, separator
from micron_jax.errors import UserError
from micron_jax.video import clip_files, reader
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.image_files import Unreadable
from micron_jax.video.image_folder import list_frames

COLUMNS = ("path", "first", "last", "fps", "name")


def find(source: Path, notes: FileNotes | None = None) -> list[clip_files.ClipFiles]:
    """Finds the clips of a folder, by name (see `find_clips`), or of a list, in its order.

    `notes` get the files of folders that are not read.

    Raises:
      UserError: there are none, or a line of the list cannot be used.
    """
    if source.is_file():
        if source.suffix.lower() != ".csv":
            raise UserError(f"{source} is neither a folder nor a list of clips (.csv)")
        return read_list(source, notes)
    return clip_files.find_clips(source, notes)


def read_list(path: Path, notes: FileNotes | None = None) -> list[clip_files.ClipFiles]:
    """Reads the clips of a list; `notes` get the files in their folders that are not read.

    Raises:
      UserError: it cannot be read, or a line cannot be used; the message names row and column.
    """
    text = read_text(path)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator(text), strict=True)
    try:
        _check_columns(path, reader.fieldnames or [])
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        number = reader.reader.line_num
        raise UserError(f"{path}, row {number}: not readable as CSV ({error})") from None
    clips, faults, rows_of, places = [], [], {}, set()
    for number, row in rows:
        try:
            place = path.parent / (row["path"] or "")
            # The parts of one folder hold the same files.
            clip = _clip(path.parent, row, None if place in places else notes)
            if row := rows_of.get(clip.name):
                raise ValueError(f"name: {clip.name!r} is row {row}'s, too; give each its own name")
        except ValueError as error:
            faults.append(f"row {number}, {error}")
            continue
        rows_of[clip.name] = number
        places.add(place)
        clips.append(clip)
    if faults:
        more = f" (and {len(faults) - 1:,} more rows like it)" if len(faults) > 1 else ""
        raise UserError(f"{path}: {faults[0]}{more}")
    if not clips:
        raise UserError(f"{path} lists no clip")
    return clips


def read_patterns(path: Path) -> list[str]:
    """Reads the names to leave out: from a report of `data check`, or a text of one a line.

    Raises:
      UserError: the file cannot be read, or is another JSON.
    """
    text = read_text(path)
    try:
        if not text.lstrip().startswith("{"):
            lines = (line.strip() for line in text.splitlines())
            return [line for line in lines if line and not line.startswith("#")]
        return [str(name) for name in json.loads(text)["corpus"]["leave_out"]]
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path}: has no `corpus.leave_out`; give the file that data check NAME "
            "--corpus DIR --json writes, or a text of one clip or pattern a line"
        ) from None


def leave_out(
    clips: Sequence[clip_files.ClipFiles], patterns: Sequence[str]
) -> tuple[list[clip_files.ClipFiles], list[str], list[str]]:
    """Parts clips by their names; a pattern is a whole name, or has `*`, `?` or `[...]` in it.

    Returns:
      (clips that stay, names of those that do not, patterns that fit no clip).
    """
    names = {clip.name for clip in clips}
    left_out, idle = set(), []
    for pattern in dict.fromkeys(patterns):
        fitting = {pattern} & names or set(fnmatch.filter(names, pattern))
        left_out |= fitting
        if not fitting:
            idle.append(pattern)
    rest = [clip for clip in clips if clip.name not in left_out]
    return rest, [clip.name for clip in clips if clip.name in left_out], idle


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    usable = f"`path` and, as wanted, {', '.join(COLUMNS[1:])}"
    if "path" not in columns:
        raise UserError(f"{path}: no column `path` in its first line; the columns are {usable}")
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        raise UserError(f"{path}: column `{unknown[0]}` is not known; {usable} are")


def _clip(folder: Path, row: dict, notes: FileNotes | None) -> clip_files.ClipFiles:
    """Returns the clip of a row; a ValueError names the column that is wrong."""
    if None in row:
        raise ValueError("path: the row has more fields than the first line")
    row = {column: (value or "").strip() for column, value in row.items()}
    if not row["path"]:
        raise ValueError("path: it is empty")
    first, last = (_whole(row, column) for column in ("first", "last"))
    part = "" if first is last is None else f":{first or 0}-{'' if last is None else last}"
    if first is not None and last is not None and last < first:
        raise ValueError(f"last: {last} comes before first, {first}")
    fps = _rate(row)
    name = row.get("name") or row["path"].strip("/") + part
    if remote.is_remote(row["path"]):
        return remote.clip_at(row["path"], name, first, last, fps)
    path = folder / row["path"]
    clip = clip_files.clip_at(path, name, notes)
    if clip is None:
        what = "holds no image" if path.is_dir() else "is neither a video nor a folder of images"
        raise ValueError(f"path: {path} {what if path.exists() else 'does not exist'}")
    if part:
        _check_part(clip, first, last)
    return dataclasses.replace(clip, first=first, last=last, fps=fps)


def _check_part(clip: clip_files.ClipFiles, first: int | None, last: int | None) -> None:
    if clip.path.is_dir():
        part = dataclasses.replace(clip, first=0)  # a part: its names must tell numbers
        try:
            end = list_frames(part)[-1].number
        except Unreadable as error:
            raise ValueError(f"path: {clip.path}: {error}") from None
    else:
        # What a video says of its length may be a few frames off: only a start beyond it is
        # certainly wrong, and an end beyond it is told when the clip breaks off.
        end, last = reader.rate_and_length(clip)[1] - 1, None
    for column, value in (("first", first), ("last", last)):
        if value is not None and value > end:
            raise ValueError(f"{column}: {value}, but the last frame of {clip.path} is {end}")


def _whole(row: dict, column: str) -> int | None:
    value = row.get(column)
    if not value:
        return None
    if not value.isdecimal():
        raise ValueError(f"{column}: {value!r} is no frame's number")
    return int(value)


def _rate(row: dict) -> float | None:
    value = row.get("fps")
    if not value:
        return None
    try:
        rate = float(value.replace(",", "."))  # as spreadsheets write it in much of Europe
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= 2000:
        raise ValueError(f"fps: {value!r} is no rate; give 1 to 2000 frames a second")
    return rate
