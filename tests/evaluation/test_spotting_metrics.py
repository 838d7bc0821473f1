"""F1, precision and recall, curves, alarms and STRS on hand-made tables."""

import numpy as np
import pytest
from helpers.spotting import DETECTIONS, TRUTH, read

from micron_jax.evaluation.significance import Bootstrap
from micron_jax.evaluation.spotting_metrics import summarize_spotting
from micron_jax.evaluation.spotting_thresholds import compare_choices, count, grid_of

FEW = Bootstrap(200)


@pytest.fixture
def summary(tmp_path):
    return summarize_spotting(*read(tmp_path), bootstrap=FEW)


def counts(summary, kind):
    return tuple(summary["kinds"][kind][name] for name in ("tp", "fp", "fn"))


def test_counts_are_summed_over_all_videos(summary):
    assert (summary["videos"], summary["subjects"], summary["minutes"]) == (4, 2, 3.0)
    assert counts(summary, "micro") == (2, 2, 1)
    assert counts(summary, "macro") == (0, 1, 1)
    assert counts(summary, "both") == (2, 3, 2)
    assert counts(summary, "any") == (3, 2, 1)
    micro = summary["kinds"]["micro"]
    assert micro["f1"] == pytest.approx(4 / 7)
    assert (micro["precision"], micro["recall"]) == pytest.approx((0.5, 2 / 3))
    assert micro["false_alarms_per_minute"] == pytest.approx(2 / 3)
    assert summary["kinds"]["both"]["f1"] == pytest.approx(4 / 9)


def test_intervals_are_over_subjects(summary):
    # s1: TP 1, FP 1, FN 1; s2: TP 1, FP 1: a resample holds each twice, or both.
    assert summary["kinds"]["micro"]["interval"] == pytest.approx([1 / 2, 2 / 3])
    assert summary["intervals"] == {"level": 0.95, "resamples": 200, "unit": "subject"}


def test_each_subject_and_video(summary):
    first, second = summary["per_subject"]
    assert first["micro"] == {"tp": 1, "fp": 1, "fn": 1, "f1": pytest.approx(0.5)}
    assert second["macro"] == {"tp": 0, "fp": 1, "fn": 0, "f1": 0.0}
    videos = {row["video"]: row["micro"] for row in summary["per_video"]}
    assert videos["v2"] == {"tp": 0, "fp": 0, "fn": 1}
    assert videos["v3"] == {"tp": 1, "fp": 1, "fn": 0}


def test_the_apex_of_what_is_found(summary):
    assert summary["apex"] == {"pairs": 2, "median_frames": 2.0, "median_seconds": 2 / 30}


def test_a_threshold(tmp_path):
    table, matches = read(tmp_path)
    summary = summarize_spotting(table, matches, 0.65, bootstrap=FEW)
    assert counts(summary, "both") == (2, 1, 2)
    assert summary["threshold"] == 0.65


def test_the_curve_ends_in_the_counts_of_all(summary):
    curve = summary["curve"]["micro"]
    assert [point["confidence"] for point in curve] == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert [point["precision"] for point in curve] == pytest.approx([1, 1 / 2, 2 / 3, 0.5, 0.5])
    assert [point["recall"] for point in curve] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3]
    )
    assert curve[-1]["f1"] == summary["kinds"]["micro"]["f1"]


def test_one_confidence_has_no_curve(tmp_path):
    plain = "\n".join(",".join(line.split(",")[:5]) for line in DETECTIONS.strip().split("\n"))
    summary = summarize_spotting(*read(tmp_path, detections=plain), bootstrap=FEW)
    assert summary["curve"] == {}
    assert summary["strs"] is None
    assert counts(summary, "micro") == (2, 2, 1)


def test_no_detection_at_all(tmp_path):
    summary = summarize_spotting(*read(tmp_path, detections="video,onset,offset\n"), bootstrap=FEW)
    assert counts(summary, "micro") == (0, 0, 3)
    assert summary["kinds"]["both"]["f1"] == 0.0
    assert summary["kinds"]["both"]["precision"] == 0.0


def test_one_subject_has_no_interval(tmp_path):
    truth = TRUTH.replace("s2", "s1")
    summary = summarize_spotting(*read(tmp_path, truth), bootstrap=FEW)
    assert summary["intervals"] is None
    assert summary["kinds"]["micro"]["interval"] is None


def test_the_length_of_one_video_is_not_known(tmp_path):
    truth = TRUTH.replace("v4,s2,,,,,,30,1,1800", "v4,s2,,,,,,30,,")
    summary = summarize_spotting(*read(tmp_path, truth), bootstrap=FEW)
    assert summary["minutes"] is None
    assert summary["kinds"]["micro"]["false_alarms_per_minute"] is None


