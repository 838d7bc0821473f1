"""The description of a set of long videos: its sheet, the names of its videos, their files."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class SheetRow:
    """An expression as the sheet has it; times and kind are text until they are checked.

    `clip` is the owners' name of the expression, by which a sheet of emotions knows it.
    """

    number: int
    subject: str
    video: str
    onset: str
    apex: str
    offset: str
    kind: str
    label: str = ""
    clip: str = ""


@dataclasses.dataclass(frozen=True)
class LongSheet:
    """A sheet as it was read: its name in the workbook, its rows, and lines on both."""

    name: str
    rows: list[SheetRow]
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class LongSet:
    """One set of long videos.

    Attributes:
      name: as a user types it.
      title: one line for `data list`.
      fps: frames a second.
      sheet_files: patterns of the workbook's name in lower case, without a suffix.
      read: a workbook -> its rows.
      video_key: the name of a video, as any program writes it -> what all its names share; empty if
        it is no name of this set's.
      tail: pattern of the end of a path of a video's folder or film, with forward slashes.
      counts: version of the sheet -> {"videos", "subjects", "macro", "micro"}.
      labels: the workbooks below the folder, rows -> (labels by row number, the file's name); None
        where the sheet has the labels itself.
      instructions: whom to ask, and where to put the files.
    """

    name: str
    title: str
    fps: float
    sheet_files: tuple[str, ...]
    read: Callable[[Path], LongSheet]
    video_key: Callable[[str], str]
    tail: str
    counts: Mapping[str, Mapping[str, int]]
    instructions: str
    labels: Callable[[list[Path], list[SheetRow]], tuple[dict[int, str], str]] | None = None

    def place(self, path: str) -> str | None:
        """Returns the part of a path above a video's own folders; None if it is no video's."""
        match = re.fullmatch(rf"(?:(?P<top>.*)/)?{self.tail}", path, re.IGNORECASE)
        return match and (match["top"] or "")
