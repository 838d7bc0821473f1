"""Sheets as people keep them, through the builder: merged, hidden, exported, half-computed."""

import datetime

import openpyxl
import pytest
from helpers import vendor_trees as trees

from micron_jax.datasets.catalog import clip_set
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.datasets.clipset import number
from micron_jax.errors import UserError

SHEET = "CASME2-coding-20190701.xlsx"
ROWS = [trees.casme2_row(f"{n:02}", f"EP0{k}_01f", 3, 5, 7) for n in (1, 2, 3) for k in (1, 2)]


@pytest.fixture
def root(tmp_path):
    return trees.write_casme2(tmp_path / "source", ROWS)


def change(root, edit):
    book = openpyxl.load_workbook(root / SHEET)
    edit(book.active)
    book.save(root / SHEET)


def build(root, name="casme2"):
    assert build_clips(clip_set(name), root, root.parent / "data", keep="pair")
    _, samples = open_clips(root.parent / "data", name)
    return samples, describe_clips(root.parent / "data", name)


def test_a_subject_merged_over_its_rows(root):
    def edit(page):
        for row in (2, 4, 6):
            page.merge_cells(start_row=row, end_row=row + 1, start_column=1, end_column=1)

    change(root, edit)
    samples, about = build(root)
    assert [sample.subject for sample in samples] == ["01", "01", "02", "02", "03", "03"]
    assert (about["subjects"], about["skipped"], about["notes"]) == (3, [], [])


def test_merged_cells_that_were_lost(root):
    def edit(page):
        for row in (3, 5, 7):
            page.cell(row, 1).value = None

    change(root, edit)
    samples, about = build(root)
    assert [sample.subject for sample in samples] == ["01", "02", "03"]
    reasons = {note["row"]: note["reason"] for note in about["skipped"]}
    assert reasons == {3: "no subject", 5: "no subject", 7: "no subject"}
    (note,) = about["notes"]
    assert note.startswith("3 of 6 rows have no subject; if its cells were merged once, write")


def test_a_header_merged_over_two_lines(root):
    def edit(page):
        page.insert_rows(1)
        page["A1"], page["D1"] = "Subject", "Frames"
        for cells in ("A1:A2", "D1:F1"):
            page.merge_cells(cells)

    change(root, edit)
    assert len(build(root)[0]) == 6


def test_hidden_rows_are_read_and_told(root):
    def edit(page):
        for row in (3, 4, 5):
            page.row_dimensions[row].hidden = True
        page.auto_filter.ref = "A1:I7"

    change(root, edit)
    samples, about = build(root)
    assert len(samples) == 6
    assert about["notes"] == ["3 of the sheet's 6 rows are hidden in it; they are read, too"]


def test_a_hidden_sheet_is_not_meant(root):
    book = openpyxl.load_workbook(root / SHEET)
    copy = book.copy_worksheet(book.active)
    copy["I2"] = "disgust"
    book.save(root / SHEET)
    with pytest.raises(
        UserError, match=r"two sheets fit .*delete or hide the one that is not mean"
    ):
        build(root)
    copy.sheet_state = "hidden"
    book.save(root / SHEET)
    assert {sample.emotion for sample in build(root)[0]} == {"happiness"}


def test_a_formula_without_its_result(root):
    change(root, lambda page: page.cell(4, 5, "=D4+2"))
    words = r"CASME2-coding-20190701.xlsx, sheet Sheet1, cell E4: the file holds a formula \(=D4"
    with pytest.raises(UserError, match=words + r".* open it in Excel or LibreOffice and save it"):
        build(root)


