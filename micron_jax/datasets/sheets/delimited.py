"""Tables in text files (.csv, .tsv): their encoding, their separator, their rows."""

import codecs
import csv
import io
import re
from collections import Counter
from pathlib import Path

from micron_jax.datasets.sheets.cells import Cell, Cells, Sheet, clean
from micron_jax.errors import UserError

SEPARATORS = ",;\t|"
LINES = 40  # looked at for the separator
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Two bytes a Chinese character, as Excel writes them in China; in Western Europe letters with
# accents are one byte each, and stand alone.
_GB2312 = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xfe][\xa1-\xfe])*")


def read_text(path: Path) -> str:
    """Returns a file's text without a byte order mark.

    Raises:
      UserError: the file cannot be read, or its encoding is not known.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UserError(f"{path} is a workbook, not a text: save it as CSV UTF-8")
    try:
        return decode(data)
    except UserError as error:
        raise UserError(f"{path}, {error}") from None


def decode(data: bytes) -> str:
    """Decodes a text file: UTF-8, UTF-16 or UTF-32, else GB 18030 or Windows-1252.

    Raises:
      UserError: it is none of these; the message names the line.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding and b"\0" in data[:200]:  # UTF-16 without a mark: each second byte is 0
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        start = error.start
    if not encoding:
        guess = "gb18030" if _GB2312.fullmatch(data) else "cp1252"
        try:
            return data.decode(guess)
        except UnicodeDecodeError as error:
            start = error.start
    number = data[:start].count(b"\n") + 1
    raise UserError(f"row {number}: not UTF-8: save it as CSV UTF-8")


def separator(text: str) -> str:
    """Returns the separator under which most lines have equally many columns."""
    if hint := re.match(r'\s*"?sep=(.)"?\s*[\r\n]', text, re.IGNORECASE):  # Excel's own
        return hint[1]
    head = "".join(text.splitlines(keepends=True)[:LINES])

    def agreement(character: str) -> tuple[int, int]:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=character)
        try:
            widths = Counter(len(cells) for cells in reader if len(cells) > 1)
        except csv.Error:
            return 0, 0
        return max(((count, width) for width, count in widths.items()), default=(0, 0))

    return max(SEPARATORS, key=agreement)


def read_delimited(data: bytes) -> Sheet:
    """Reads a table; rows have the numbers that a spreadsheet shows.

    Raises:
      UserError: the encoding is not known, or quotes do not fit.
    """
    text = decode(data)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator(text), strict=True)
    cells = Cells()
    try:
        for number, values in enumerate(reader, 1):
            for column, value in enumerate(values):
                # Excel and LibreOffice keep leading zeros as ="006".
                formula = re.fullmatch(r'="(.*)"', value.strip())
                cells.add(number, column, Cell(clean(formula[1] if formula else value)))
    except csv.Error as error:
        raise UserError(f"line {reader.line_num} cannot be read as CSV ({error})") from None
    return Sheet("", cells.rows)
