"""The three sets, from small sheets with the quirks of the real ones, and their checks."""

import csv

import openpyxl
import pytest
from helpers.vendor_trees import write_frames, write_sheet

from micron_jax.datasets.long_videos.build import build_truth, open_truth, truth_of
from micron_jax.datasets.long_videos.casme_sq import CODES, PEOPLE
from micron_jax.datasets.long_videos.catalog import LONG_SETS, long_set
from micron_jax.datasets.long_videos.check import check_truth, lines
from micron_jax.errors import UserError

CASME_SQ_ROWS = [
    [1, "anger1_1", 37, 42, 48, "4+10+14", "negative", "macro-expression", "anger"],
    [1, "anger2_1", 5, 9, 0, "4", "negative", "macro-expression", "anger"],
    [1, "disgust2_3", 69, 73, 77, "43", "others", "micro-expression", "disgust"],
    [17, "anger1_1", 17, 0, 41, "14", "others", "macro-expression", "sadness"],
    [11, "disgust1_5", 21, 30, 24, "4+5+7", "negative", "macro-expression", "disgust"],
]


def write_casme_sq(root, rows=CASME_SQ_ROWS, name="CAS(ME)^2code_final.xlsx"):
    root.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    page = book.active
    page.title = "CASFEcode_final"
    for row in rows:
        page.append(row)
    first, second = book.create_sheet("naming rule1"), book.create_sheet("naming rule2")
    for row in rows:  # one line a row of the first sheet, as the owners have it
        who = PEOPLE[row[0] - 1]
        first.append([who, f"s{who}", row[0]])
    for title, code in CODES.items():
        second.append([code, title])
    book.save(root / name)
    return root


SAMM_HEADER = ["Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration"]
SAMM_HEADER += ["Type", "Action Units", "Notes"]
SAMM_ROWS = [
    ["006", "006_1_1", 1, 56.4, 64.6, 73.5, 17.8, "Macro", "4(B/C)+7B", None],
    ["006", "006_1_2", 1, 3, 5, 9, 7, "Micro - 1/2", "4+7", "While blinking"],
    ["011", "011_6_8", 6, 0, 28.2, 285, 286, "Macro", "R10B+A12C", None],
    ["028", "028_4_1", 4, 10, -1, 19, 10, "Micro - 1/2", "4", None],
    ["037", "037_4_1", 4, 148, 152, 157, 10, "Micro - 1/2", "24", None],
    ["037", "037_4_1", 4, 148, 154, 160, 13, "Macro", "24", None],
]


def write_samm_lv(root, name="SAMM_LongVideos_V2_Release.xlsx"):
    before = [["SAMM Long Videos Dataset - FACS Codes"], [None], ["Symbol Key:"], ['"/" = or']]
    before += [
        [None],
        ["AU Help:"],
        ["L2", None, None, None, None, "NOTE: Apex -1"],
        ["A2"],
        [None],
    ]
    write_sheet(root / name, SAMM_HEADER, SAMM_ROWS, "FACS_Movement_Only", before)
    return root


CASME3_HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type"]
CASME3_HEADER += ["Objective class"]
CASME3_ROWS = [
    ["spNO.1", "a", "3", "6", "8", "4", "Macro-expression", "VII"],
    ["spNO.1", "a", "12", "13", "14", "5", "Micro-expression", "II"],
    ["spNO.216", "e", "0", "0", "25", "14", "Micro-expression", "VII"],
    ["spNO.2", "J", "2", "4", "6", "4", "Macro-expression", "III"],
]


def write_casme3_lv(root, name="CAS(ME)3_part_A_v2.xls"):
    write_sheet(root / "annotation" / name, CASME3_HEADER, CASME3_ROWS, "AU+Emotion")
    return root


def times(truth):
    names = [video.name for video in truth.videos]
    return [(names[e.video], e.onset, e.apex, e.offset, e.kind) for e in truth.expressions]


def test_casme_sq(tmp_path):
    truth, about = truth_of(long_set("casme_sq"), write_casme_sq(tmp_path / "set"))
    assert times(truth) == [
        ("s15/15_0401", 37, 42, 48, "macro"),
        ("s15/15_0402", 5, 9, 9, "macro"),
        ("s15/15_0102", 69, 73, 77, "micro"),
        ("s34/34_0401", 17, None, 41, "macro"),
        ("s27/27_0101", 21, None, 24, "macro"),
    ]
    assert [e.label for e in truth.expressions][:3] == ["negative", "negative", "others"]
    assert truth.videos[0].fps == 30.0
    assert [(note["row"], note["field"], note["now"]) for note in about["mended"]] == [
        (2, "offset", "9"),
        (4, "apex", ""),
        (5, "apex", ""),
    ]
    assert about["without_files"] == [video.name for video in truth.videos]
    assert about["sheet"]["sheet"] == "CASFEcode_final"


