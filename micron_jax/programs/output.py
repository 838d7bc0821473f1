"""Reports, as the commands write and print them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from micron_jax import files
from micron_jax.errors import printable
from micron_jax.video.file_notes import line_of

LINES = 10  # of reasons, before "and N more"


def write_json(path: Path | None, report: Any) -> None:
    """Writes a report, whole or not at all, if there is a path.

    Raises:
      UserError: the file cannot be written.
    """
    if path:
        with files.writing(path):
            files.write_json(path, report)


def print_report(lines: Iterable[str], report: Any, path: Path | None) -> None:
    """Prints the lines of a report, and writes its numbers as `write_json` does."""
    print_text("\n".join(lines))
    write_json(path, report)


def print_text(text: str) -> None:
    """Prints lines in which files and people are named; see `errors.printable`."""
    print("\n".join(map(printable, text.split("\n"))))


def print_reasons(what: str, entries: list[dict]) -> None:
    """Prints how many entries {"clip", "reason"} there are, if any, and the first of them."""
    if entries:
        print(f"{what}: {len(entries):,}")
    for entry in entries[:LINES]:
        after = entry.get("frames", 1) - 1
        more = f", and {after:,} frames after it" if after > 0 else ""
        print(printable(f"  {entry['clip']}: {entry['reason']}{more}"))
    if len(entries) > LINES:
        print(f"  and {len(entries) - LINES:,} more")


def print_notes(notes: list[dict]) -> None:
    """Prints the entries of `FileNotes`, if any: files that are not read, and odd orders."""
    if notes:
        print("not read, or to look at:")
    for entry in notes[:LINES]:
        print(printable(f"  {line_of(entry)}"))
    if len(notes) > LINES:
        print(f"  and {len(notes) - LINES:,} more reasons")


def decimals(value: float | None) -> str:
    """Returns a number with three decimals; `-` for None, centered."""
    return "  -  " if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Returns a share in percent; `-` for None."""
    return "-" if value is None else f"{100 * value:.1f} %"


def counts(built: dict) -> str:
    """Returns the size of a built set, in one line."""
    return f"clips: {built['clips']:,}, frames: {built['frames']:,}, bytes: {built['bytes']:,}"
