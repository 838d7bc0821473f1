"""The truth of spotting: its videos, the expressions in them, and the table that holds both.

The table is a CSV with the columns `video`, `subject`, `onset`, `apex`, `offset`, `kind` and, as
wanted, `label`, `set`, `fps`, `path`, `first`, `last`. A row is an expression; a row without onset
and offset is a video in which there is none. Frames are numbered as in the sheet; `first` and
`last` are the numbers of the video's first and last frame in that count. Annotations of other
programs are read, too: `startFrame`, `end_frame`, `type_idx` and so on.
"""

import csv
import dataclasses
import io
from collections import Counter
from pathlib import Path

from micron_jax.datasets.annotations import Row, missing_columns, read_rows, sheet_names
from micron_jax.datasets.long_videos.times import (
    KINDS,
    MICRO,
    TimeFault,
    frame_number,
    kind_by_duration,
    kind_of,
    read_times,
)
from micron_jax.errors import UserError
from micron_jax.files import write_whole, writing

COLUMNS = ("set", "video", "subject", "onset", "apex", "offset", "kind", "label")
OF_VIDEO = ("fps", "path", "first", "last")
HEADINGS = {
    "video": ("video", "video_name", "vid", "Video_ID"),
    "subject": ("subject", "subject_id", "participant"),
    "onset": ("onset", "start_frame", "startFrame", "onset_frame"),
    "offset": ("offset", "end_frame", "endFrame", "offset_frame"),
    "apex": ("apex", "apex_frame", "apexFrame"),
    "kind": ("kind", "type", "expression type"),
    "type_idx": ("type_idx",),
    "label": ("label", "emotion"),
    "set": ("set", "dataset"),
    "fps": ("fps",),
    "path": ("path",),
    "first": ("first",),
    "last": ("last",),
    "frames": ("frames", "frame_num"),
}
OPTIONAL = tuple(name for name in HEADINGS if name not in ("video", "subject", "onset", "offset"))


@dataclasses.dataclass(frozen=True)
class Video:
    """A video; `first` and `last` number its frames, None where no file and no table tells them."""

    name: str
    subject: str
    set: str = ""
    fps: float | None = None
    path: str = ""
    first: int | None = None
    last: int | None = None

    @property
    def seconds(self) -> float | None:
        if None in (self.fps, self.first, self.last):
            return None
        return (self.last - self.first + 1) / self.fps

    @property
    def key(self) -> tuple[str, str, str]:
        return self.set, self.subject, self.name

    @property
    def person(self) -> tuple[str, str]:
        return self.set, self.subject


@dataclasses.dataclass(frozen=True)
class Expression:
    """An expression in the video of this place in `Truth.videos`; times as `times.Times`."""

    video: int
    onset: float
    apex: float | None
    offset: float
    kind: str
    label: str = ""
    row: int = dataclasses.field(default=0, compare=False)


@dataclasses.dataclass
class Truth:
    """Videos, their expressions, and lines on what was read in another way than it is written."""

    videos: list[Video]
    expressions: list[Expression]
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def people(self) -> list[tuple[str, str]]:
        """(set, subject) of everyone, sorted."""
        return sorted({video.person for video in self.videos})

    def counts(self) -> dict[str, int]:
        """Returns the numbers of videos, subjects, and expressions of each kind."""
        kinds = Counter(expression.kind for expression in self.expressions)
        people = {"videos": len(self.videos), "subjects": len(self.people)}
        return people | {kind: kinds[kind] for kind in KINDS}


def write_truth(path: Path, truth: Truth) -> None:
    """Writes the table, whole or not at all; UserError if it cannot be written."""
    expressions = sorted(truth.expressions, key=in_order)
    rows = [(e.video, e.onset, e.apex, e.offset, e.kind, e.label) for e in expressions]
    alone = set(range(len(truth.videos))) - {row[0] for row in rows}
    rows += [(place, None, None, None, "", "") for place in alone]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *OF_VIDEO])
    for place, *times, kind, label in sorted(rows, key=lambda row: row[0]):
        video = truth.videos[place]
        numbers = ["" if time is None else f"{time:.10g}" for time in times]
        facts = [getattr(video, name) for name in OF_VIDEO]
        facts = ["" if fact is None else fact for fact in facts]
        writer.writerow([video.set, video.name, video.subject, *numbers, kind, label, *facts])
    with writing(path):
        write_whole(path, text.getvalue().encode())


