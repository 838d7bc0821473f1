"""Cells of a sheet, sparse: memory follows the cells that hold something, wherever they stand."""

import bisect
import dataclasses
import re
from collections.abc import Iterable, Mapping

from micron_jax.errors import UserError

MAX_CELLS = 1_000_000  # that hold something; the largest real sheet of annotations has 47,000
# Zero-width spaces and joiners, marks of direction, soft hyphen; control characters but space.
_INVISIBLE = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"
)

Corners = tuple[int, int, int, int]  # first row, first column, last row, last column; rows from 1


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, as the sheet shows it.

    `fault` tells why the cell is not what its author typed (`the error #N/A`); the text of such a
    cell is never a number. `uncomputed` marks a formula that the file holds no result of.
    """

    text: str
    fault: str = ""
    uncomputed: bool = False


@dataclasses.dataclass(frozen=True)
class Sheet:
    """One sheet.

    Attributes:
      name: of the sheet; empty for a table in a text file, which has none.
      rows: row, as a spreadsheet numbers it from 1 -> column from 0 -> cell. Empty cells are left
        out. A cell that is merged over several rows stands in each of them that holds anything.
      visible: False if the sheet is hidden.
      hidden_rows: rows that are hidden, by a filter or by hand; `rows` holds them, too.
    """

    name: str
    rows: Mapping[int, Mapping[int, Cell]]
    visible: bool = True
    hidden_rows: frozenset[int] = frozenset()


class Cells:
    """The cells of a sheet while it is read."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[int, Cell]] = {}
        self._count = 0

    def add(self, row: int, column: int, cell: Cell) -> None:
        """Adds a cell, unless it is empty.

        Raises:
          UserError: there are too many.
        """
        if not cell.text:
            return
        self._count += 1
        if self._count > MAX_CELLS:
            raise UserError(f"it holds more than {MAX_CELLS:,} cells; delete what is no annotation")
        self.rows.setdefault(row, {})[column] = cell

    def spread(self, merged: Iterable[Corners]) -> None:
        """Writes each cell that is merged over rows into those of its rows that hold anything.

        Only the first column of a merged range is filled: a note across the sheet is no value of
        each of its columns.
        """
        numbers = sorted(self.rows)
        for first, column, last, _ in merged:
            cell = self.rows.get(first, {}).get(column)
            if cell is None:
                continue
            start, stop = bisect.bisect_right(numbers, first), bisect.bisect_right(numbers, last)
            for number in numbers[start:stop]:
                self.rows[number].setdefault(column, cell)


def clean(text: str) -> str:
    """Returns a text without invisible characters, and without spaces of any kind around it."""
    return _INVISIBLE.sub("", text).strip()


def number_cell(value: float) -> Cell:
    """Returns the cell of a number, with the 15 digits that a spreadsheet shows: 5.0 -> `5`."""
    shown = float(f"{value:.15g}")
    whole = shown.is_integer() and abs(shown) < 1e15
    return Cell(str(int(shown)) if whole else f"{shown:.15g}")


def date_cell(text: str) -> Cell:
    """Returns the cell of a date or time."""
    why = "a date: Excel makes one of a text such as 1-2; format the column as text, type it again"
    return Cell(f"date {text}", why)


def truth_cell(value: bool) -> Cell:
    """Returns the cell of a truth value."""
    text = "TRUE" if value else "FALSE"
    return Cell(text, f"the truth value {text}")


def error_cell(text: str) -> Cell:
    """Returns the cell of an error, as #N/A."""
    return Cell(clean(text), f"the error {clean(text)!r}")


def column_name(column: int) -> str:
    """Returns the letters of a column: 0 -> `A`, 27 -> `AB`."""
    letters, column = "", column + 1
    while column:
        column, place = divmod(column - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters
