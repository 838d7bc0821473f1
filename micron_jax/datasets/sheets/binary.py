"""The reader of .xls, .xlsb and .ods: calamine, in a process that may die in its place."""

import json
import subprocess
import sys
from pathlib import Path

from micron_jax.datasets.sheets import calamine_child
from micron_jax.datasets.sheets.cells import (
    Cell,
    Cells,
    Sheet,
    clean,
    date_cell,
    number_cell,
    truth_cell,
)
from micron_jax.errors import UserError

SECONDS = 120  # a workbook of 6 MB takes one
PASSWORD = "a password protects it: open it, save it without the password"


def read_binary(path: Path) -> list[Sheet]:
    """Reads all sheets; errors (#N/A) come as empty cells, for calamine drops them.

    Raises:
      UserError: the file is damaged or protected by a password, or its cells lie too far apart.
    """
    command = [sys.executable, "-P", calamine_child.__file__, str(path)]
    try:
        child = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"it is not read within {SECONDS} s: {_DAMAGED}") from None
    if child.returncode == calamine_child.REFUSED:
        reason = child.stdout.decode("utf-8", "replace").strip()
        raise UserError(PASSWORD if reason == "password" else f"it is damaged ({reason})")
    if child.returncode:
        raise UserError(_DAMAGED)
    return [_sheet(*fields) for fields in json.loads(child.stdout)]


_DAMAGED = (
    "it is damaged, or a stray cell lies far from its table: open it in Excel, delete the rows "
    "below the table and the columns beside it, and save it as .xlsx"
)


def _sheet(name: str, visible: bool, values: list, merged: list) -> Sheet:
    cells = Cells()
    for row, column, kind, value in values:
        cells.add(row, column, _cell(kind, value))
    cells.spread(tuple(corners) for corners in merged)
    return Sheet(name, cells.rows, visible)


def _cell(kind: str, value: object) -> Cell:
    if kind == "str":
        return Cell(clean(value))
    if kind == "bool":
        return truth_cell(value)
    if kind in ("int", "float"):
        return number_cell(value)
    return date_cell(str(value))
