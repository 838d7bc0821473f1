"""Workbooks and exported tables of every kind, told apart by their content."""

import datetime
import subprocess
import sys
import zipfile

import openpyxl
import pytest

from micron_jax.datasets.sheets import open_workbook
from micron_jax.errors import UserError

TABLE = 'Subject{0}Filename{0}Onset\r\n006{0}EP1{0}{1}\r\n02{0}"EP\r\n2"{0}{1}\r\n'


def texts(path, name=None):
    book = open_workbook(path)
    rows = book.sheet(book.names[0] if name is None else name).rows
    return {
        number: [rows[number][column].text for column in sorted(rows[number])] for number in rows
    }


def xlsx(path, rows, merged=()):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cells in merged:
        book.active.merge_cells(cells)
    book.save(path)
    return path


def refusal(path):
    with pytest.raises(UserError) as error:
        open_workbook(path).sheet(open_workbook(path).names[0])
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_values_of_every_kind(tmp_path):
    day = datetime.date(2020, 2, 1)
    rows = [
        ["006", 5, 5.0, 0.1 + 0.2, "\u00a0a\u200b ", "x\ny"],
        [True, "=1+1", "=NA()", "#N/A", day],
    ]
    path = xlsx(tmp_path / "a.xlsx", rows)
    sheet = open_workbook(path).sheet("Sheet")
    assert [cell.text for cell in sheet.rows[1].values()] == ["006", "5", "5", "0.3", "a", "x\ny"]
    assert not any(cell.fault for cell in sheet.rows[1].values())
    truth, formula, _, error, date = sheet.rows[2].values()
    assert (truth.text, truth.fault) == ("TRUE", "the truth value TRUE")
    assert (formula.text, formula.uncomputed) == ("=1+1", True)
    assert (error.text, error.fault) == ("#N/A", "the error '#N/A'")
    assert date.fault.startswith("a date: Excel makes one of a text such as 1-2")


