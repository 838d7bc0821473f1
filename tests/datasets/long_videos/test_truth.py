"""The table of a truth, its own and those of other programs."""

import pytest
from helpers.spotting import TRUTH

from micron_jax.datasets.long_videos.names import VideoNames
from micron_jax.datasets.long_videos.truth import (
    Expression,
    Truth,
    Video,
    read_truth,
    with_rate,
    write_truth,
)
from micron_jax.errors import UserError


def table(tmp_path, text):
    path = tmp_path / "truth.csv"
    path.write_text(text)
    return read_truth(path)


def test_a_table_is_read_and_written_again(tmp_path):
    truth = table(tmp_path, TRUTH)
    assert truth.counts() == {"videos": 4, "subjects": 2, "micro": 3, "macro": 1}
    assert truth.videos[3] == Video("v4", "s2", "", 30.0, "", 1, 1800)
    assert truth.expressions[0] == Expression(0, 10, 14, 19, "micro", "happy")
    assert truth.videos[0].seconds == 30.0
    write_truth(tmp_path / "again.csv", truth)
    again = read_truth(tmp_path / "again.csv")
    assert (again.videos, again.expressions, again.notes) == (truth.videos, truth.expressions, [])


@pytest.mark.parametrize(
    "text",
    [
        # LGSNet's and AUW-GCN's annotations.
        "subject,video,type,type_idx,startFrame,endFrame,frame_num,length\n"
        "1,./long/s15/15_0102eatingworms,macro-expression,1,396,430,1075,34\n"
        "1,./long/s15/15_0102eatingworms,micro-expression,2,699,707,1075,8\n",
        "subject,video_name,start_frame,apex_frame,end_frame,type_idx,au\n"
        "1,./long/s15/15_0102eatingworms,396,401,430,1,4\n"
        "1,./long/s15/15_0102eatingworms,699,703,707,2,43\n",
    ],
)
def test_annotations_of_other_programs(tmp_path, text):
    truth = table(tmp_path, text)
    found = [(e.onset, e.offset, e.kind) for e in truth.expressions]
    assert found == [(396, 430, "macro"), (699, 707, "micro")]
    assert truth.notes == []
    if "frame_num" in text:
        assert (truth.videos[0].first, truth.videos[0].last) == (1, 1075)
    assert with_rate(truth, 30).videos[0].fps == 30
    assert VideoNames(truth).place("15_0102eatingworms") == 0


def test_what_is_read_in_another_way_is_told(tmp_path):
    truth = table(tmp_path, "video,subject,onset,apex,offset\na,1,10,15,0\na,1,30,50,40\n")
    assert [(e.onset, e.apex, e.offset) for e in truth.expressions] == [
        (10, 15, 15),
        (30, None, 40),
    ]
    assert truth.notes == [
        "The truth, 1 rows: no offset is given: the interval ends at its apex, as in most "
        "published work.",
        "The truth, 1 rows: the apex lies outside onset..offset: it is left empty.",
        "The truth, 2 rows without a kind: all are micro.",
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,1,10,5,micro,30\n", "row 2: offset: 5 comes before onset 10"),
        ("a,,10,15,micro,30\n", "row 2: subject: it is empty"),
        ("a,1,10,15,blink,30\n", "row 2: kind: 'blink' is neither micro nor macro"),
        ("a,1,10,15,micro,0\n", "row 2: fps: '0' is no rate"),
        ("a,1,10,15,micro,30\na,1,20,25,micro,25\n", "row 3: video: fps, path, first or last of a"),
        ("a,1,,,,30\n", "it holds no expression"),
    ],
)
def test_a_row_that_cannot_be_used(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        table(tmp_path, "video,subject,onset,offset,kind,fps\n" + rows)


def test_a_table_without_a_column(tmp_path):
    with pytest.raises(UserError, match="no column 'subject'"):
        table(tmp_path, "video,onset,offset\na,1,2\n")


def places(name, *names, subject=""):
    """The places of names among videos of one set."""
    videos = [Video(video, who, name) for video, who in names]
    return VideoNames(Truth(videos, [])), videos


@pytest.mark.parametrize(
    "spelling",
    [
        *("s15/15_0101", "15_0101", "15_0101disgustingteeth", r"s15\15_0101disgustingteeth.avi"),
        *("casme_015_0101", "/data/long/s15/15_0101disgustingteeth"),
    ],
)
def test_names_of_casme_sq(spelling):
    names, _ = places("casme_sq", ("s15/15_0102", "s15"), ("s15/15_0101", "s15"))
    assert names.place(spelling) == 1


@pytest.mark.parametrize("spelling", ["006_1", "6_1", "SAMM_longvideos/006_1", "samm_006_1"])
def test_names_of_samm(spelling):
    names, _ = places("samm_lv", ("006_2", "006"), ("006_1", "006"), ("016_1", "016"))
    assert names.place(spelling) == 1


@pytest.mark.parametrize(
    "spelling", ["spNO.1/a", "spno.01/A", "1_a", "001/a", "part_A/spNO.1/a/color"]
)
def test_names_of_casme3(spelling):
    pairs = [("spNO.11/a", "spNO.11"), ("spNO.1/a", "spNO.1"), ("spNO.1/b", "spNO.1")]
    names, _ = places("casme3_lv", *pairs)
    assert names.place(spelling) == 1
    assert names.place("a", "1") == 1


def test_a_name_that_is_none():
    names, _ = places("casme_sq", ("s15/15_0102", "s15"))
    with pytest.raises(UserError, match="video '16_0102' is not in the truth"):
        names.place("16_0102")
    with pytest.raises(UserError, match="video '15_0102' of subject s16 is not in the truth"):
        names.place("15_0102", "s16")
