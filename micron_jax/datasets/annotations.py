"""Annotations of micro-expressions, and the reader of a benchmark's sheet by column names."""

import dataclasses
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from micron_jax.datasets import sheets
from micron_jax.datasets.sheets.cells import Sheet, column_name
from micron_jax.errors import UserError

HEADER_WITHIN = 40  # lines: SAMM's sheet has 13 lines of notes before its header


@dataclasses.dataclass(frozen=True)
class Sample:
    """One labeled micro-expression.

    Attributes:
      dataset: the built set's name: casme2, samm, smic_hs, smic_vis, smic_nir, smic_hs_e,
        smic_vis_e, casme3, casme3_c, mmew, fourdme, dfme.
      clip: unique in its set; the sheet's own names, e.g. `sub01/EP02_01f`.
      subject: as text, unique in its set.
      emotion: as the sheet writes it.
      action_units: as the sheet writes them; empty if it does not.
      onset, apex, offset: frame numbers as in the files' names.
      split: `train` or a name that begins with `test`, where the owners part the set; else empty.
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
    split: str = dataclasses.field(default="", repr=False)  # fingerprints are made of the repr


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a sheet: `number` as a spreadsheet shows it, `cells` by our names, as text.

    `faults` holds, by our names, why a cell is not what its author typed.
    """

    number: int
    cells: Mapping[str, str]
    faults: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.cells.get(name, "")


def sheet_names(path: Path) -> list[str]:
    """Returns the names of a file's sheets, [""] of an exported table; UserError if damaged."""
    return sheets.open_workbook(path).names


def missing_columns(
    path: Path, sheet: str, columns: Mapping[str, tuple[str, ...]], optional: tuple[str, ...] = ()
) -> list[str]:
    """Returns the faults of a sheet's columns: [`no column 'Subject'`, ...]."""
    return _header(sheets.open_workbook(path).sheet(sheet), columns, optional).faults


def read_rows(
    path: Path, sheet: str, columns: Mapping[str, tuple[str, ...]], optional: tuple[str, ...] = ()
) -> list[Row]:
    """Reads a sheet by the names of its columns; header and columns may stand anywhere.

    Args:
      path: a workbook or an exported table (`sheets.SUFFIXES`).
      sheet: its name; empty for an exported table.
      columns: our name -> the headings that mean it (case and outer spaces do not matter).
      optional: those of ours that may be missing.

    Returns:
      The rows below the header, without those that are empty in all these columns; hidden rows,
      too.

    Raises:
      UserError: the workbook cannot be read; a column is missing or is there twice; the file
        holds no result of a formula.
    """
    table = sheets.open_workbook(path).sheet(sheet)
    where = f"{path}, sheet {sheet}" if sheet else str(path)
    header = _header(table, columns, optional)
    if header.faults:
        texts = [" ".join(cell.text.split()) for cell in table.rows.get(header.line, {}).values()]
        raise UserError(f"{where}: {header.faults[0]}; its header reads: {', '.join(texts) or '-'}")
    rows = []
    for number in sorted(line for line in table.rows if line > header.line):
        cells = table.rows[number]
        named = {name: cells[place] for name, place in header.places.items() if place in cells}
        for name, cell in named.items():
            if cell.uncomputed:
                place = f"{column_name(header.places[name])}{number}"
                raise UserError(
                    f"{where}, cell {place}: the file holds a formula ({cell.text}) without its "
                    "result: open it in Excel or LibreOffice and save it"
                )
        if named:
            faults = {
                name: f"cell {column_name(header.places[name])}{number} is {cell.fault}"
                for name, cell in named.items()
                if cell.fault
            }
            rows.append(Row(number, {name: cell.text for name, cell in named.items()}, faults))
    if not rows:
        raise UserError(f"{where}: no line below its header (line {header.line})")
    return rows


def hidden_rows(path: Path, sheet: str, rows: Sequence[Row]) -> int:
    """Returns how many of these rows the sheet hides, by a filter or by hand."""
    hidden = sheets.open_workbook(path).sheet(sheet).hidden_rows
    return sum(row.number in hidden for row in rows)


@dataclasses.dataclass(frozen=True)
class _Header:
    """The line with the most of the headings: its number, our name -> column, and its faults."""

    line: int
    places: Mapping[str, int]
    faults: list[str]


def _header(
    table: Sheet, columns: Mapping[str, tuple[str, ...]], optional: tuple[str, ...]
) -> _Header:
    best = _Header(1, {}, [f"no column {names[0]!r}" for names in columns.values()])
    for line in sorted(table.rows)[:HEADER_WITHIN]:
        texts = {place: _headings(cell.text) for place, cell in table.rows[line].items()}
        places, faults = {}, []
        for name, headings in columns.items():
            meant = set().union(*map(_headings, headings))
            matches = [place for place, text in texts.items() if text & meant]
            if len(matches) == 1:
                places[name] = matches[0]
            elif matches or name not in optional:
                count = "two columns" if matches else "no column"
                faults.append(f"{count} {headings[0]!r}")
        if len(places) > len(best.places):
            best = _Header(line, places, faults)
    return best


def _headings(text: str) -> set[str]:
    """Returns how a heading may be meant; a line break in it is a space, or none.

    Inner spaces count: OnsetFrame is CASME II's, Onset Frame SAMM's.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return {" ".join(form.split()) for form in (plain, plain.replace("\n", ""))}
