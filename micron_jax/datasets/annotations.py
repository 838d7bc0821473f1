"""Annotations of micro-expressions, and the reader of a benchmark's sheet by column names."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from micron_jax.errors import UserError

HEADER_WITHIN = 40  # lines: SAMM's sheet has 13 lines of notes before its header


@dataclasses.dataclass(frozen=True)
class Sample:
    """One labeled micro-expression.

    Attributes:
      dataset: the built set's name: casme2, samm, smic_hs, smic_vis, smic_nir, casme3, casme3_c,
        mmew, fourdme.
      clip: unique in its set; the sheet's own names, e.g. `sub01/EP02_01f`.
      subject: as text, unique in its set.
      emotion: as the sheet writes it.
      action_units: as the sheet writes them; empty if it does not.
      onset, apex, offset: frame numbers as in the files' names.
    """

    dataset: str
    clip: str
    subject: str
    emotion: str
    action_units: str
    onset: int
    apex: int
    offset: int
    fps: float


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a sheet: `number` as a spreadsheet shows it, `cells` by our names, as text."""

    number: int
    cells: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.cells.get(name, "")


def as_text(cell: object) -> str:
    """Returns a cell as the sheet shows it: 5.0 -> `5`, `006` -> `006`, an empty cell -> ``."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell).strip()


def sheet_names(path: Path) -> list[str]:
    """Returns the names of a workbook's sheets, .xls or .xlsx; UserError if it is damaged."""
    return list(_workbook(path).sheet_names)


def missing_columns(
    path: Path, sheet: str, columns: Mapping[str, tuple[str, ...]], optional: tuple[str, ...] = ()
) -> list[str]:
    """Returns the faults of a sheet's columns: [`no column 'Subject'`, ...]."""
    return _header(_workbook(path).get_sheet_by_name(sheet).to_python(), columns, optional)[2]


def read_rows(
    path: Path, sheet: str, columns: Mapping[str, tuple[str, ...]], optional: tuple[str, ...] = ()
) -> list[Row]:
    """Reads a sheet by the names of its columns; header and columns may stand anywhere.

    Args:
      path: .xls or .xlsx.
      columns: our name -> the headings that mean it (case and outer spaces do not matter).
      optional: those of ours that may be missing.

    Returns:
      The rows below the header, without those that are empty in all these columns.

    Raises:
      UserError: the workbook cannot be read; a column is missing or is there twice.
    """
    # Leading empty lines stay, so that the numbers are those of the spreadsheet.
    table = _workbook(path).get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    line, places, missing = _header(table, columns, optional)
    if missing:
        header = ", ".join(text for text in map(as_text, table[line] if table else []) if text)
        raise UserError(f"{path}, sheet {sheet}: {missing[0]}; its header reads: {header or '-'}")
    rows = []
    for number, cells in enumerate(table[line + 1 :], line + 2):
        named = {name: as_text(cells[place]) for name, place in places.items()}
        if any(named.values()):
            rows.append(Row(number, named))
    if not rows:
        raise UserError(f"{path}, sheet {sheet}: no line below its header (line {line + 1})")
    return rows


def _plain(heading: object) -> str:
    # Inner spaces count: OnsetFrame is CASME II's, Onset Frame SAMM's.
    return " ".join(as_text(heading).casefold().split())


def _header(
    table: list[list], columns: Mapping[str, tuple[str, ...]], optional: tuple[str, ...]
) -> tuple[int, dict[str, int], list[str]]:
    """Returns (index of the line with most of the headings, name -> place, its faults)."""
    best: tuple[int, dict[str, int], list[str]] = (
        0,
        {},
        [f"no column {names[0]!r}" for names in columns.values()],
    )
    for line, cells in enumerate(table[:HEADER_WITHIN]):
        texts = [_plain(cell) for cell in cells]
        places, faults = {}, []
        for name, headings in columns.items():
            matches = [place for place, text in enumerate(texts) if text in map(_plain, headings)]
            if len(matches) == 1:
                places[name] = matches[0]
            elif matches or name not in optional:
                count = "two columns" if matches else "no column"
                faults.append(f"{count} {headings[0]!r}")
        if len(places) > len(best[1]):
            best = (line, places, faults)
    return best


def _workbook(path: Path):
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return CalamineWorkbook.from_path(path)
    except (CalamineError, OSError) as error:
        raise UserError(f"{path} cannot be read as a spreadsheet ({error})") from None
