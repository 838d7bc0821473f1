"""The reader of .xlsx and .xlsm: a zip of XML, read cell by cell.

ECMA-376 part 1, chapter 18. openpyxl tells neither a formula without a result from an empty cell
nor, where it streams, which cells are merged; others lay out the whole rectangle up to the last
cell, which a stray one makes 17 billion cells large.
"""

import contextlib
import io
import lzma
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree

from micron_jax.datasets.sheets.cells import (
    Cell,
    Cells,
    Corners,
    Sheet,
    clean,
    date_cell,
    error_cell,
    number_cell,
    truth_cell,
)
from micron_jax.errors import UserError

MAX_BYTES = 256 << 20  # of one unpacked part
CHUNK = 1 << 20
_EMPTY = re.compile(rb'<c r="[A-Z]+[0-9]+"(?: [a-z]+="[^"<>]*")*\s*/>')
# Built-in formats of dates and times; 27..36 and 50..58 are those of Chinese, Japanese and Korean.
DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_DAMAGE = (
    ArithmeticError,
    EOFError,
    ElementTree.ParseError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class Xlsx:
    """A workbook; sheets are read when they are asked for."""

    def __init__(self, data: bytes):
        """Reads the list of sheets.

        Raises:
          UserError: the file is damaged, or no workbook.
        """
        with _damage():
            try:
                self._archive = zipfile.ZipFile(io.BytesIO(data))
            except zipfile.BadZipFile:
                raise UserError("it is cut off or damaged: copy or download it again") from None
            names = self._archive.namelist()
            self._names = {name.replace("\\", "/").lower(): name for name in names}
            self._parts = self._sheet_parts()
            self._texts: list[str] | None = None
            self._dates: list[bool] | None = None

    @property
    def names(self) -> list[str]:
        return list(self._parts)

    def sheet(self, name: str) -> Sheet:
        """Reads a sheet.

        Raises:
          UserError: it is damaged, or too large.
        """
        with _damage():
            if self._texts is None:
                self._texts, self._dates = self._shared_texts(), self._date_styles()
            part, visible = self._parts[name]
            cells, merged, hidden = Cells(), [], set()
            row = 0
            for tag, element in self._elements(part, "row", "mergeCell"):
                if tag == "mergeCell":
                    merged.append(corners(element.get("ref", "")))
                    continue
                row = int(element.get("r") or row + 1)
                if element.get("hidden") in ("1", "true"):
                    hidden.add(row)
                self._read_row(row, element, cells)
            cells.spread(merged)
            return Sheet(name, cells.rows, visible, frozenset(hidden & cells.rows.keys()))

    def _read_row(self, row: int, element: ElementTree.Element, cells: Cells) -> None:
        column = -1
        for item in element:
            place = re.match(r"[A-Z]+", item.get("r", ""))
            column = column_number(place[0]) if place else column + 1
            cells.add(row, column, self._cell(item))

    def _cell(self, item: ElementTree.Element) -> Cell:
        parts = {_local(child.tag): child for child in item}
        kind, value = item.get("t", "n"), parts.get("v")
        text = (value.text or "") if value is not None else ""
        if kind == "inlineStr":
            return Cell(_plain_text(parts["is"])) if "is" in parts else Cell("")
        if "f" in parts and (value is None or (kind != "str" and not text.strip())):
            formula = " ".join(clean(parts["f"].text or "").split())
            return Cell(f"={formula[:80]}", "a formula without a result", True)
        if kind == "str":
            return Cell(_unescaped(text))
        if not text.strip():
            return Cell("")
        if kind == "s":
            return Cell(self._texts[int(text)])
        if kind == "e":
            return error_cell(text)
        if kind == "b":
            return truth_cell(text.strip() in ("1", "true"))
        if kind == "d":
            return date_cell(text)
        style = int(item.get("s") or 0)
        cell = number_cell(float(text))
        return date_cell(cell.text) if style < len(self._dates) and self._dates[style] else cell

    def _sheet_parts(self) -> dict[str, tuple[str, bool]]:
        """Returns name of a sheet -> (its part, whether it is visible)."""
        book = self._target("", "officeDocument") or "xl/workbook.xml"
        if book.lower() not in self._names:
            kind = ".ods" if "content.xml" in self._names else "a zip"
            raise UserError(f"it is {kind}, not a workbook of Excel: save it as .xlsx")
        if book.endswith(".bin"):
            raise UserError("it is a binary workbook (.xlsb): save it as .xlsx")
        targets = self._relations(book)
        parts = {}
        for _, element in self._elements(book, "sheet"):
            links = [value for key, value in element.items() if _local(key) == "id"]
            kind, part = targets.get(links[0] if links else "", ("", ""))
            if kind == "worksheet":  # no chart, no dialog
                visible = element.get("state", "visible") == "visible"
                parts[clean(element.get("name", ""))] = part, visible
        if not parts:
            raise UserError("it holds no sheet")
        self._book = book
        return parts

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """Returns id -> (kind, part) of what a part refers to."""
        folder, name = posixpath.split(part)
        path = posixpath.join(folder, "_rels", f"{name}.rels")
        if path.lower() not in self._names:
            return {}
        targets = {}
        for _, element in self._elements(path, "Relationship"):
            target = posixpath.join("/", folder, element.get("Target", ""))
            kind = element.get("Type", "").rpartition("/")[2]
            targets[element.get("Id", "")] = kind, posixpath.normpath(target).strip("/")
        return targets

    def _target(self, part: str, kind: str) -> str:
        return next((path for name, path in self._relations(part).values() if name == kind), "")

    def _shared_texts(self) -> list[str]:
        part = self._target(self._book, "sharedStrings")
        return [_plain_text(item) for _, item in self._elements(part, "si")] if part else []

    def _date_styles(self) -> list[bool]:
        """Returns whether each style of cells shows a number as a date."""
        part = self._target(self._book, "styles")
        formats: dict[int, str] = {}
        styles: list[int] = []
        for tag, element in self._elements(part, "numFmt", "cellXfs") if part else ():
            if tag == "numFmt":
                formats[int(element.get("numFmtId", 0))] = element.get("formatCode", "")
            else:
                styles = [int(style.get("numFmtId") or 0) for style in element]
        return [_is_date(formats[n]) if n in formats else n in DATES for n in styles]

    def _elements(self, part: str, *tags: str) -> Iterator[tuple[str, ElementTree.Element]]:
        """Yields (tag, element) of these elements, and frees all of the part as it is read."""
        info = self._archive.getinfo(self._names[part.lower()])
        if info.file_size > MAX_BYTES:
            raise UserError(f"{part} in it unpacks to {info.file_size >> 20:,} MB: no annotations")
        path, inside = [], 0
        for event, element in self._events(info):
            tag = _local(element.tag)
            if event == "start":
                path.append(element)
                inside += tag in tags
                continue
            path.pop()
            if tag in tags:
                yield tag, element
                inside -= 1
            if path and not inside:
                path[-1].remove(element)

    def _events(self, info: zipfile.ZipInfo) -> Iterator[tuple[str, ElementTree.Element]]:
        """Parses a part without its empty cells: a sheet may hold millions that are only styled."""
        parser, rest = ElementTree.XMLPullParser(("start", "end")), b""
        with self._archive.open(info) as file:
            while chunk := file.read(CHUNK):
                whole, bracket, rest = (rest + chunk).rpartition(b">")
                parser.feed(_EMPTY.sub(b"", whole + bracket))
                yield from parser.read_events()
        parser.feed(rest)
        parser.close()
        yield from parser.read_events()


def corners(reference: str) -> Corners:
    """Returns the corners of a range: `A2:B3` -> (2, 0, 3, 1)."""
    first, _, last = reference.partition(":")
    places = [re.fullmatch(r"\$?([A-Z]+)\$?(\d+)", cell) for cell in (first, last or first)]
    if not all(places):
        raise ValueError(f"no range: {reference}")
    (row, column), (last_row, last_column) = (
        (int(place[2]), column_number(place[1])) for place in places
    )
    return row, column, last_row, last_column


def column_number(letters: str) -> int:
    """Returns the number of a column, from 0: `A` -> 0, `AB` -> 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(clean(str(error)).split()) or type(error).__name__
        raise UserError(f"it is damaged ({reason}): copy or download it again") from None


def _is_date(code: str) -> bool:
    from openpyxl.styles.numbers import is_date_format  # slow to import

    return bool(is_date_format(code))


def _local(tag: str) -> str:
    """Returns a name without its namespace, of which there are two (transitional, strict)."""
    return tag.rpartition("}")[2]


def _plain_text(element: ElementTree.Element) -> str:
    """Returns the text of <si> or <is>: of <t> and of <r><t>, not of phonetic hints."""
    texts = []
    for child in element:
        tag = _local(child.tag)
        if tag == "t":
            texts.append(child.text or "")
        elif tag == "r":
            texts += [part.text or "" for part in child if _local(part.tag) == "t"]
    return _unescaped("".join(texts))


def _unescaped(text: str) -> str:
    """Returns a text with its escapes resolved: `_x000D_` is a carriage return."""
    return clean(re.sub(r"_x([0-9A-Fa-f]{4})_", lambda code: chr(int(code[1], 16)), text))
