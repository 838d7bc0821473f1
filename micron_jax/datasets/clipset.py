"""The description of a labeled benchmark: its sheet, folders, emotions and known mistakes."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from micron_jax.datasets.annotations import Row

MIDDLE = "middle"  # in place of an apex: halfway between onset and offset, rounded down


@dataclasses.dataclass
class Entry:
    """One micro-expression as the sheet has it; frame numbers are text until they are checked.

    `apex` may be `MIDDLE`. `row.number` is the sheet's line, 0 where there is no sheet.
    """

    row: Row
    clip: str
    subject: str
    emotion: str
    action_units: str
    onset: str
    apex: str
    offset: str

    @classmethod
    def of(cls, row: Row, clip: str, subject: str, **fields: str) -> "Entry":
        """Returns the entry of a row; `fields` stand in place of the row's own."""
        names = ("emotion", "action_units", "onset", "apex", "offset")
        return cls(row, clip, subject, **{name: row[name] for name in names} | fields)


@dataclasses.dataclass(frozen=True)
class Mend:
    """The correction of a known mistake of one clip.

    It applies where the field reads `was`, or, if that is None, where the number cannot lie in
    onset..offset. It leaves a sheet alone that its owners have corrected.
    """

    clip: str
    field: str
    was: str | None
    now: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Rule:
    """The correction of a known mistake of several rows whose clips' names are not published.

    `mend(entry, first, last)` returns {field: new text} or None; `first` and `last` are the
    numbers of the folder's first and last file. If it applies to more than `rows` rows, the
    mistake is another one: no row is mended, and all are reported.
    """

    rows: int
    mend: Callable[[Entry, int, int], dict[str, str] | None]
    reason: str


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """One labeled set.

    Attributes:
      fps: frames a second; 0: the sheet's column `fps` has it, row by row.
      name: as a user types it.
      title: one line for `data list`.
      sheet_files: patterns of the file name of the workbook, in lower case; for `.xls*` at the end
        any suffix of `sheets.SUFFIXES` serves, as of an exported table.
      sheets: names of the sheet in it; empty: any that has the columns.
      columns: our name -> headings; at least subject, clip, onset, offset, emotion.
      optional: which of ours a sheet may lack.
      entries: a row -> its micro-expressions (more than one in SMIC's long clips).
      folders: an entry -> where its frames may lie, as parts of a path, the likeliest first;
        case and leading zeros do not matter.
      emotions: known ones, in lower case.
      compound: whether one cell may name several emotions.
      mends, rules: corrections of known mistakes.
      notes: changes of every row, printed for the user.
      file_token: a word in the name of a workbook whose sheet may have any name (SMIC-HS-E…).
      without_sheet: for a set without a sheet: (parts of a clip's folder, first, last) -> entry, or
        None if the folder is no clip's. Such a set has no workbook; `sheet_files` is empty.
      splits: part of the owners' split -> patterns of its workbook, where each has its own;
        `sheet_files` has them all.
      several_folders: whether the frames may lie in several folders, no clip in two of them.
      example: a clip's folder of such a set, for messages.
    """

    name: str
    title: str
    fps: float
    sheet_files: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    entries: Callable[[Row], list[Entry]]
    folders: Callable[[Entry], list[tuple[str, ...]]]
    emotions: tuple[str, ...]
    sheets: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    compound: bool = False
    mends: tuple[Mend, ...] = ()
    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()
    file_token: str = ""
    without_sheet: Callable[[tuple[str, ...], int, int], Entry | None] | None = None
    splits: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    several_folders: bool = False
    example: str = ""

    @property
    def instructions(self) -> str:
        """Whom to ask for the data, and where to put them: the first block of the set's README."""
        return self._block("")

    @property
    def citation(self) -> str:
        """The BibTeX of the set's paper, from its README."""
        return self._block("bibtex")

    @property
    def homepage(self) -> str:
        """The page of the set's owners."""
        return re.search(r"Ask: (\S+)", self.instructions)[1]

    def _block(self, kind: str) -> str:
        readme = Path(__file__).parent / self.name.split("_")[0] / "README.md"
        return re.search(rf"```{kind}\n(.*?)\n```", readme.read_text("utf-8"), re.DOTALL)[1]

    def knows(self, emotion: str) -> bool:
        """Tells whether the set has this emotion."""
        texts = re.split(r"[^A-Za-z]+", emotion) if self.compound else [emotion]
        words = [text.casefold() for text in texts if text.strip()]
        return bool(words) and all(word in self.emotions for word in words)


def columns(**headings: str) -> dict[str, tuple[str, ...]]:
    """Returns our name -> headings of a sheet, given as one text each: `Onset|OnsetFrame`."""
    return {name: tuple(text.split("|")) for name, text in headings.items()}


# The headings of CASME II, SAMM and MMEW, but for the frame numbers.
HEADINGS = columns(
    subject="Subject", clip="Filename", action_units="Action Units", emotion="Estimated Emotion"
)


def number(text: str) -> int | None:
    """Returns a frame number: 46 for `46`, `46.0` and `46,0`, None for `/`, `` and `-1`.

    `1.000` is 1 for some and 1,000 for others: None.
    """
    digits = re.fullmatch(r"(\d{1,18})(?:[.,](?:0{1,2}|0{4,}))?", text)
    return int(digits[1]) if digits else None
