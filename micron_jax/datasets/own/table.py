"""The table of a set of one's own: its rows, the unit of its times, and the faults of its cells."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from micron_jax.datasets.annotations import Row, missing_columns, read_rows, sheet_names
from micron_jax.datasets.names import NO_CLASS, class_key, set_names
from micron_jax.datasets.own import COLUMNS, NAME, OPTIONAL
from micron_jax.datasets.sheets import open_workbook
from micron_jax.datasets.subjects import numbered, person, plain, usual_spellings
from micron_jax.errors import UserError, naming

NO_APEX = ("", "/", "-", "?", *NO_CLASS)
TIMES = ("onset", "apex", "offset")
_NUMBER = re.compile(r"(\d{1,15})(?:([.,])(\d{1,9}))?\s*(s|sec|seconds?)?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class OwnRow:
    """A clip of the table; times are frame numbers or seconds, `apex` None where it is empty."""

    number: int
    dataset: str
    subject: str
    clip: str
    path: str
    label: str
    action_units: str
    fps: float | None
    onset: float
    apex: float | None
    offset: float
    split: str


@dataclasses.dataclass
class Table:
    """A table as it was read.

    Attributes:
      seconds: the value that makes its times seconds; empty: they are frame numbers.
      faults: [{"clip", "row", "reason"}] of the rows that cannot be used.
      lost: (set, subject, label) of the rows that have a fault in another cell.
      notes: on the table as a whole.
      sheet: of a workbook, the one that was read.
    """

    rows: list[OwnRow]
    seconds: str
    faults: list[dict]
    lost: list[tuple[str, str, str]]
    notes: list[str]
    sheet: str


class Fault(ValueError):
    """A cell that cannot be used: `column: reason and mend`."""


def read_table(path: Path) -> Table:
    """Reads a table of clips.

    Raises:
      UserError: it cannot be read as a table, or a column is missing.
    """
    headings = {name: (name,) for name in COLUMNS + OPTIONAL}
    optional = ("apex", *OPTIONAL)
    names = sheet_names(path)
    sheet = next((n for n in names if not missing_columns(path, n, headings, optional)), names[0])
    rows = read_rows(path, sheet, headings, optional)
    notes = _unread_columns(path, sheet, rows[0].number)
    with naming(path):
        seconds = unit_of(rows)
    if seconds:
        notes.append(f"onset, apex and offset are read as seconds ({seconds})")
    else:
        notes.append(
            "onset, apex and offset are read as frame numbers (no value has decimals or an s): a "
            "film's frames count from 0, images have the numbers in their names"
        )
    comma = any(re.search(r"(?:^0|,\d{1,2}$|,\d{4,}$)", t) and "," in t for t in _times(rows))
    clips, faults, lost, first_of = [], [], [], {}
    sets = set_names(row["set"] for row in rows if row["set"])
    for row in rows:
        try:
            clip = _row(row, sets, bool(seconds), comma)
            place = (*person(clip.dataset, clip.subject), clip.clip)
            if first_of.setdefault(place, row.number) != row.number:
                raise Fault(
                    f"clip: {clip.clip!r} of subject {clip.subject} is row {first_of[place]}'s, "
                    "too; give each clip its own name"
                )
        except Fault as fault:
            faults.append({"clip": row["clip"], "row": row.number, "reason": str(fault)})
            if row["label"].casefold() not in ("", *NO_CLASS):
                lost.append((sets.get(row["set"], NAME), row["subject"], row["label"]))
            continue
        clips.append(clip)
    clips = _one_spelling(_apart(clips, faults), notes)
    labels = {class_key(clip.label): clip.label for clip in clips}
    lost = [(name, who, labels.get(class_key(word), word)) for name, who, word in lost]
    return Table(clips, seconds, faults, lost, notes, sheet)


def unit_of(rows: Iterable[Row]) -> str:
    """Returns the value that makes the times of a table seconds; empty: they are frame numbers.

    They are seconds if a value has an s behind it, or if a quarter of them or more have decimals
    other than zeros.

    Raises:
      UserError: fewer have decimals, so that either may be meant.
    """
    evidence, fractions, count = "", 0, 0
    for row in rows:
        for name in TIMES:
            match = _NUMBER.fullmatch(row[name].strip())
            if not match:
                continue
            place = f"row {row.number}, {name}: {row[name]}"
            if match[4]:
                return place
            count += 1
            if (match[3] or "").strip("0"):
                evidence, fractions = evidence or place, fractions + 1
    if 0 < fractions < count / 4:
        raise UserError(
            f"{evidence}, has decimals, but {count - fractions} of {count} values of onset, apex "
            "and offset have none; write frame numbers without, or an s after seconds (2s)"
        )
    return evidence


def _times(rows: Iterable[Row]) -> Iterable[str]:
    return (row[name].strip() for row in rows for name in TIMES)


def _unread_columns(path: Path, sheet: str, first: int) -> list[str]:
    lines = open_workbook(path).sheet(sheet).rows
    header = lines[max(line for line in lines if line < first)]
    known = {*COLUMNS, *OPTIONAL}
    other = [cell.text for cell in header.values() if cell.text.strip().casefold() not in known]
    return [f"columns that are not read: {', '.join(other)}"] if other else []


def _row(row: Row, sets: Mapping[str, str], seconds: bool, comma: bool) -> OwnRow:
    for name in (*COLUMNS, *OPTIONAL):
        if name in row.faults:
            raise Fault(f"{name}: {row.faults[name]}")
        if name not in ("apex", *OPTIONAL) and not row[name]:
            raise Fault(f"{name}: it is empty; fill it in, or remove the row")
    for name in ("subject", "clip", "label"):
        if row[name].casefold() in NO_CLASS:
            raise Fault(f"{name}: {row[name]!r} means a missing value; write another word")
    onset, offset = (_time(row, name, seconds, comma) for name in ("onset", "offset"))
    missing = row["apex"].casefold() in NO_APEX
    apex = None if missing else _time(row, "apex", seconds, comma)
    if offset < onset:
        raise Fault(f"offset: {row['offset']} comes before onset, {row['onset']}; correct one")
    if apex is not None and not onset <= apex <= offset:
        raise Fault(
            f"apex: {row['apex']} is outside onset {row['onset']} .. offset {row['offset']}; "
            "correct it, or leave it empty for the middle"
        )
    return OwnRow(
        number=row.number,
        dataset=sets[row["set"]] if row["set"] else NAME,
        subject=row["subject"],
        clip=row["clip"],
        path=row["path"],
        label=row["label"],
        action_units=row["au"],
        fps=_rate(row["fps"]),
        onset=onset,
        apex=apex,
        offset=offset,
        split=_split(row["split"]),
    )


def _time(row: Row, name: str, seconds: bool, comma: bool) -> float:
    """Returns a frame number or seconds; `comma` tells that the table has decimal commas."""
    text = row[name].strip()
    match = _NUMBER.fullmatch(text)
    if not match:
        mend = "a frame number (12), or seconds (0.48)"
        raise Fault(f"{name}: {text!r} is neither a frame number nor seconds; give {mend}")
    whole, mark, part, _ = match.groups()
    thousands = mark and len(part) == 3 and not whole.startswith("0") and len(whole) <= 3
    if thousands and (not seconds or (mark == "," and not comma)):
        plain_number = f"{whole}{part}"
        mend = f"write {plain_number}, or {whole}.{part.rstrip('0')}0"
        raise Fault(f"{name}: {text!r} may be {plain_number}, or have decimals; {mend}")
    return float(f"{whole}.{part or 0}")


def _rate(text: str) -> float | None:
    if not text or text.casefold() in NO_CLASS:
        return None
    try:
        rate = float(text.replace(",", "."))
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= 10_000:
        raise Fault(f"fps: {text!r} is no rate; give 1 to 10000 frames a second")
    return rate


def _split(text: str) -> str:
    """Returns `train`, or a name that begins with `test`; empty where there is none."""
    name = " ".join(text.casefold().replace("_", " ").replace("-", " ").split())
    name = "train" if name == "training" else name
    if name and name != "train" and not name.startswith("test"):
        raise Fault(f"split: {text!r} is neither train nor test; write train, test, or test A")
    return name


def _apart(rows: list[OwnRow], faults: list[dict]) -> list[OwnRow]:
    """Returns the rows without those whose subject may be another's, as `1` beside `sub01`."""
    first: dict[tuple[str, int], tuple[tuple, OwnRow]] = {}
    clear = []
    for row in rows:
        who, count = person(row.dataset, row.subject), numbered(plain(row.subject))
        other, earlier = first.setdefault((row.dataset, count), (who, row))
        if count is None or other == who:
            clear.append(row)
            continue
        reason = (
            f"subject: {row.subject!r}, and {earlier.subject!r} in row {earlier.number}: one "
            "person or two? write each person in one way"
        )
        faults.append({"clip": row.clip, "row": row.number, "reason": reason})
    return clear


