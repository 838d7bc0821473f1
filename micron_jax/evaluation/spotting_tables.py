"""Tables of detections: one interval a row.

A table has the columns `video`, `onset`, `offset` and, as wanted, `subject`, `set`, `apex`, `kind`,
`confidence` and `label`. The tables of the challenges are read, too: `vid`, `onset` (or
`pred_onset`), `offset`, `type` with `me` and `mae` (MEGC 2022, 2023), and the log of MEGC 2021,
`Video_ID`, `GT_onset`, …, `Predicted_onset`, `Predicted_offset`, `Result`. A row without onset and
offset is a video in which nothing is detected.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from pathlib import Path

from micron_jax.datasets.annotations import Row, missing_columns, read_rows, sheet_names
from micron_jax.datasets.long_videos.names import VideoNames
from micron_jax.datasets.long_videos.times import (
    MICRO,
    UNKNOWN,
    TimeFault,
    frame_number,
    kind_by_duration,
    kind_of,
)
from micron_jax.datasets.long_videos.truth import Truth
from micron_jax.datasets.sheets import open_workbook
from micron_jax.errors import UserError
from micron_jax.evaluation.prediction import row_error, write_text

COLUMNS = ("set", "video", "subject", "onset", "apex", "offset", "kind", "confidence", "label")
HEADINGS = {
    "video": ("video", "vid", "video_name", "Video_ID"),
    "onset": ("onset", "pred_onset", "predicted_onset", "start_frame", "onset_frame"),
    "offset": ("offset", "pred_offset", "predicted_offset", "end_frame", "offset_frame"),
    "apex": ("apex", "pred_apex", "apex_frame"),
    "kind": ("kind", "type", "expression type"),
    "type_idx": ("type_idx",),
    "confidence": ("confidence", "score", "prob", "probability"),
    "label": ("label", "emotion", "pred_emotion"),
    "subject": ("subject", "subject_id"),
    "set": ("set", "dataset"),
}
OPTIONAL = tuple(name for name in HEADINGS if name not in ("video", "onset", "offset"))
CHALLENGE = {MICRO: "me", "macro": "mae"}


@dataclasses.dataclass(frozen=True)
class Detection:
    """An interval that a program detects, in the truth's frame numbers, both ends included.

    `kind` is `micro`, `macro`, or empty where the program does not tell it. `row` is that of the
    table; `file` is its path where there are several.
    """

    video: str
    onset: float
    offset: float
    kind: str = ""
    confidence: float = 1.0
    apex: float | None = None
    label: str = ""
    subject: str = ""
    set: str = ""
    row: int = dataclasses.field(default=0, compare=False)
    file: Path | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True)
class Joined:
    """A detection in the video of this place in `Truth.videos`, its kind known."""

    video: int
    detection: Detection


def read_detections(path: Path) -> list[Detection]:
    """Reads a table; it may have no row, for a program may detect nothing.

    Raises:
      UserError: it cannot be read, or a row cannot be used; the message names the row.
    """
    names = sheet_names(path)
    sheet = next((n for n in names if not missing_columns(path, n, HEADINGS, OPTIONAL)), names[0])
    if len(open_workbook(path).sheet(sheet).rows) == 1 and not missing_columns(
        path, sheet, HEADINGS, OPTIONAL
    ):
        return []
    detections = []
    for row in read_rows(path, sheet, HEADINGS, OPTIONAL):
        try:
            if detection := _detection(row):
                detections.append(detection)
        except TimeFault as fault:
            raise row_error(path, row.number, str(fault)) from None
    return detections


def _detection(row: Row) -> Detection | None:
    if fault := next(iter(row.faults.items()), None):
        raise TimeFault(f"{fault[0]}: {fault[1]}")
    if all(row[name].casefold() in UNKNOWN for name in ("onset", "offset")):
        return None
    if not row["video"]:
        raise TimeFault("video: it is empty")
    onset, offset = (frame_number(row[name]) for name in ("onset", "offset"))
    for name, value in (("onset", onset), ("offset", offset)):
        if value is None:
            raise TimeFault(f"{name}: {row[name]!r} is no frame number")
    if offset < onset:
        raise TimeFault(f"offset: {row['offset']} comes before onset {row['onset']}")
    apex = None if row["apex"].casefold() in UNKNOWN else frame_number(row["apex"])
    confidence = 1.0
    if row["confidence"]:
        try:
            confidence = float(row["confidence"].replace(",", "."))
        except ValueError:
            confidence = math.nan
        if not math.isfinite(confidence):
            raise TimeFault(f"confidence: {row['confidence']!r} is no number")
    kind = kind_of(row["kind"] or row["type_idx"])
    names = {name: row[name] for name in ("label", "subject", "set")}
    return Detection(row["video"], onset, offset, kind, confidence, apex, **names, row=row.number)


def join(truth: Truth, detections: Sequence[Detection], path: Path) -> tuple[list[Joined], str]:
    """Returns the detections in the truth's videos, and a line on kinds that were not told.

    A detection without a kind has the truth's only kind; where the truth has both, it is micro if
    it lasts 0.5 s or less.

    Raises:
      UserError: a video is not the truth's, or may be several of its; or a kind needs a frame
        rate, and the video has none. The message names the row.
    """
    names, places = VideoNames(truth), {}
    kinds = sorted({expression.kind for expression in truth.expressions})
    joined, guessed = [], 0
    for detection in detections:
        key = detection.video, detection.subject, detection.set
        if key not in places:
            try:
                places[key] = names.place(*key)
            except UserError as error:
                raise row_error(detection.file or path, detection.row, str(error)) from None
        video = truth.videos[places[key]]
        if not detection.kind:
            guessed += 1
            if len(kinds) > 1 and not video.fps:
                reason = (
                    f"no kind, and no frame rate of {video.name} that would tell it by duration"
                )
                mend = "add a column kind, or name fps"
                raise row_error(detection.file or path, detection.row, f"{reason}; {mend}")
            kind = kinds[0]
            if len(kinds) > 1:
                kind = kind_by_duration(detection.onset, detection.offset, video.fps)
            detection = dataclasses.replace(detection, kind=kind)
        joined.append(Joined(places[key], detection))
    how = "by duration: 0.5 s or less is micro" if len(kinds) > 1 else f"all are {kinds[0]}"
    return joined, f"Kinds of {guessed:,} detections, which have none: {how}." if guessed else ""


def looks_like_seconds(truth: Truth, joined: Sequence[Joined]) -> str:
    """Returns a line if the times may be seconds, which no table of frame numbers should hold.

    They have decimals, and none lies beyond the seconds of its video; empty if that is not so.
    """
    ends: dict[int, float] = {}
    for expression in truth.expressions:
        ends[expression.video] = max(expression.offset, ends.get(expression.video, 0.0))
    decimals = 0
    for one in joined:
        video, found = truth.videos[one.video], one.detection
        last = ends.get(one.video) if video.last is None else video.last
        if not video.fps or last is None or found.offset > (last + 1) / video.fps:
            return ""
        decimals += found.onset % 1 != 0 or found.offset % 1 != 0
    if len(joined) < 3 or decimals < len(joined) / 4:
        return ""
    return (
        "LOOK: onset and offset have decimals, and all lie as early as seconds would; they are "
        "read as frame numbers. Write frame numbers."
    )


def write_detections(path: Path, truth: Truth, joined: Sequence[Joined]) -> None:
    """Writes the table; `read_detections` returns the same intervals.

    Raises:
      UserError: it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in sorted(joined, key=lambda one: (one.video, one.detection.onset)):
        video, found = truth.videos[one.video], one.detection
        times = ["" if t is None else f"{t:.10g}" for t in (found.onset, found.apex, found.offset)]
        about = [found.kind, f"{found.confidence:.6g}", found.label]
        writer.writerow([video.set, video.name, video.subject, *times, *about])
    write_text(path, text.getvalue())


def write_challenge(path: Path, truth: Truth, joined: Sequence[Joined]) -> None:
    """Writes the table of MEGC 2023: vid, onset, offset, type (`me` or `mae`), in whole frames.

    Raises:
      UserError: it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["vid", "onset", "offset", "type"])
    for one in sorted(joined, key=lambda one: (one.video, one.detection.onset)):
        name = truth.videos[one.video].name.replace("\\", "/").rpartition("/")[2]
        found = one.detection
        times = [round(found.onset), round(found.offset)]
        writer.writerow([name, *times, CHALLENGE[found.kind]])
    write_text(path, text.getvalue())
