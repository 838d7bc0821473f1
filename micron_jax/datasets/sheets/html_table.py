"""The reader of tables in HTML, which web systems and statistics programs save as .xls."""

import re
from html.parser import HTMLParser

from micron_jax.datasets.sheets.cells import Cell, Cells, Corners, Sheet, clean
from micron_jax.datasets.sheets.delimited import decode
from micron_jax.errors import UserError

MAX_SPAN = 1_000  # rows or columns


def read_html(data: bytes) -> Sheet:
    """Reads the rows of all tables of a page, as spreadsheets do: one below the other.

    Raises:
      UserError: the page has no table, or its encoding is not known.
    """
    parser = _Tables()
    try:
        parser.feed(_text(data))
        parser.close()
    except AssertionError as error:  # of html.parser, on a declaration that it does not know
        raise UserError(f"it is a damaged web page ({error})") from None
    parser.end_cell()
    if not parser.cells.rows:
        raise UserError("it is a web page without a table: download the workbook again")
    parser.cells.spread(parser.merged)
    return Sheet("", parser.cells.rows)


def _text(data: bytes) -> str:
    charset = re.search(rb"charset\s*=\s*[\"']?([\w-]+)", data[:2048])
    name = charset[1].decode() if charset else ""
    try:
        # Pages that name GB 2312 hold characters of its successors.
        return data.decode("gb18030" if name.lower().startswith("gb") else name or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return decode(data)


class _Tables(HTMLParser):
    """Collects cells; a cell that spans rows stands in each of them, as a merged one does."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.cells, self.merged = Cells(), []
        self._row, self._column = 1, 0
        self._span: tuple[int, int] | None = None  # rows and columns of the open cell
        self._words: list[str] = []
        self._begun = False  # whether the first row has a tag or a cell
        self._taken: dict[int, int] = {}  # column -> the last row that a cell above spans

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.end_cell()
            self._row, self._column = self._row + self._begun, 0
            self._begun = True
        elif tag in ("td", "th"):
            self.end_cell()
            values = dict(attrs)
            self._span = _number(values.get("rowspan")), _number(values.get("colspan"))
        elif tag == "br":
            self._words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self.end_cell()

    def handle_data(self, data: str) -> None:
        if self._span:
            self._words.append(data)

    def end_cell(self) -> None:
        """Writes the open cell, if there is one, into the next free column."""
        if self._span is None:
            self._words = []
            return
        rows, columns = self._span
        self._begun = True
        while self._taken.get(self._column, 0) >= self._row:
            self._column += 1
        text = clean(" ".join("".join(self._words).split()))  # line ends are spaces in a page
        self.cells.add(self._row, self._column, Cell(text))
        corners: Corners = (self._row, self._column, self._row + rows - 1, self._column)
        if rows > 1:
            self.merged.append(corners)
            for column in range(self._column, self._column + columns):
                self._taken[column] = corners[2]
        self._column += columns
        self._span, self._words = None, []


def _number(text: str | None) -> int:
    """Returns a span, 1 where it is none."""
    match = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s*", text or "")
    return min(int(match[1]), MAX_SPAN) if match else 1