def test_casme_sq_as_a_csv_of_its_first_sheet(tmp_path):
    """The rules of the names are then those of the owners' workbook; headings do no harm."""
    path = tmp_path / "CAS(ME)^2code_final(Updated).csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["participant", "video", "onset", "apex", "offset", "AU", "emotion", "type"]
        )
        writer.writerows(CASME_SQ_ROWS)
    truth, _ = truth_of(long_set("casme_sq"), path)
    assert times(truth)[2] == ("s15/15_0102", 69, 73, 77, "micro")


def test_casme_sq_of_an_unknown_subject(tmp_path):
    rows = [*CASME_SQ_ROWS, [99, "anger1_1", 1, 2, 3, "4", "negative", "macro-expression", "x"]]
    root = write_casme_sq(tmp_path / "set", CASME_SQ_ROWS)
    book = openpyxl.load_workbook(root / "CAS(ME)^2code_final.xlsx")
    book.active.append(rows[-1])
    book.save(root / "CAS(ME)^2code_final.xlsx")
    with pytest.raises(UserError, match="row 6: subject '99'; known ones are 1, 2"):
        truth_of(long_set("casme_sq"), root)


def test_the_frames_of_casme_sq(tmp_path):
    root = write_casme_sq(tmp_path / "set")
    write_frames(root / "rawpic/s15/15_0401girlcrashing", range(1, 41), "img_{}.jpg")
    write_frames(root / "rawpic/s15/15_0402beating", [1, 2, 3, 8, 9], "img_{}.jpg")
    write_frames(root / "rawpic/s15/15_0503unnyfarting", range(1, 3), "img_{}.jpg")
    write_frames(root / "selectedpic/s15/anger1_1", range(1, 3), "img_{}.jpg")
    truth, about = truth_of(long_set("casme_sq"), root)
    first = truth.videos[0]
    assert (first.first, first.last) == (1, 40)
    assert first.path == str(root / "rawpic/s15/15_0401girlcrashing")
    assert about["missing_frames"] == {"s15/15_0402": 4}
    assert about["without_files"] == ["s15/15_0102", "s34/34_0401", "s27/27_0101"]
    assert about["without_rows"] == [str(root / "rawpic/s15/15_0503unnyfarting")]
    report = check_truth(truth, about)
    assert report["outside"] == ["s15/15_0401, macro 37..48, frames 1..40"]
    assert report["minutes"] is None
    assert report["short_macro"][1] == "s15/15_0402, macro 5..9: 0.13 s"

    write_frames(root / "cropped/s15/15_0401girlcrashing", range(1, 41), "img_{}.jpg")
    with pytest.raises(UserError, match="two folders of videos fit casme_sq"):
        truth_of(long_set("casme_sq"), root)
    truth, _ = truth_of(long_set("casme_sq"), root, frames=root / "cropped")
    assert truth.videos[0].path == str(root / "cropped/s15/15_0401girlcrashing")


def test_samm_lv(tmp_path):
    root = write_samm_lv(tmp_path / "set")
    write_frames(root / "SAMM_longvideos/006_1", range(1, 101), "006_1_{:04}.jpg")
    emotions = ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame"]
    emotions += ["Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion"]
    row = ["006", "006_1_2", 1, 3, 5, 9, 7, "1/2", "4+7", "Anger"]
    sheet = root / "SAMM_Micro_FACS_Codes_v2.xlsx"
    write_sheet(sheet, emotions, [row], "MICRO_ONLY", [["note"]] * 13)
    truth, about = truth_of(long_set("samm_lv"), root)
    assert times(truth) == [
        ("006_1", 3, 5, 9, "micro"),
        ("006_1", 56, 65, 74, "macro"),
        ("011_6", 1, 28, 285, "macro"),
        ("028_4", 10, None, 19, "micro"),
        ("037_4", 148, 152, 157, "micro"),
        ("037_4", 148, 154, 160, "macro"),
    ]
    assert [e.label for e in truth.expressions] == ["Anger", "", "", "", "", ""]
    assert about["labels"] == "SAMM_Micro_FACS_Codes_v2.xlsx"
    assert about["notes"] == ["times with decimals are rounded to whole frames (2 rows)"]
    assert (truth.videos[0].subject, truth.videos[0].last) == ("006", 100)


