"""The plan of a build: the clips of a sheet, their files, the mends, and the rows left out."""

import dataclasses
import functools
import hashlib
import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from micron_jax.datasets.annotations import Sample, hidden_rows, read_rows
from micron_jax.datasets.clips import LABELS
from micron_jax.datasets.clipset import MIDDLE, ClipSet, Entry, number
from micron_jax.datasets.subjects import person, usual_spellings
from micron_jax.datasets.vendor_files import (
    IMAGES,
    Frames,
    Tree,
    find_sheet,
    named_as,
    sha256_of,
    walk,
)
from micron_jax.errors import UserError
from micron_jax.video.frame_order import UNNUMBERED, order_frames
from micron_jax.video.image_files import Unreadable

FIELDS = ("onset", "apex", "offset")


@dataclasses.dataclass(frozen=True)
class Planned:
    """A sample, and the files of its frames: [(number, file name)] in `folder`."""

    sample: Sample
    row: int
    folder: Path
    files: list[tuple[int, str]]


@dataclasses.dataclass
class Plan:
    """The work of a build; the user sees each list of dicts, row by row.

    Attributes:
      mended: [{"clip", "row", "field", "was", "now", "reason"}].
      skipped: [{"clip", "row", "reason"}] of rows that cannot be used.
      gaps: [{"clip", "row", "reason"}] of clips that stay although frames are missing in them.
      sheet: {"file", "sheet", "sha256"}; the file's name is the sheet's version.
      prefix: the folder above the frames.
      notes: on the sheet as a whole, for the user.
      more: what else is stored with the set.
    """

    planned: list[Planned]
    mended: list[dict]
    skipped: list[dict]
    gaps: list[dict]
    sheet: dict[str, str]
    prefix: Path
    notes: list[str]
    more: dict = dataclasses.field(default_factory=dict)

    def fingerprint(self) -> str:
        """Returns a hash of the samples, their files and sizes, but not of where they lie."""
        digest = hashlib.sha256()
        for item in self.planned:
            paths = [item.folder / name for _, name in item.files]
            sizes = [(path.name, path.stat().st_size) for path in paths]
            digest.update(f"{item.sample} {sizes}\n".encode())
        return digest.hexdigest()


def plan(
    spec: ClipSet,
    source: Path,
    keep: str,
    *,
    sheet: Path | None = None,
    frames: Path | None = None,
    others: Iterable[ClipSet] = (),
) -> Plan:
    """Reads the sheet, finds the frames, mends known mistakes, and checks every row.

    Args:
      source: the folder as unpacked; for `labels`, the workbook, too.
      keep: one of `clips.KEEPS`; for `labels` no frames are looked for.
      sheet: the workbook, where several fit.
      frames: the folder of frames, where several fit; below `source`, or relative to it.
      others: sets that a wrong sheet may belong to.

    Raises:
      UserError: see `find_sheet` and `Frames`; no row can be used.
    """
    _files.cache_clear()  # the folders may have changed since an earlier plan
    if keep == LABELS:
        _check_labels(spec, frames)
    if keep == LABELS and source.is_file():
        sheet, tree = source, Tree(source.resolve().parent, [source], {})
    else:
        tree = walk(source)
    if sheet and not sheet.is_file():
        raise UserError(f"{sheet} is not a file; sheet must name a workbook")
    chosen = _below(tree.root, frames)
    entries, about, notes = _entries(spec, tree, sheet, chosen, others)
    notes += _one_spelling(spec, entries) + _without_subject(entries)
    mended = [note for entry in entries for note in _mend(spec, entry)]
    place = None if keep == LABELS else Frames(spec, tree, entries, chosen)
    done: dict[int, Planned] = {}
    faulty: dict[int, tuple[Entry, str]] = {}
    first_of: dict[str, Entry] = {}
    for index, entry in enumerate(entries):
        first = first_of.setdefault(entry.clip.casefold(), entry)
        if first is entry:
            item, reason = _check(spec, entry, place, keep)
        else:
            item, reason = None, _unreadable(spec, entry) or f"the same clip as {_place(first)}"
        if item:
            done[index] = item
        else:
            faulty[index] = (entry, reason)
    for changes, indices in _apply_rules(spec, faulty, place):
        mended += changes
        for index in indices:
            item, reason = _check(spec, entries[index], place, keep)
            if item:
                done[index] = item
                del faulty[index]
            else:
                faulty[index] = (entries[index], reason)
    skipped = [
        {"clip": entry.clip, "row": entry.row.number, "reason": reason}
        for _, (entry, reason) in sorted(faulty.items())
    ]
    planned = [done[index] for index in sorted(done)]
    if not planned:
        first = "; ".join(f"row {n['row']}, {n['clip']}: {n['reason']}" for n in skipped[:3])
        raise UserError(f"none of the {len(entries)} samples of {spec.name} can be used ({first})")
    gaps = [gap for item in planned if keep == "clip" and (gap := _gap(item))]
    prefix = place.prefix if place else tree.root
    return Plan(planned, mended, skipped, gaps, about, prefix, notes)


