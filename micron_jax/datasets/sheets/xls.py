"""The reader of .xls: xlrd, with its cells sparse and its failures in one line."""

import os

from micron_jax.datasets.sheets.cells import (
    Cell,
    Cells,
    Sheet,
    clean,
    date_cell,
    error_cell,
    number_cell,
    truth_cell,
)
from micron_jax.errors import UserError

PASSWORD = "a password protects it: open it, save it without the password"
_DAMAGED = "copy or download it again, or open it in Excel and save it as .xlsx"


def read_xls(data: bytes) -> list[Sheet]:
    """Reads all sheets.

    Raises:
      UserError: the file is damaged or protected by a password.
    """
    import xlrd

    try:
        with open(os.devnull, "w") as silence:  # it warns on standard output
            # Formatting brings merged cells and hidden rows.
            settings = dict(logfile=silence, formatting_info=True, ragged_rows=True)
            book = xlrd.open_workbook(file_contents=data, **settings)
            return [_sheet(book, page) for page in book.sheets()]
    except UserError:
        raise
    except xlrd.XLRDError as error:
        if "encrypted" in str(error):
            raise UserError(PASSWORD) from None
        raise UserError(f"it is damaged, or no .xls ({error}): {_DAMAGED}") from None
    except Exception as error:  # a damaged file leads xlrd anywhere
        raise UserError(f"it is damaged ({type(error).__name__} in xlrd): {_DAMAGED}") from None


def _sheet(book, page) -> Sheet:
    cells = Cells()
    for row in range(page.nrows):
        kinds, values = page.row_types(row), page.row_values(row)
        for column, (kind, value) in enumerate(zip(kinds, values, strict=True)):
            cells.add(row + 1, column, _cell(kind, value))
    cells.spread((first + 1, column, stop, end) for first, stop, column, end in page.merged_cells)
    hidden = {row + 1 for row, about in page.rowinfo_map.items() if about.hidden}
    hidden_rows = frozenset(hidden & cells.rows.keys())
    return Sheet(clean(page.name), cells.rows, page.visibility == 0, hidden_rows)


def _cell(kind: int, value) -> Cell:
    import xlrd

    if kind == xlrd.XL_CELL_TEXT:
        return Cell(clean(value))
    if kind == xlrd.XL_CELL_NUMBER:
        return number_cell(value)
    if kind == xlrd.XL_CELL_DATE:
        return date_cell(number_cell(value).text)
    if kind == xlrd.XL_CELL_BOOLEAN:
        return truth_cell(bool(value))
    if kind == xlrd.XL_CELL_ERROR:
        return error_cell(xlrd.error_text_from_code.get(value, f"number {value}"))
    return Cell("")