def test_casme3_lv(tmp_path):
    root = write_casme3_lv(tmp_path / "set")
    header = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
    rows = [["spNO.1", "a", "12", "13", "14", "5", "II", "surprise"]]
    rows += [["spNO.216", "e", "0", "0", "25", "14", "VII", "fear"]]
    sheet = root / "annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    write_sheet(sheet, header, rows, "label")
    write_frames(root / "part_A/spNO.1/a/color", range(1, 21), "{}.jpg")
    write_frames(root / "part_A/spNO.1/a/depth", range(1, 21), "{}.png")
    truth, about = truth_of(long_set("casme3_lv"), root)
    assert times(truth) == [
        ("spNO.1/a", 3, 6, 8, "macro"),
        ("spNO.1/a", 12, 13, 14, "micro"),
        ("spNO.216/e", 1, 1, 25, "micro"),
        ("spNO.2/j", 2, 4, 6, "macro"),
    ]
    assert [e.label for e in truth.expressions] == ["", "surprise", "fear", ""]
    assert truth.videos[0].path == str(root / "part_A/spNO.1/a/color")
    assert about["without_files"] == ["spNO.216/e", "spNO.2/j"]


def test_a_build_is_kept_and_never_overwritten(tmp_path):
    root, data = write_samm_lv(tmp_path / "set"), tmp_path / "data"
    spec = long_set("samm_lv")
    fresh, truth, _ = build_truth(spec, root, data)
    assert fresh
    again, about = open_truth(data, "samm_lv")
    assert (again.videos, again.expressions) == (truth.videos, truth.expressions)
    assert about["sheet"]["file"] == "SAMM_LongVideos_V2_Release.xlsx"
    assert build_truth(spec, root, data)[0] is False
    table = data / "samm_lv" / "truth.csv"
    table.write_text(table.read_text().replace("56,65,74", "56,65,75"))
    with pytest.raises(UserError, match="holds another table"):
        build_truth(spec, root, data)


def test_a_sheet_that_is_missing_or_double(tmp_path):
    spec = long_set("samm_lv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        UserError, match=r"no sheet of samm_lv below .*: looked for samm_longvideos"
    ):
        truth_of(spec, tmp_path / "empty")
    root = write_samm_lv(tmp_path / "set")
    write_sheet(root / "SAMM_LongVideos_V3_Release.xlsx", SAMM_HEADER, SAMM_ROWS[:1])
    with pytest.raises(UserError, match="two workbooks fit samm_lv"):
        truth_of(spec, root)
    truth, _ = truth_of(spec, root, sheet=root / "SAMM_LongVideos_V3_Release.xlsx")
    assert len(truth.expressions) == 1


def test_a_row_that_cannot_be_used_is_skipped_and_told(tmp_path):
    rows = [*CASME_SQ_ROWS, [2, "happy1_1", 90, 80, 0, "12", "positive", "macro-expression", "x"]]
    truth, about = truth_of(long_set("casme_sq"), write_casme_sq(tmp_path / "set", rows))
    assert len(truth.expressions) == 5
    (skipped,) = about["skipped"]
    assert (skipped["row"], skipped["video"]) == (6, "s16/16_0502")
    assert skipped["reason"].startswith("offset: '0', and no apex after the onset")
    # Its video stays: what is detected there counts as false.
    assert truth.videos[-1].name == "s16/16_0502"


def test_the_report_of_a_check(tmp_path):
    root = write_samm_lv(tmp_path / "set")
    truth, about = truth_of(long_set("samm_lv"), root)
    text = "\n".join(lines(check_truth(truth, about)))
    assert text.startswith(
        "samm_lv: videos: 4 (length unknown), subjects: 4, micro: 3, macro: 3\n"
        "differs from the owners' sheets: 4\n  videos: 4, in the owners' sheet V2 147\n"
    )
    assert "videos without files: 4\n  006_1\n" in text
    assert "row 14, 028_4: apex -1 -> (empty), no apex is given: it is left empty" in text


def test_doubled_and_overlapping_rows(tmp_path):
    rows = [
        [1, "anger1_1", 10, 12, 40, "4", "negative", "macro-expression", "x"],
        [1, "anger1_2", 10, 15, 40, "4", "negative", "macro-expression", "x"],
        [1, "anger1_3", 40, 45, 70, "4", "negative", "macro-expression", "x"],
        [1, "anger1_4", 12, 15, 20, "4", "negative", "micro-expression", "x"],
    ]
    truth, _ = truth_of(long_set("casme_sq"), write_casme_sq(tmp_path / "set", rows))
    report = check_truth(truth)
    assert report["doubled"] == ["s15/15_0401, macro 10..40 and 10..40"]
    assert report["overlapping"] == ["s15/15_0401, macro 10..40 and 40..70"] * 2


def test_every_set_describes_itself():
    for spec in LONG_SETS.values():
        assert "Ask: http" in spec.instructions
        assert spec.counts