def _check_labels(spec: ClipSet, frames: Path | None) -> None:
    """Checks that a build without frames can be."""
    if spec.without_sheet is not None:
        raise UserError(
            f"{spec.name} has no sheet: the folders of its frames say the labels; build it with "
            "its frames"
        )
    if frames:
        raise UserError(f"frames={frames}: a build of the {LABELS} alone takes none; leave it out")


def _place(entry: Entry) -> str:
    return f"row {entry.row.number}" if entry.row.number else entry.row["folder"]


def _entries(
    spec: ClipSet,
    tree: Tree,
    sheet: Path | None,
    chosen: Path | None,
    others: Iterable[ClipSet],
) -> tuple[list[Entry], dict[str, str], list[str]]:
    """Returns (entries, {"file", "sheet", "sha256"}, notes); `chosen` is a folder of frames."""
    if spec.splits:
        return _entries_of_splits(spec, tree, sheet, others)
    if spec.without_sheet is None:
        return _entries_of_sheet(spec, tree, sheet, others)
    if sheet:
        raise UserError(
            f"{spec.name} takes no sheet ({sheet.name}): its folders annotate the clips; build it "
            "without sheet"
        )
    folders = sorted(path for paths in tree.folders.values() for path, full in paths if full)
    if chosen:
        folders = [path for path in folders if path.is_relative_to(chosen)]
    entries = []
    for folder in folders:
        numbers = _numbers(folder)
        if numbers and (entry := spec.without_sheet(folder.parts, numbers[0], numbers[-1])):
            entries.append(entry)
    if not entries:
        raise UserError(
            f"no folder of clips of {spec.name} below {chosen or tree.root}: looked for "
            f"{spec.example}; mend source or frames; `micron-jax data list {spec.name}` shows the "
            "layout"
        )
    return entries, {"file": "", "sheet": "", "sha256": ""}, []


def _entries_of_sheet(
    spec: ClipSet, tree: Tree, sheet: Path | None, others: Iterable[ClipSet]
) -> tuple[list[Entry], dict[str, str], list[str]]:
    path, name = find_sheet(spec, tree, sheet, others)
    rows = read_rows(path, name, spec.columns, spec.optional)
    about = {"file": path.name, "sheet": name, "sha256": sha256_of(path)}
    count = hidden_rows(path, name, rows)
    notes = [f"{count} of the sheet's {len(rows)} rows are hidden in it; they are read, too"]
    entries = [entry for row in rows for entry in spec.entries(row)]
    return entries, about, notes if count else []


def _entries_of_splits(
    spec: ClipSet, tree: Tree, sheet: Path | None, others: Iterable[ClipSet]
) -> tuple[list[Entry], dict[str, str], list[str]]:
    """Reads one workbook for each part of the owners' split, as far as they are there."""
    entries, abouts, notes = [], [], []
    for split, patterns in spec.splits.items():
        part = dataclasses.replace(spec, sheet_files=patterns, splits={})
        if not any(named_as(path, part) for path in ([sheet] if sheet else tree.workbooks)):
            continue
        more, about, lines = _entries_of_sheet(part, tree, sheet, others)
        for entry in more:
            cells = {**entry.row.cells, "split": split}
            entry.row = dataclasses.replace(entry.row, cells=cells)
        entries += more
        abouts.append(about)
        notes += [f"{about['file']}: {line}" for line in lines]
        notes.append(f"{split}: {len(more)} rows of {about['file']}")
    if not entries:
        find_sheet(spec, tree, None, others)  # raises, and names what it looked for
        raise UserError(f"{sheet} is no workbook of {spec.name}: {', '.join(spec.sheet_files)}")
    digest = hashlib.sha256("".join(about["sha256"] for about in abouts).encode()).hexdigest()
    names = ", ".join(about["file"] for about in abouts)
    return entries, {"file": names, "sheet": abouts[0]["sheet"], "sha256": digest}, notes


def _one_spelling(spec: ClipSet, entries: list[Entry]) -> list[str]:
    """Writes each subject in one way; returns notes on those that the sheet writes in several."""
    names = usual_spellings((spec.name, entry.subject) for entry in entries)
    ways: dict[str, dict[str, int]] = {}  # subject -> as the sheet writes it -> its first row
    for entry in entries:
        entry.subject = names[person(spec.name, entry.subject)]
        written = entry.row["subject"] or entry.subject
        ways.setdefault(entry.subject, {}).setdefault(written, entry.row.number)
    return [
        f"subject {subject} is written in {len(rows)} ways, taken for one person: "
        + ", ".join(f"{text!r} (row {row})" for text, row in rows.items())
        for subject, rows in ways.items()
        if len(rows) > 1
    ]


def _without_subject(entries: list[Entry]) -> list[str]:
    """Returns a note where many rows lack a subject, as where merged cells were saved as text."""
    count = sum(not entry.subject for entry in entries)
    if count < len(entries) / 4:
        return []
    return [
        f"{count} of {len(entries)} rows have no subject; if its cells were merged once, write the "
        "subject into each row"
    ]


def _below(root: Path, frames: Path | None) -> Path | None:
    if frames is None:
        return None
    for path in (frames.resolve(), root / frames):
        if path.is_dir() and path.is_relative_to(root):
            return path
    raise UserError(f"{frames} is no folder below {root}; frames must name one")


def _mend(spec: ClipSet, entry: Entry) -> list[dict]:
    notes = []
    if fault := entry.row.faults.get("action_units"):
        notes.append(_mended(entry, "action_units", "", fault))
    for mend in spec.mends:
        was = getattr(entry, mend.field)
        faulty = _faulty(entry, mend.field) if mend.was is None else _reads(was, mend.was)
        if mend.clip.casefold() == entry.clip.casefold() and faulty:
            notes.append(_mended(entry, mend.field, mend.now, mend.reason))
    return notes


def _reads(text: str, was: str) -> bool:
    """Tells whether a cell reads so; programs write the number 83 as 83.0, too."""
    return text.casefold() == was or (number(was) is not None and number(text) == number(was))


def _mended(entry: Entry, field: str, now: str, reason: str) -> dict:
    was = getattr(entry, field)
    setattr(entry, field, now)
    shown = str(_middle(entry)) if now == MIDDLE else now
    note = {"field": field, "was": was, "now": shown}
    return {"clip": entry.clip, "row": entry.row.number} | note | {"reason": reason}


def _apply_rules(
    spec: ClipSet, faulty: dict[int, tuple[Entry, str]], place: Frames | None
) -> Iterator[tuple[list[dict], list[int]]]:
    """Yields ([notes], [indices of mended entries]) of each rule.

    Without frames, `place` is None, a rule takes any numbers for those of files.
    """
    for rule in spec.rules:
        changes = {}
        for index, (entry, _) in faulty.items():
            numbers = _numbers(place.folder(entry)[0]) if place else [0, sys.maxsize]
            change = rule.mend(entry, numbers[0], numbers[-1]) if numbers else None
            if change:
                changes[index] = change
        if not 0 < len(changes) <= rule.rows:
            continue
        notes = []
        for index, change in changes.items():
            entry = faulty[index][0]
            notes += [_mended(entry, field, now, rule.reason) for field, now in change.items()]
        yield notes, list(changes)