def is_table(path: Path) -> bool:
    """Tells whether a file has the columns of such a table; UserError if it cannot be read."""
    return any(not missing_columns(path, n, HEADINGS, OPTIONAL) for n in sheet_names(path))


def read_truth(path: Path) -> Truth:
    """Reads a table.

    Without a kind, an expression of 0.5 s or less is micro, if the table has `fps`; else all are.

    Raises:
      UserError: it cannot be read, or a row cannot be used; the message names the row.
    """
    names = sheet_names(path)
    sheet = next((n for n in names if not missing_columns(path, n, HEADINGS, OPTIONAL)), names[0])
    rows = read_rows(path, sheet, HEADINGS, OPTIONAL)
    videos: dict[tuple, int] = {}
    truth, changes, guesses = Truth([], []), Counter(), Counter()
    for row in rows:
        try:
            video = _video(row)
            place = videos.setdefault(video.key, len(truth.videos))
            if place == len(truth.videos):
                truth.videos.append(video)
            elif truth.videos[place] != video:
                raise TimeFault(f"video: fps, path, first or last of {video.name} differ in rows")
            if not (row["onset"] or row["offset"]):
                continue
            times, more = read_times(row["onset"], row["apex"], row["offset"])
            changes.update(change.reason for change in more)
            kind = kind_of(row["kind"] or row["type_idx"])
            if not kind:
                kind = (
                    kind_by_duration(times.onset, times.offset, video.fps) if video.fps else MICRO
                )
                guesses["0.5 s or less is micro" if video.fps else "all are micro"] += 1
            truth.expressions.append(Expression(place, *times, kind, row["label"], row.number))
        except TimeFault as fault:
            raise UserError(f"{path}, row {row.number}: {fault}") from None
    if not truth.expressions:
        raise UserError(f"{path}: it holds no expression, so that there is nothing to find")
    truth.notes += [f"The truth, {count:,} rows: {reason}." for reason, count in changes.items()]
    truth.notes += [
        f"The truth, {count:,} rows without a kind: {how}." for how, count in guesses.items()
    ]
    return truth


def _video(row: Row) -> Video:
    if fault := next(iter(row.faults.items()), None):
        raise TimeFault(f"{fault[0]}: {fault[1]}")
    for name in ("video", "subject"):
        if not row[name]:
            raise TimeFault(f"{name}: it is empty")
    first, last, frames = (_whole(row, name) for name in ("first", "last", "frames"))
    if frames is not None and last is None:
        first = 1 if first is None else first
        last = first + frames - 1
    fps = frame_number(row["fps"]) if row["fps"] else None
    if row["fps"] and not (fps and 1 <= fps <= 10_000):
        raise TimeFault(f"fps: {row['fps']!r} is no rate; give 1 to 10000 frames a second")
    return Video(row["video"], row["subject"], row["set"], fps, row["path"], first, last)


def _whole(row: Row, name: str) -> int | None:
    if not row[name]:
        return None
    number = frame_number(row[name])
    if number is None or number != int(number):
        raise TimeFault(f"{name}: {row[name]!r} is no whole number")
    return int(number)


def with_rate(truth: Truth, fps: float) -> Truth:
    """Returns a truth in which every video without a rate has this one."""
    videos = [v if v.fps else dataclasses.replace(v, fps=fps) for v in truth.videos]
    return dataclasses.replace(truth, videos=videos)


def in_order(expression: Expression) -> tuple[int, float, float, str]:
    """Returns the key that sorts expressions by video and time."""
    return expression.video, expression.onset, expression.offset, expression.kind