# The example of the README of github.com/genbing99/STRS-Metric: its value is 0.2.
STRS_TRUTH = """\
subject,video,onset,offset,emotion
1,EP02_01f,45,85,happiness
1,EP03_02,130,160,others
1,EP04_02,20,75,others
2,EP01_11f,45,95,repression
2,EP02_04f,30,140,repression
"""
STRS_DETECTIONS = """\
subject,video,onset,offset,emotion
1,EP02_01f,10,70,happiness
1,EP03_02,100,170,others
1,EP04_02,0,70,others
2,EP01_11f,20,90,happiness
2,EP02_04f,70,140,happiness
"""


def test_strs_of_its_own_example(tmp_path):
    summary = summarize_spotting(*read(tmp_path, STRS_TRUTH, STRS_DETECTIONS), bootstrap=FEW)
    strs = summary["strs"]["micro"]
    assert strs["strs"] == pytest.approx(0.2)
    assert (strs["spotting_f1"], strs["f1"]) == pytest.approx((0.6, 1 / 3))
    assert strs["found"] == 3


def test_strs_of_one_class_that_is_right_everywhere(tmp_path):
    """The reference gives 0 here, as its confusion matrix then has one cell."""
    truth = "video,subject,onset,offset,label\na,1,0,9,x\nb,2,0,9,x\n"
    detections = "video,onset,offset,label\na,0,9,x\nb,0,9,X\n"
    summary = summarize_spotting(*read(tmp_path, truth, detections), bootstrap=FEW)
    assert summary["strs"]["micro"]["strs"] == 1.0


def test_strs_counts_a_word_that_is_no_class_as_wrong(tmp_path):
    truth = "video,subject,onset,offset,label\na,1,0,9,x\nb,2,0,9,y\n"
    detections = "video,onset,offset,label\na,0,9,x\nb,0,9,z\n"
    summary = summarize_spotting(*read(tmp_path, truth, detections), bootstrap=FEW)
    strs = summary["strs"]["micro"]
    assert (strs["precision"], strs["recall"]) == (0.5, 0.5)
    assert strs["strs"] == pytest.approx(0.5)


def test_strs_of_the_hand_made_table(summary):
    strs = summary["strs"]
    assert set(strs) == {"micro", "macro", "both"}
    # Found: v1 happy as happy, v3 happy as sad. Precision happy 1, sad 0; recall 1/2, 0.
    assert strs["micro"]["f1"] == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert strs["micro"]["strs"] == pytest.approx(4 / 7 * 1 / 3)
    assert strs["macro"]["strs"] == 0.0


def test_thresholds_of_the_others(tmp_path):
    """Each subject's threshold comes from the others alone, whatever suits its own detections."""
    truth = "video,subject,onset,offset,kind\n" + "".join(
        f"v{n},s{n},0,9,micro\n" for n in range(3)
    )
    detections = "video,onset,offset,kind,confidence\n" + "".join(
        f"v{n},0,9,micro,{right}\nv{n},20,29,micro,{wrong}\n"
        for n, (right, wrong) in enumerate([(0.9, 0.5), (0.8, 0.4), (0.3, 0.2)])
    )
    table, matches = read(tmp_path, truth, detections)
    summary = summarize_spotting(table, matches, "others", bootstrap=FEW)
    # For s2 the others say 0.8, and it finds nothing; for s0 and s1 two right, one wrong at 0.3
    # beat one right alone.
    assert counts(summary, "micro") == (2, 2, 1)
    assert summary["threshold"]["micro"] == {"min": 0.3, "median": 0.3, "max": 0.8}
    assert summary["threshold"]["macro"] is None


def test_choices_tell_what_leaks(tmp_path):
    """Of two epochs each is right on one of two subjects, wrong on the other; of two more both."""
    truth = "video,subject,onset,offset,kind\n" + "".join(
        f"v{n},s{n},0,9,micro\n" for n in range(4)
    )
    tables = []
    for wrong in (1, 0):
        starts = [50 * (n == wrong) for n in range(4)]
        text = "video,onset,offset,kind,confidence\n" + "".join(
            f"v{n},{start},{start + 9},micro,0.9\n" for n, start in enumerate(starts)
        )
        table, matches = read(tmp_path, truth, text)
        tables.append(matches)
    grid = grid_of(tables)
    assert grid.tolist() == [np.inf, 0.9]
    counted = {epoch: count(table, matches, grid) for epoch, matches in enumerate(tables)}
    rows = compare_choices(counted, 1, np.array([[1, 1, 1, 1], [4, 0, 0, 0], [0, 4, 0, 0]]))
    assert [row["leaky"] for row in rows] == [False, False, True, True, True]
    # What suits the others is the wrong epoch for s0 and for s1; each one's own is right.
    assert [row["micro"] for row in rows] == [0.75, 0.5, 0.75, 0.75, 1.0]
    assert rows[0]["difference"] is None
    # In the resamples the first row has 3/4, 0 and 1, the last one 1 in each.
    assert rows[4]["difference"]["both"] == 0.25
    assert rows[4]["difference"]["interval"] == pytest.approx([0.25 * 0.05, 1 - 0.75 * 0.05])
    assert rows[4]["interval"] == [1.0, 1.0]