def test_cells_that_excel_has_changed(root):
    day = datetime.date(2020, 2, 1)

    def edit(page):
        page["B2"] = page["D3"] = page["H7"] = day
        page["A4"], page["E5"], page["I6"] = "#N/A", "#REF!", True
        page["A4"].data_type = page["E5"].data_type = "e"

    change(root, edit)
    samples, about = build(root)
    date = "is a date: Excel makes one of a text such as 1-2; format the column as text, type it"
    reasons = {note["row"]: note["reason"] for note in about["skipped"]}
    assert reasons == {
        2: f"clip: cell B2 {date} again",
        3: f"onset 'date 43862' is no frame number: cell D3 {date} again",
        4: "subject: cell A4 is the error '#N/A'",
        5: "apex '#REF!' is no frame number: cell E5 is the error '#REF!'",
        6: "emotion: cell I6 is the truth value TRUE",
    }
    (sample,) = samples
    assert sample.action_units == ""
    (mend,) = about["mended"]
    assert (mend["row"], mend["field"], mend["reason"]) == (
        7,
        "action_units",
        f"cell H7 {date} again",
    )


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ";"), (".tsv", "\t"), (".xls", ",")])
def test_an_exported_sheet(root, suffix, separator):
    (root / SHEET).unlink()
    lines = [[cell or "" for cell in trees.CASME2_HEADER], *ROWS]
    text = "\n".join(separator.join(str(cell or "") for cell in line) for line in lines)
    # As Excel names and writes it in China.
    path = root / f"CASME2-coding-20190701{suffix}"
    path.write_bytes((text.replace("12", "12，厌恶")).encode("gb18030"))
    samples, about = build(root)
    assert [sample.subject for sample in samples] == ["01", "01", "02", "02", "03", "03"]
    assert {sample.action_units for sample in samples} == {"12，厌恶"}
    assert about["sheet"] == {"file": path.name, "sheet": "", "sha256": about["sheet"]["sha256"]}


def test_an_exported_table_does_not_tell_which_sheet_it_was(tmp_path):
    root = trees.write_smic_e(tmp_path / "source", [(1, "s1_ne_01", [(2, 5)], 1, 9, "negative")])
    line = [1, "s1_ne_01", None, 2, 5, *[None] * 5, 1, 9, "negative"]
    lines = [trees.SMIC_E_HEADER, line]
    text = "\n".join(",".join(str(cell or "") for cell in line) for line in lines)
    (root / "SMIC-HS-E_annotation.xlsx").unlink()
    (root / "SMIC_annotation.csv").write_text(text)
    for name in ("smic_hs_e", "smic_vis_e"):
        with pytest.raises(
            UserError, match=r"SMIC_annotation\.csv: an exported table does not tell"
        ):
            build(root, name)
    (root / "SMIC_annotation.csv").rename(root / "SMIC_annotation-HS.csv")
    with pytest.raises(UserError, match="name it with the word vis"):
        build(root, "smic_vis_e")
    assert [sample.subject for sample in build(root, "smic_hs_e")[0]] == ["1"]


def test_headings_with_odd_spaces_and_widths(root):
    def edit(page):
        page["D1"], page["E1"] = "Onset\nFrame", "\u00a0Apex\u200bFrame "
        page["H1"], page["I1"] = "Action\u00a0Units", "Ｅｓｔｉｍａｔｅｄ\nEmotion"

    change(root, edit)
    samples, _ = build(root)
    assert {(s.onset, s.apex, s.offset, s.action_units) for s in samples} == {(3, 5, 7, "12")}


def test_two_spellings_of_one_person(root):
    def edit(page):
        for row, text in ((2, "sub01"), (3, 1), (4, " Sub2 "), (5, "s２"), (6, "003")):
            page.cell(row, 1, text)

    change(root, edit)
    samples, about = build(root)
    assert [sample.subject for sample in samples] == ["01", "01", "02", "02", "03", "03"]
    assert [sample.clip for sample in samples[:2]] == ["sub01/EP01_01f", "sub01/EP02_01f"]
    assert about["notes"] == [
        "subject 01 is written in 2 ways, taken for one person: 'sub01' (row 2), '1' (row 3)",
        "subject 02 is written in 2 ways, taken for one person: 'Sub2' (row 4), 's２' (row 5)",
        "subject 03 is written in 2 ways, taken for one person: '003' (row 6), '03' (row 7)",
    ]


def test_spellings_in_a_set_without_a_usual_one(tmp_path):
    rows = [("P1", "a", 1, 2, 3, "", "positive"), ("p01", "b", 1, 2, 3, "", "negative")]
    rows.append(("P1a", "c", 1, 2, 3, "", "negative"))
    root = trees.write_fourdme(tmp_path / "source", rows)
    samples, about = build(root, "fourdme")
    assert [sample.subject for sample in samples] == ["P1", "P1", "P1a"]
    assert about["subjects"] == 2


def test_an_apex_at_the_onset_is_counted(root):
    change(root, lambda page: page.cell(4, 5, 3))
    assert build(root)[1]["apex_is_onset"] == ["sub02/EP01_01f"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("46", 46), ("46.0", 46), ("46,0", 46), ("46.000000", 46), ("４６", 46)),
        *((text, None) for text in ("1.000", "1,000", "46.5", "/", "", "-1")),
    ],
)
def test_frame_numbers(text, value):
    assert number(text) == value
