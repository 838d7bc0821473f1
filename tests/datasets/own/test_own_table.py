"""Tables of one's own clips: units, spellings, and the faults of their cells."""

import pytest

from micron_jax.datasets.own.table import read_table
from micron_jax.errors import UserError
from micron_jax.evaluation import prediction

HEAD = "subject,clip,path,onset,apex,offset,label"


def read(tmp_path, *rows, head=HEAD):
    path = tmp_path / "clips.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return read_table(path)


def times(table):
    return [(row.onset, row.apex, row.offset) for row in table.rows]


@pytest.mark.parametrize("word", ["nan", "<NA>", "#N/A", "null", "None", "n/a", "NA", "NaT"])
def test_classes_that_predictions_could_not_hold_are_refused(tmp_path, word):
    assert {word.casefold()} <= {*prediction.NO_CLASS}
    table = read(tmp_path, "1,a,f,12,,20,happy", f"1,b,f,12,,20,{word}")
    assert [row.clip for row in table.rows] == ["a"]
    (fault,) = table.faults
    assert fault["row"] == 3
    assert "label" in fault["reason"]


def test_whole_numbers_are_frames(tmp_path):
    table = read(tmp_path, "1,a,f,12,,20,happy", "1,b,f,12.0,14.0,20.0,sad")
    assert not table.seconds
    assert times(table) == [(12, None, 20), (12, 14, 20)]
    assert "read as frame numbers" in table.notes[0]


@pytest.mark.parametrize("row", ["1,a,f,1.25,1.5,2,x", "1,a,f,1s,,2 s,x", "1,a,f,0.25,1.5,2.000,x"])
def test_one_value_with_decimals_makes_seconds(tmp_path, row):
    table = read(tmp_path, "2,z,f,3,,4,x", row)
    assert table.seconds
    assert times(table)[0] == (3, None, 4)
    assert "read as seconds (row 3, " in table.notes[0]


def test_decimal_commas(tmp_path):
    head = HEAD.replace(",", ";")
    table = read(tmp_path, "1;a;f;1,25;;2,5;x", "1;b;f;1,250;;2,5;x", head=head)
    assert times(table) == [(1.25, None, 2.5), (1.25, None, 2.5)]


def test_a_thousand_or_a_decimal_is_a_question(tmp_path):
    rows = ["1;a;f;1,250;;2,750;x", "1;b;f;12;;30;x"]
    table = read(tmp_path, *rows, head=HEAD.replace(",", ";"))
    assert [fault["reason"] for fault in table.faults] == [
        "onset: '1,250' may be 1250, or have decimals; write 1250, or 1.250"
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,b,f,x,,9,y", "onset: 'x' is neither a frame number nor seconds"),
        ("1,b,f,-1,,9,y", "onset: '-1' is neither"),
        ("1,b,f,0:01,,9,y", "onset: '0:01' is neither"),
        ("1,b,f,5,,4,y", "offset: 4 comes before onset, 5; correct one"),
        ("1,b,f,5,11,10,y", "apex: 11 is outside onset 5 .. offset 10; correct it, or leave it"),
        (",b,f,5,,10,y", "subject: it is empty"),
        ("1,,f,5,,10,y", "clip: it is empty"),
        ("1,b,,5,,10,y", "path: it is empty"),
        ("1,b,f,,,10,y", "onset: it is empty"),
        ("1,b,f,5,,10,", "label: it is empty"),
        ("1,b,f,5,,10,NaN", "label: 'NaN' means a missing value"),
        ("1,a,f,5,,10,y", "clip: 'a' of subject 1 is row 2's, too"),
        ("01,a,f,5,,10,y", "clip: 'a' of subject 01 is row 2's, too"),
        ("sub01,b,f,5,,10,y", "subject: 'sub01', and '1' in row 2: one person or two?"),
    ],
)
def test_a_fault_names_row_column_and_mend(tmp_path, row, words):
    table = read(tmp_path, "1,a,f,1,2,3,y", row)
    (fault,) = table.faults
    assert fault["row"] == 3
    assert fault["reason"].startswith(words)
    assert len(table.rows) == 1


def test_rates(tmp_path):
    table = read(tmp_path, "1,a,f,1,2,3,y,200", "1,b,f,1,2,3,y,0", head=HEAD + ",fps")
    assert table.rows[0].fps == 200
    assert table.faults[0]["reason"].startswith("fps: '0' is no rate")


def test_sets_keep_subjects_apart_and_have_one_spelling(tmp_path):
    rows = ["1,a,f,1,2,3,y,CASME II", "sub01,b,f,1,2,3,y,casme2", "1,a,f,1,2,3,y,Lab"]
    table = read(tmp_path, *rows, head=HEAD + ",set")
    assert [(row.dataset, row.subject) for row in table.rows] == [
        ("casme2", "01"),
        ("casme2", "01"),
        ("Lab", "1"),
    ]
    assert [row.clip for row in table.rows] == ["casme2/01/a", "casme2/01/b", "Lab/1/a"]
    assert table.faults == []


def test_labels_and_subjects_have_one_spelling(tmp_path):
    table = read(tmp_path, "1,a,f,1,2,3,Joy", "01,b,f,1,2,3,joy", "1,c,f,1,2,3,joy")
    assert [row.label for row in table.rows] == ["joy"] * 3
    assert {row.subject for row in table.rows} == {"1"}
    assert "one label, written in 2 ways: Joy, joy" in table.notes
    assert "one subject, written in 2 ways: 01, 1" in table.notes


def test_equal_names_of_clips_of_two_subjects(tmp_path):
    table = read(tmp_path, "1,a,f,1,2,3,x", "2,a,f,1,2,3,x")
    assert [row.clip for row in table.rows] == ["1/a", "2/a"]


def test_columns(tmp_path):
    table = read(tmp_path, "1,a,f,1,3,y,7", head="Subject,Clip,Path,Onset,Offset,Label,Age")
    assert table.rows[0].apex is None
    assert "columns that are not read: Age" in table.notes
    with pytest.raises(UserError, match="no column 'label'"):
        read(tmp_path, "1,a,f,1,2,3", head=HEAD.removesuffix(",label"))


def test_one_value_with_decimals_among_frame_numbers_is_a_question(tmp_path):
    rows = [f"1,c{n},f,1,2,3,x" for n in range(3)]
    with pytest.raises(UserError, match=r"row 5, apex: 2.5, has decimals, but 11 of 12 values"):
        read(tmp_path, *rows, "1,a,f,1,2.5,3,x")
