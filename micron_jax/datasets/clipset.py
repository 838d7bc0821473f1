"""What one benchmark differs in from another: a `ClipSet`; nothing here reads a file."""

import dataclasses
import re
from collections.abc import Callable, Mapping

from micron_jax.datasets.annotations import Row

MIDDLE = "middle"  # in place of an apex: halfway between onset and offset, rounded down


@dataclasses.dataclass
class Entry:
    """One micro-expression as the sheet has it; frame numbers are text until they are checked.

    `apex` may be `MIDDLE`. `row` is the sheet's line (0: there is none).
    """

    row: Row
    clip: str
    subject: str
    emotion: str
    action_units: str
    onset: str
    apex: str
    offset: str


@dataclasses.dataclass(frozen=True)
class Mend:
    """A known mistake of one clip, by its key.

    It applies where the field reads `was`, or, if that is None, where the number cannot be one of
    onset..offset: a sheet that has been corrected since is left alone.
    """

    clip: str
    field: str
    was: str | None
    now: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Rule:
    """A known mistake of several rows whose keys are not published.

    `mend(entry, first, last)` returns {field: new text} or None; `first` and `last` are the
    numbers of the folder's first and last file. More rows than `known` are not the mistake we
    know: then none is mended, and all are reported.
    """

    known: int
    mend: Callable[[Entry, int, int], dict[str, str] | None]
    reason: str


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """One built set.

    Attributes:
      name: as a user types it.
      title: one line for `data list`.
      fps: frames per second.
      sheet_files: patterns of the workbook's file name, in lower case.
      sheets: names of the sheet in it; empty: any that has the columns.
      columns: our name -> headings; at least subject, clip, onset, offset, emotion.
      optional: which of ours a sheet may lack.
      entries: a row -> its micro-expressions (more than one in SMIC's long clips).
      folders: an entry -> where its frames may lie, as parts of a path, the likeliest first;
        case and leading zeros do not matter.
      emotions: known ones, in lower case.
      compound: whether an emotion may be several of these in one cell.
      mends, rules: known mistakes.
      notes: what is done to every row, told to the user.
      instructions: what to ask for, whom, and where to put it.
      citation: BibTeX.
      homepage: where it is asked for.
      file_token: a workbook whose name has it may hold the sheet under any name (SMIC-HS-E…).
      without_sheet: where no sheet is published: (parts of a clip's folder, first, last) -> entry,
        None if it is no such folder.
    """

    name: str
    title: str
    fps: float
    sheet_files: tuple[str, ...]
    sheets: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    entries: Callable[[Row], list[Entry]]
    folders: Callable[[Entry], list[tuple[str, ...]]]
    emotions: tuple[str, ...]
    instructions: str
    citation: str
    homepage: str
    optional: tuple[str, ...] = ()
    compound: bool = False
    mends: tuple[Mend, ...] = ()
    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()
    file_token: str = ""
    without_sheet: Callable[[tuple[str, ...], int, int], Entry | None] | None = None

    def knows(self, emotion: str) -> bool:
        """Whether the set has this emotion."""
        texts = re.split(r"[^A-Za-z]+", emotion) if self.compound else [emotion]
        words = [text.casefold() for text in texts if text.strip()]
        return bool(words) and all(word in self.emotions for word in words)


def padded(text: str, width: int) -> str:
    """`1` -> `01`: a subject the sheet has as a number, as the folders are called."""
    return text.zfill(width) if text.isdigit() else text


def number(text: str) -> int | None:
    """A frame number, or None: `46` and `46.0` are, `/`, `` and `-1` are not."""
    found = re.fullmatch(r"(\d+)(\.0+)?", text)
    return int(found[1]) if found else None