def _one_spelling(rows: list[OwnRow], notes: list[str]) -> list[OwnRow]:
    """Writes each subject and each label in one way, and notes what was written in several."""
    subjects = usual_spellings((row.dataset, row.subject) for row in rows)
    labels: dict[str, Counter] = {}
    for row in rows:
        labels.setdefault(class_key(row.label), Counter())[row.label] += 1
    for ways in labels.values():
        if len(ways) > 1:
            notes.append(f"one label, written in {len(ways)} ways: {', '.join(ways)}")
    written: dict[tuple, set[str]] = {}
    for row in rows:
        written.setdefault(person(row.dataset, row.subject), set()).add(row.subject)
    for ways in written.values():
        if len(ways) > 1:
            notes.append(f"one subject, written in {len(ways)} ways: {', '.join(sorted(ways))}")
    owners: dict[str, set] = {}
    for row in rows:
        owners.setdefault(row.clip, set()).add(person(row.dataset, row.subject))
    shared = any(len(people) > 1 for people in owners.values())
    several = len({row.dataset for row in rows}) > 1
    if shared:
        name = "set/subject/clip" if several else "subject/clip"
        notes.append(f"clips of several subjects have equal names: each is called {name}")
    out = []
    for row in rows:
        subject = subjects[person(row.dataset, row.subject)]
        label = labels[class_key(row.label)].most_common(1)[0][0]
        clip = f"{subject}/{row.clip}" if shared else row.clip
        clip = f"{row.dataset}/{clip}" if shared and several else clip
        out.append(dataclasses.replace(row, subject=subject, label=label, clip=clip))
    return out