def _check(
    spec: ClipSet, entry: Entry, place: Frames | None, keep: str
) -> tuple[Planned | None, str]:
    """Returns (the entry's part of the plan, "") or (None, why it cannot be used)."""
    if reason := _unreadable(spec, entry):
        return None, reason
    onset, apex, offset = (_value(entry, field) for field in FIELDS)
    if offset < onset:
        return None, f"offset {offset} before onset {onset}"
    if not onset <= apex <= offset:
        return None, f"apex {apex} outside onset {onset} .. offset {offset}"
    fps = spec.fps or _rate(entry)
    ends = (entry.emotion, entry.action_units, onset, apex, offset, fps, entry.row["split"])
    sample = Sample(spec.name, entry.clip, entry.subject, *ends)
    if place is None:
        return Planned(sample, entry.row.number, Path(), []), ""
    folder, reason = place.folder(entry)
    if folder is None:
        return None, reason
    try:
        files = _files(folder)
    except (Unreadable, OSError) as error:
        return None, str(error)
    inside = [n for n in sorted(files) if onset <= n <= offset]
    if entry.apex == MIDDLE and inside:  # no apex of the sheet's, so the nearest file serves
        apex = min(inside, key=lambda n: (abs(n - apex), n))
    numbers = [onset, apex] if keep == "pair" else inside
    # A pair needs no file of the offset, unless a rule might mend the offset: both forms must have
    # the same samples.
    lenient = keep == "pair" and not (spec.rules and offset > max(files, default=0))
    for needed in (onset, apex) if lenient else (onset, apex, offset):
        if needed not in files:
            run = f"{min(files)}..{max(files)}" if files else "none"
            return None, f"no frame {needed} in {folder} (numbers of its files: {run})"
    sample = dataclasses.replace(sample, apex=apex)
    return Planned(sample, entry.row.number, folder, [(n, files[n]) for n in numbers]), ""


def _unreadable(spec: ClipSet, entry: Entry) -> str:
    """Returns why a cell of the entry's row cannot be used; empty if all can."""
    faults = entry.row.faults
    for field in ("subject", "clip", "emotion"):
        if field in faults:
            return f"{field}: {faults[field]}"
        if not getattr(entry, field):
            return f"no {field}"
    if not spec.knows(entry.emotion):
        return f"unknown emotion {entry.emotion!r}"
    if not (spec.fps or _rate(entry)):
        return f"fps {entry.row['fps']!r} is no frame rate"
    for field in FIELDS:
        if _value(entry, field) is None:
            why = f": {faults[field]}" if field in faults else ""
            return f"{field} {getattr(entry, field)!r} is no frame number{why}"
    return ""


def _rate(entry: Entry) -> float:
    """Returns the row's frame rate; 0 if it has none."""
    try:
        rate = float(entry.row["fps"].replace(",", "."))
    except ValueError:
        return 0.0
    return rate if 0 < rate < math.inf else 0.0


def _value(entry: Entry, field: str) -> int | None:
    text = getattr(entry, field)
    return _middle(entry) if text == MIDDLE else number(text)


def _middle(entry: Entry) -> int | None:
    onset, offset = number(entry.onset), number(entry.offset)
    return None if onset is None or offset is None else (onset + offset) // 2


def _faulty(entry: Entry, field: str) -> bool:
    onset, value, offset = (_value(entry, name) for name in ("onset", field, "offset"))
    return value is None or None in (onset, offset) or not onset <= value <= offset


def _gap(item: Planned) -> dict | None:
    length = item.sample.offset - item.sample.onset + 1
    if len(item.files) == length:
        return None
    reason = f"{length - len(item.files)} of its {length} frames are missing; the rest is kept"
    return {"clip": item.sample.clip, "row": item.row, "reason": reason}


def _numbers(folder: Path | None) -> list[int]:
    try:
        return sorted(_files(folder)) if folder else []
    except (Unreadable, OSError):
        return []


@functools.lru_cache(maxsize=4)  # rows of one recording stand next to each other
def _files(folder: Path) -> dict[int, str]:
    """Returns {number: file name} of a folder's images.

    Raises:
      Unreadable: the names do not tell which frames they are; see `order_frames`.
    """
    shown = (name for name in os.listdir(folder) if not name.startswith("."))
    try:
        order = order_frames(name for name in shown if name.lower().endswith(IMAGES))
    except Unreadable as error:
        raise Unreadable(f"{folder}: {error}") from None
    for name, reason in order.left_out.items():
        if reason != UNNUMBERED:  # which the sheet cannot mean
            raise Unreadable(f"{folder}: {name} is {reason}: remove it")
    return dict(zip(order.numbers or (), order.names, strict=False))
