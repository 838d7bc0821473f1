"""The program that reads one .xls, .xlsb or .ods through calamine, in a process of its own.

calamine lays out the whole rectangle up to the last cell and aborts its process where memory ends
or a damaged file leads it astray. This file is run by its path, and imports nothing of the package.
"""

import json
import resource
import sys

MEMORY = 2 << 30  # bytes of address space: a stray cell in the last corner of an .xls takes 1 GB
REFUSED = 3  # exit status: standard output holds the reason
PLAIN = (bool, float, int, str)


def main(path: str) -> int:
    """Prints the workbook as JSON: [[name, visible, [[row, column, kind, text]], merged]]."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum

    try:
        with open(path, "rb") as file:
            book = CalamineWorkbook.from_filelike(file)
        sheets = []
        for about in book.sheets_metadata:
            sheet = book.get_sheet_by_name(about.name)
            visible = about.visible == SheetVisibleEnum.Visible
            merged = [[a + 1, b, c + 1, d] for (a, b), (c, d) in sheet.merged_cell_ranges or ()]
            sheets.append([about.name, visible, cells_of(sheet), merged])
    except PasswordError:
        print("password")
        return REFUSED
    except CalamineError as error:
        print(" ".join(str(error).split()))
        return REFUSED
    json.dump(sheets, sys.stdout)
    return 0


def cells_of(sheet) -> list[list]:
    """Returns [row from 1, column from 0, kind, value] of each cell that is not empty."""
    first = sheet.start[1] if sheet.start else 0  # rows begin at the top, columns at the first one
    return [
        [row, column, type(value).__name__, value if isinstance(value, PLAIN) else str(value)]
        for row, values in enumerate(sheet.iter_rows(), 1)
        for column, value in enumerate(values, first)
        if value != ""
    ]


if __name__ == "__main__":
    limit = min(MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1] % (1 << 63))
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.exit(main(sys.argv[1]))
