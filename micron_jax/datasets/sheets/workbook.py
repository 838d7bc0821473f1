"""A workbook or an exported table of any kind, opened by its content."""

import functools
import re
from collections.abc import Callable
from pathlib import Path

from micron_jax.datasets.sheets.cells import Sheet
from micron_jax.datasets.sheets.delimited import read_delimited
from micron_jax.datasets.sheets.html_table import read_html
from micron_jax.datasets.sheets.xls import PASSWORD, read_xls
from micron_jax.datasets.sheets.xlsx import Xlsx
from micron_jax.errors import UserError, naming

SUFFIXES = (".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".csv", ".tsv", ".txt")
MAX_BYTES = 64 << 20
_ZIP, _OLE = b"PK", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BIFF = (b"\x09\x08", b"\x09\x04", b"\x09\x02", b"\x09\x00")  # an .xls before Excel 5
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml|<!--|<!doctype|<html|<head|<meta|<style|<body|<div|<table|<center)",
    re.IGNORECASE,
)
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # the stream of a protected .xlsx


class Workbook:
    """The sheets of a file by their names; the only one of a text file is called ``."""

    def __init__(self, path: Path, names: list[str], read: Callable[[str], Sheet]):
        self.names = names
        self._path, self._read = path, functools.cache(read)

    def sheet(self, name: str) -> Sheet:
        """Reads a sheet, once; UserError if it cannot be read."""
        with naming(f"{self._path}, sheet {name}" if name else self._path):
            return self._read(name)


def open_workbook(path: Path) -> Workbook:
    """Opens a file; of the same file, unchanged, the same workbook.

    Raises:
      UserError: the file cannot be read, or is none of these; one line with the reason.
    """
    try:
        about = path.stat()
        return _open(path, about.st_mtime_ns, about.st_size)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from None
    except UserError as error:
        raise UserError(f"{path} cannot be read as a spreadsheet: {error}") from None


@functools.lru_cache(maxsize=4)
def _open(path: Path, changed: int, size: int) -> Workbook:
    del changed  # of the key alone
    if path.name.startswith("~$"):
        raise UserError("it is the mark of a workbook that is open in Excel; name the workbook")
    if not size:
        raise UserError("it is empty (0 bytes): copy or download it again")
    if size > MAX_BYTES:
        raise UserError(f"it has {size >> 20:,} MB; annotations are never so large")
    data = path.read_bytes()
    if data.startswith(_ZIP):
        book = Xlsx(data)
        return Workbook(path, book.names, book.sheet)
    if data.startswith(_OLE) and _ENCRYPTED in data:
        raise UserError(PASSWORD)
    if data.startswith((_OLE, *_BIFF)):
        sheets = {sheet.name: sheet for sheet in read_xls(data)}
    else:
        _refuse_others(data)
        is_page = _PAGE.match(data[:4096])
        sheets = {"": read_html(data) if is_page else read_delimited(data)}
    return Workbook(path, list(sheets), sheets.__getitem__)


def _refuse_others(data: bytes) -> None:
    """Refuses what no table is, whatever its name says."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"urn:schemas-microsoft-com:office:spreadsheet" in head:
        raise UserError("it is XML of Excel 2003: open it in Excel and save it as .xlsx")
    if head.startswith(b"<?xml") and b"<html" not in head:
        raise UserError("it is XML, not a workbook: open it in Excel and save it as .xlsx")
    if head.startswith(b"version https://git-lfs"):
        raise UserError("it is a pointer of Git LFS, not the file: fetch it by `git lfs pull`")
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff")) or data[1:200:2].count(0) > 50
    control = sum(byte < 9 or 13 < byte < 32 for byte in data[:4096])
    if control > 0 and not utf16 and data[0:200:2].count(0) <= 50:
        raise UserError("it is neither a workbook nor text")
