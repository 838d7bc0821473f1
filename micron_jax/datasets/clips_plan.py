"""The plan of a build: the clips of a sheet, their files, the mends, and the rows left out."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from micron_jax.datasets.annotations import Sample, read_rows
from micron_jax.datasets.clipset import MIDDLE, ClipSet, Entry, number
from micron_jax.datasets.vendor_files import IMAGES, Frames, Tree, find_sheet, walk
from micron_jax.errors import UserError
from micron_jax.video.images import Unreadable, number_in

FIELDS = ("onset", "apex", "offset")


@dataclasses.dataclass(frozen=True)
class Planned:
    """A sample, and the files of the frames that are kept: [(number, file name)] in `folder`."""

    sample: Sample
    row: int
    folder: Path
    files: list[tuple[int, str]]


@dataclasses.dataclass
class Plan:
    """What a build will do; each list of dicts is told to the user, row by row.

    Attributes:
      planned: in the sheet's order.
      mended: [{"clip", "row", "field", "was", "now", "reason"}].
      skipped: [{"clip", "row", "reason"}] of rows that cannot be used.
      gaps: the same of clips that are kept although frames between are missing.
      sheet: {"file", "sheet", "sha256"}; the file's name is the sheet's version.
      prefix: the folder the frames lie below.
    """

    planned: list[Planned]
    mended: list[dict]
    skipped: list[dict]
    gaps: list[dict]
    sheet: dict[str, str]
    prefix: Path

    def fingerprint(self) -> str:
        """What will be built, wherever it lies: samples, files, their sizes."""
        digest = hashlib.sha256()
        for item in self.planned:
            sizes = [(name, (item.folder / name).stat().st_size) for _, name in item.files]
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
    """Reads the sheet, finds the frames, mends what is known, checks every row.

    Args:
      spec: the set.
      source: the folder as unpacked.
      keep: `pair` or `clip`.
      sheet: the workbook, where several fit.
      frames: the folder of frames, where several fit; below `source`, or relative to it.
      others: sets a wrong sheet may belong to.

    Raises:
      UserError: see `find_sheet` and `Frames`; not a row can be used.
    """
    _files.cache_clear()  # what an earlier plan has seen may have changed
    tree = walk(source)
    if sheet and not sheet.is_file():
        raise UserError(f"{sheet} is not a file; sheet must name a workbook")
    entries, about = _entries(spec, tree, sheet, others)
    mended = [note for entry in entries for note in _mend(spec, entry)]
    place = Frames(spec, tree, entries, _below(tree.root, frames))
    done: dict[int, Planned] = {}
    troubled: dict[int, tuple[Entry, str]] = {}
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        reason = _twice(entry, seen)
        if not reason:
            done[index], reason = _check(spec, entry, place, keep)
        if reason:
            done.pop(index, None)
            troubled[index] = (entry, reason)
    for notes, indices in _apply_rules(spec, troubled, place):
        mended += notes
        for index in indices:
            item, reason = _check(spec, entries[index], place, keep)
            if item:
                done[index] = item
                del troubled[index]
            else:
                troubled[index] = (entries[index], reason)
    skipped = [_note(entry, reason) for _, (entry, reason) in sorted(troubled.items())]
    planned = [done[index] for index in sorted(done)]
    if not planned:
        first = "; ".join(f"row {n['row']}, {n['clip']}: {n['reason']}" for n in skipped[:3])
        raise UserError(f"none of the {len(entries)} samples of {spec.name} can be used ({first})")
    gaps = [gap for item in planned if keep == "clip" and (gap := _gap(item))]
    return Plan(planned, mended, skipped, gaps, about, place.prefix)


def _entries(
    spec: ClipSet, tree: Tree, sheet: Path | None, others: Iterable[ClipSet]
) -> tuple[list[Entry], dict[str, str]]:
    found = find_sheet(spec, tree, sheet, others)
    if found:
        path, name = found
        rows = read_rows(path, name, spec.columns, spec.optional)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        about = {"file": path.name, "sheet": name, "sha256": digest}
        return [entry for row in rows for entry in spec.entries(row)], about
    folders = sorted(path for paths in tree.folders.values() for path, full in paths if full)
    entries = []
    for folder in folders:
        numbers = _numbers(folder)
        if numbers and (entry := spec.without_sheet(folder.parts, numbers[0], numbers[-1])):
            entries.append(entry)
    if not entries:
        raise UserError(f"no sheet and no folder of clips of {spec.name} below {tree.root}")
    return entries, {"file": "", "sheet": "", "sha256": ""}


def _below(root: Path, frames: Path | None) -> Path | None:
    if frames is None:
        return None
    for path in (frames.resolve(), root / frames):
        if path.is_dir() and path.is_relative_to(root):
            return path
    raise UserError(f"{frames} is no folder below {root}; frames must name one")


def _mend(spec: ClipSet, entry: Entry) -> list[dict]:
    notes = []
    for mend in spec.mends:
        was = getattr(entry, mend.field)
        faulty = _faulty(entry, mend.field) if mend.was is None else was.casefold() == mend.was
        if mend.clip.casefold() == entry.clip.casefold() and faulty:
            notes.append(_mended(entry, mend.field, mend.now, mend.reason))
    return notes


def _mended(entry: Entry, field: str, now: str, reason: str) -> dict:
    was = getattr(entry, field)
    setattr(entry, field, now)
    shown = str(_middle(entry)) if now == MIDDLE else now
    note = {"field": field, "was": was, "now": shown}
    return {"clip": entry.clip, "row": entry.row.number} | note | {"reason": reason}


def _apply_rules(
    spec: ClipSet, troubled: dict[int, tuple[Entry, str]], place: Frames
) -> Iterator[tuple[list[dict], list[int]]]:
    """Yields ([notes], [indices that were mended]), a rule at a time."""
    for rule in spec.rules:
        changes = {}
        for index, (entry, _) in troubled.items():
            folder, _ = place.folder(entry)
            numbers = _numbers(folder)
            change = rule.mend(entry, numbers[0], numbers[-1]) if numbers else None
            if change:
                changes[index] = change
        if not 0 < len(changes) <= rule.known:
            continue
        notes = []
        for index, change in changes.items():
            entry = troubled[index][0]
            notes += [_mended(entry, field, now, rule.reason) for field, now in change.items()]
        yield notes, list(changes)


def _twice(entry: Entry, seen: dict[str, int]) -> str:
    first = seen.setdefault(entry.clip.casefold(), entry.row.number)
    return "" if first == entry.row.number else f"the same clip as row {first}"


def _check(spec: ClipSet, entry: Entry, place: Frames, keep: str) -> tuple[Planned | None, str]:
    """(what is kept of the entry, or None; the reason why it cannot be used, or nothing)."""
    for field in ("subject", "emotion"):
        if not getattr(entry, field):
            return None, f"no {field}"
    if not spec.knows(entry.emotion):
        return None, f"unknown emotion {entry.emotion!r}"
    for field in FIELDS:
        if _value(entry, field) is None:
            return None, f"{field} {getattr(entry, field)!r} is no frame number"
    onset, apex, offset = (_value(entry, field) for field in FIELDS)
    if offset < onset:
        return None, f"offset {offset} before onset {onset}"
    if not onset <= apex <= offset:
        return None, f"apex {apex} outside onset {onset} .. offset {offset}"
    folder, reason = place.folder(entry)
    if folder is None:
        return None, reason
    try:
        files = _files(folder)
    except (Unreadable, OSError) as error:
        return None, str(error)
    inside = [n for n in sorted(files) if onset <= n <= offset]
    if entry.apex == MIDDLE and inside:  # ours to choose, so a missing file is no obstacle
        apex = min(inside, key=lambda n: (abs(n - apex), n))
    numbers = [onset, apex] if keep == "pair" else inside
    # A pair does without the offset's file, unless a rule might mend the offset: a sample says the
    # same in both.
    lenient = keep == "pair" and not (spec.rules and offset > max(files, default=0))
    for needed in (onset, apex) if lenient else (onset, apex, offset):
        if needed not in files:
            run = f"{min(files)}..{max(files)}" if files else "none"
            return None, f"no frame {needed} in {folder} (numbers of its files: {run})"
    rest = (entry.emotion, entry.action_units, onset, apex, offset, spec.fps)
    sample = Sample(spec.name, entry.clip, entry.subject, *rest)
    return Planned(sample, entry.row.number, folder, [(n, files[n]) for n in numbers]), ""


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
    wanted = item.sample.offset - item.sample.onset + 1
    if len(item.files) == wanted:
        return None
    reason = f"{wanted - len(item.files)} of its {wanted} frames are missing; the rest is kept"
    return {"clip": item.sample.clip, "row": item.row, "reason": reason}


def _note(entry: Entry, reason: str) -> dict:
    return {"clip": entry.clip, "row": entry.row.number, "reason": reason}


def _numbers(folder: Path | None) -> list[int]:
    try:
        return sorted(_files(folder)) if folder else []
    except (Unreadable, OSError):
        return []


@functools.lru_cache(maxsize=4)  # rows of one recording stand next to each other
def _files(folder: Path) -> dict[int, str]:
    """{number: file name} of a folder's images.

    Raises:
      Unreadable: two files have the same number.
    """
    files: dict[int, str] = {}
    for name in sorted(os.listdir(folder)):
        counted = number_in(name)
        if name.startswith(".") or Path(name).suffix.lower() not in IMAGES or counted < 0:
            continue
        if counted in files:
            raise Unreadable(f"{folder}: two files of frame {counted}, {files[counted]} and {name}")
        files[counted] = name
    return files
