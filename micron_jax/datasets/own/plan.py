"""The plan of a build of one's own set: the clips of its table, their frames, the rows left out."""

import collections
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.clips_plan import Plan, Planned
from micron_jax.datasets.own import NAME
from micron_jax.datasets.own.frames import Interval, intervals, open_source
from micron_jax.datasets.own.table import Fault, OwnRow, Table, read_table
from micron_jax.datasets.protocols import emotion_of
from micron_jax.datasets.subjects import person
from micron_jax.datasets.vendor_files import sha256_of
from micron_jax.errors import UserError
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.timing import ASSUMED_FPS


def plan(source: Path, keep: str, scratch: Path) -> Plan:
    """Reads a table and its clips, and checks every row.

    Args:
      source: the table.
      keep: `pair` (onset and apex) or `clip` (all frames from onset to offset).
      scratch: an empty folder for frames of films; the plan names files in it.

    Raises:
      UserError: the table cannot be read, or no row can be used.
    """
    if source.is_dir():
        raise UserError(f"{source} is a folder; name the table of its clips (clips.csv)")
    table = read_table(source)
    planned, skipped, assumed, unread = {}, list(table.faults), 0, FileNotes()
    groups: dict[tuple[Path, float | None], list[OwnRow]] = collections.defaultdict(list)
    for row in table.rows:
        groups[_place(source.parent, row.path), row.fps].append(row)
    mended, some_apex = [], any(row.apex is not None for row in table.rows)
    for number, ((path, fps), rows) in enumerate(tqdm(groups.items(), unit=" files", desc=NAME)):
        folder = scratch / str(number)
        folder.mkdir()
        for row, result in _read(path, fps, rows, table.seconds, keep, folder, unread):
            if isinstance(result, Fault):
                skipped.append({"clip": row.clip, "row": row.number, "reason": str(result)})
                continue
            assumed += result.assumed
            planned[row.number] = _planned(result)
            if row.apex is None and some_apex:
                now = {"field": "apex", "was": "", "now": str(result.apex)}
                note = now | {"reason": "the table has none: the middle is taken"}
                mended.append({"clip": row.clip, "row": row.number} | note)
    skipped.sort(key=lambda note: note["row"])
    if not planned:
        first, count = skipped[0], len(skipped)
        more = f" (and {count - 1:,} more rows have faults)" if count > 1 else ""
        raise UserError(f"{source}: row {first['row']}, {first['reason']}{more}")
    notes = table.notes + _notes(table, assumed) + unread.lines()
    items = [planned[number] for number in sorted(planned)]
    gaps = [gap for item in items if keep == "clip" and (gap := _gap(item))]
    mended.sort(key=lambda note: note["row"])
    about = {"file": source.name, "sheet": table.sheet, "sha256": sha256_of(source)}
    more = {"expected": expected(table)}
    return Plan(items, mended, skipped, gaps, about, source, notes, more)


def expected(table: Table) -> dict[str, Any]:
    """Returns set -> {"samples": {class: count}, "subjects": count} of all rows of the table."""
    rows = [(row.dataset, row.subject, row.label) for row in table.rows]
    rows += [(name, subject, label) for name, subject, label in table.lost if subject]
    labeled = [(name, person(name, who), class_of(name, label)) for name, who, label in rows]
    classes = sorted({label for *_, label in labeled})
    number = collections.Counter((name, label) for name, _, label in labeled)
    people = collections.Counter(name for name, _ in {(name, who) for name, who, _ in labeled})
    return {
        name: {"samples": {label: number[name, label] for label in classes}, "subjects": count}
        for name, count in people.items()
    }


def class_of(dataset: str, label: str) -> str:
    """Returns the class that a label is: `happy` is happiness, as in the benchmarks."""
    return emotion_of(Sample(dataset, "", "", label, "", 0, 0, 0, 1.0))


def _place(folder: Path, text: str) -> Path:
    """Returns the path of a row; one with backslashes was written on Windows."""
    path = folder / text
    return path if path.exists() or "\\" not in text else folder / text.replace("\\", "/")


def _read(
    path: Path,
    fps: float | None,
    rows: list[OwnRow],
    seconds: str,
    keep: str,
    scratch: Path,
    unread: FileNotes,
) -> Iterator[tuple[OwnRow, Interval | Fault]]:
    try:
        clip = open_source(path, fps, unread)
    except (Fault, OSError) as error:
        fault = error if isinstance(error, Fault) else Fault(f"path: {path}: {error.strerror}")
        yield from ((row, fault) for row in rows)
        return
    yield from intervals(clip, rows, seconds, keep, scratch)


def _planned(item: Interval) -> Planned:
    row = item.row
    frames = (item.onset, item.apex, item.offset, item.fps)
    sample = Sample(
        row.dataset, row.clip, row.subject, row.label, row.action_units, *frames, row.split
    )
    # All from the root, as frames of one folder may lie in it or be written elsewhere.
    files = [(number, str(path.resolve())) for number, path in item.files]
    return Planned(sample, row.number, Path("/"), files)


def _gap(item: Planned) -> dict | None:
    numbers = [number for number, _ in item.files]
    missing = item.sample.offset - item.sample.onset + 1 - len(numbers)
    if not missing:
        return None
    reason = (
        f"{missing} of its {missing + len(numbers)} frame numbers are missing; the rest is kept"
    )
    return {"clip": item.sample.clip, "row": item.row, "reason": reason}


def _notes(table: Table, assumed: int) -> list[str]:
    notes = []
    for label in sorted({row.label for row in table.rows}):
        name = class_of(NAME, label)
        if name != label.casefold():
            notes.append(f"label {label!r} is the class {name}")
    if assumed:
        notes.append(
            f"clips whose files tell no frame rate, as images do not: {assumed:,}; "
            f"{ASSUMED_FPS:g} per second assumed (column fps)"
        )
    if all(row.apex is None for row in table.rows):
        notes.append("no row has an apex: the middle of onset and offset is taken")
    names = list(dict.fromkeys(row.dataset for row in table.rows))
    if len(names) > 1:
        notes.append(f"sets, whose subjects are different people: {', '.join(names)}")
    return notes