def test_a_chinese_date_is_a_date(tmp_path):
    path = xlsx(tmp_path / "a.xlsx", [["1_2"]])
    book = openpyxl.Workbook()
    book.active["A1"], book.active["A1"].number_format = 43832, "mm-dd-yy"  # number 14
    book.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    styles = parts["xl/styles.xml"]
    assert styles.count(b'numFmtId="14"') == 1
    # 58 is built in where Chinese is spoken: month and day.
    parts["xl/styles.xml"] = styles.replace(b'numFmtId="14"', b'numFmtId="58"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    assert open_workbook(path).sheet("Sheet").rows[1][0].fault.startswith("a date")


def test_a_merged_cell_stands_in_each_of_its_rows(tmp_path):
    rows = [["01", "a", 1], [None, "b", 2], [None, "c", 3], ["02", "d", 4], ["note", None, None]]
    path = xlsx(tmp_path / "a.xlsx", rows, ["A1:A3", "A5:C5"])
    assert [row[0] for row in texts(path).values()] == ["01", "01", "01", "02", "note"]
    assert texts(path)[5] == ["note"]  # a note across the sheet is no value of each column


def test_an_old_workbook(tmp_path):
    xlwt = pytest.importorskip("xlwt")
    book = xlwt.Workbook()
    page = book.add_sheet("HS")
    page.write_merge(3, 5, 2, 2, "01")
    for row, value in ((3, 46), (4, 1.5), (5, "x")):
        page.write(row, 3, value)
    page.write(6, 3, datetime.date(2020, 2, 1), xlwt.easyxf(num_format_str="YYYY-MM-DD"))
    path = tmp_path / "a.xls"
    book.save(str(path))
    sheet = open_workbook(path).sheet("HS")
    assert {n: {c: cell.text for c, cell in row.items()} for n, row in sheet.rows.items()} == {
        4: {2: "01", 3: "46"},
        5: {2: "01", 3: "1.5"},
        6: {2: "01", 3: "x"},
        7: {3: "date 43862"},
    }
    # Each is read for what it is, whatever its name says.
    renamed = path.rename(tmp_path / "a.xlsx")
    assert texts(renamed)[4] == ["01", "46"]
    assert texts(xlsx(tmp_path / "b.xlsx", [["x", 1]]).rename(tmp_path / "b.xls")) == {
        1: ["x", "1"]
    }


def test_errors_and_hidden_rows_of_an_old_workbook(tmp_path):
    xlwt = pytest.importorskip("xlwt")
    book = xlwt.Workbook()
    page = book.add_sheet("S")
    for row in range(3):
        page.write(row, 0, row)
        page.write(row, 1, row == 1)
    page.row(2).set_cell_error(2, 42)
    page.row(1).hidden = True
    book.add_sheet("T").visibility = 1
    path = tmp_path / "a.xls"
    book.save(str(path))
    sheet = open_workbook(path).sheet("S")
    assert texts(path) == {1: ["0", "FALSE"], 2: ["1", "TRUE"], 3: ["2", "FALSE", "#N/A"]}
    assert sheet.rows[3][2].fault == "the error '#N/A'"
    assert (sheet.hidden_rows, sheet.visible) == ({2}, True)
    assert not open_workbook(path).sheet("T").visible
    data = path.read_bytes()
    backup = b"\x40\x00\x02\x00"  # a record of no weight becomes the mark of encryption
    assert data.count(backup) == 1
    path.write_bytes(data.replace(backup, b"\x2f\x00\x02\x00"))
    assert "a password protects it: open it, save it without the password" in refusal(path)


BOUNDED = """
import resource, sys
from pathlib import Path
from micron_jax.datasets.sheets import open_workbook
resource.setrlimit(resource.RLIMIT_AS, (1 << 30,) * 2)
rows = open_workbook(Path(sys.argv[1])).sheet(sys.argv[2]).rows
print(len(rows), max(rows), max(column for row in rows.values() for column in row))
"""


def test_a_stray_cell_costs_no_memory(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Subject", "Filename"])
    book.active["XFD1048576"] = "x"
    book.save(tmp_path / "a.xlsx")
    command = [sys.executable, "-c", BOUNDED, str(tmp_path / "a.xlsx"), "Sheet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["2", "1048576", "16383"]


def test_an_old_workbook_with_a_stray_cell(tmp_path):
    xlwt = pytest.importorskip("xlwt")
    book = xlwt.Workbook()
    page = book.add_sheet("S")
    page.write(0, 0, 0.1)
    page.write(65535, 255, 0.7)
    path = tmp_path / "a.xls"
    book.save(str(path))
    assert texts(path) == {1: ["0.1"], 65536: ["0.7"]}  # the last corner
    data = path.read_bytes()
    record = b"\x7e\x02\x0a\x00\xff\xff"  # a short number in the last row
    assert data.count(record + b"\xff\x00") == 1
    path.write_bytes(data.replace(record + b"\xff\x00", record + b"\xff\xff"))
    assert "it is damaged" in refusal(path)  # a column that no sheet has


@pytest.mark.parametrize("separator", ",;\t|")
@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("utf-8", "厌恶 é"),
        ("utf-8-sig", "厌恶 é"),
        ("utf-16", "厌恶 é"),
        ("utf-16-le", "厌恶 é"),
        ("cp1252", "Überraschung é"),
        ("gb18030", "厌恶"),
    ],
)
def test_exported_tables(tmp_path, encoding, separator, word):
    path = tmp_path / "a.csv"
    number = "46,0" if separator == ";" else "46"
    text = TABLE.format(separator, number) + f"\r\n03{separator}{word}{separator}7\r\n"
    path.write_bytes(text.encode(encoding))
    expected = {
        1: ["Subject", "Filename", "Onset"],
        2: ["006", "EP1", number],
        3: ["02", "EP\r\n2", number],
        5: ["03", word, "7"],
    }
    assert texts(path) == expected
    assert texts(path.rename(tmp_path / "a.xls")) == expected


def test_hints_of_spreadsheets_in_exported_tables(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('sep=;\na;b,c\n="006";1,5\n')
    assert texts(path) == {1: ["sep="], 2: ["a", "b,c"], 3: ["006", "1,5"]}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.xlsx", b"", "it is empty (0 bytes)"),
        ("a.xlsx", b"PK\x03\x04 cut off", "it is cut off or damaged: copy or download it again"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "it is damaged"),
        (
            "a.xlsx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "a password protects it: open it, save it without the password",
        ),
        ("a.xls", b"\n<html><p>Log in</p>", "it is a web page without a table"),
        ("a.xls", b"<html><table><![x[ <td>a", "it is a damaged web page"),
        ("a.xls", b"<?xml version='1.0'?><a/>", "it is XML, not a workbook"),
        (
            "a.xls",
            b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
            "it is XML of Excel 2003: open it in Excel and save it as .xlsx",
        ),
        ("a.xlsx", b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
        ("a.csv", bytes(range(256)), "it is neither a workbook nor text"),
        ("a.csv", b'a,b\n1,"x\n', "line 2 cannot be read as CSV"),
        ("a.csv", b"a,b\n1,\x81x\x81\n", "row 2: not UTF-8: save it as CSV UTF-8"),
        ("~$a.xlsx", b"\x05Name", "the mark of a workbook that is open in Excel"),
    ],
)
def test_the_reason_told_is_the_reason(tmp_path, name, data, words):
    path = tmp_path / name
    path.write_bytes(data)
    assert words in refusal(path)


@pytest.mark.parametrize("charset", ["utf-8", "gb2312", "windows-1252"])
def test_a_page_with_a_table_is_a_sheet(tmp_path, charset):
    word = "é" if charset == "windows-1252" else "厌恶"
    page = (
        f"<html><head><meta http-equiv=Content-Type content='text/html; charset={charset}'>"
        "<style>td{x:y}</style></head><body><TABLE border=1><thead><tr><th>Subject<th>Filename"
        "<th colspan=2>Onset</tr></thead><tr><td rowspan='2'>01</td><td>EP1<td> 4<!-- -->6 </td>"
        f"<td>&lt;a&gt;&nbsp;</td></tr><tr><td>EP2</td><td>{word}<br>b</td></tr></table>"
    )
    path = tmp_path / "a.xls"
    path.write_bytes(page.encode(charset))
    sheet = open_workbook(path).sheet("")
    assert {n: {c: cell.text for c, cell in row.items()} for n, row in sheet.rows.items()} == {
        1: {0: "Subject", 1: "Filename", 2: "Onset"},
        2: {0: "01", 1: "EP1", 2: "46", 3: "<a>"},
        3: {0: "01", 1: "EP2", 2: f"{word} b"},
    }


def test_a_cell_of_a_page_without_a_row(tmp_path):
    path = tmp_path / "a.xls"
    path.write_text("<table><td rowspan=2>a<td>b<tr><td>c<tr><td rowspan=99999999>d")
    assert texts(path) == {1: ["a", "b"], 2: ["a", "c"], 3: ["d"]}


def test_what_is_not_there(tmp_path):
    for name, words in (("none.xlsx", "does not exist"), (".", "cannot be read (Is a directory)")):
        with pytest.raises(UserError, match=r".*") as error:
            open_workbook(tmp_path / name)
        assert words in str(error.value)
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    assert "it is a zip, not a workbook of Excel" in refusal(tmp_path / "a.xlsx")


def test_a_changed_file_is_read_again(tmp_path):
    path = xlsx(tmp_path / "a.xlsx", [["x"]])
    assert open_workbook(path) is open_workbook(path)
    xlsx(path, [["another", "cell"]])
    assert texts(path) == {1: ["another", "cell"]}


def with_sheet(path, data):
    """A workbook whose sheet has other bytes."""
    source = xlsx(path.with_name("source.xlsx"), [["Subject"]])
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, data if name.endswith("sheet1.xml") else old.read(name))
    return path


def test_a_part_that_unfolds_to_gigabytes_is_refused(tmp_path):
    path = with_sheet(tmp_path / "a.xlsx", bytes(257 << 20))
    assert path.stat().st_size < 1e6
    assert "unpacks to 257 MB: no annotations" in refusal(path)


def test_xml_opens_no_file_and_grows_nothing(tmp_path):
    (tmp_path / "secret").write_text("secret")
    grown = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 50}">' for n in range(1, 9))
    for entities, entity in (
        (f'<!ENTITY e SYSTEM "file://{tmp_path}/secret">', "&e;"),
        (f'<!ENTITY e0 "{"x" * 50}">{grown}', "&e8;"),
    ):
        page = f"<!DOCTYPE worksheet [{entities}]><worksheet><sheetData><row><c t='inlineStr'>"
        page += f"<is><t>a{entity}</t></is></c></row></sheetData></worksheet>"
        path = with_sheet(tmp_path / "a.xlsx", page.encode())
        assert "it is damaged (" in refusal(path)
