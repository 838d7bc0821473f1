"""Tables of detections as programs and challenges write them, and the logs of LGSNet."""

import pytest
from helpers.spotting import DETECTIONS, TRUTH, read, write

from micron_jax.datasets.long_videos.truth import read_truth
from micron_jax.errors import UserError
from micron_jax.evaluation.spotting_logs import is_log_folder, read_epochs
from micron_jax.evaluation.spotting_tables import (
    Detection,
    join,
    looks_like_seconds,
    read_detections,
    write_challenge,
    write_detections,
)


def detections(tmp_path, text):
    path = tmp_path / "detections.csv"
    path.write_text(text)
    return read_detections(path)


def test_the_columns(tmp_path):
    first, *_ = detections(tmp_path, DETECTIONS)
    assert first == Detection("v1", 10, 19, "micro", 0.9, 15, "happy")
    assert first.row == 2


@pytest.mark.parametrize(
    "text",
    [
        "vid,onset,offset,type\nv1,10,19,me\nv2,20,29,mae\n",  # MEGC 2023
        "vid,pred_onset,pred_offset,type\nv1,10,19,me\nv2,20,29,mae\n",  # MEGC 2022
        "vid;onset;offset;type\r\nv1;10,0;19,0;ME\r\nv2;20;29;MaE\r\n",
        "video_name,start_frame,end_frame,type_idx\nv1,10,19,2\nv2,20,29,1\n",
        "\ufeffVideo,Onset,Offset,Kind\nv1,10,19,Micro-expression\nv2,20,29,macro-expression\n",
        "Video_ID,GT_onset,GT_offset,Predicted_onset,Predicted_offset,Result,type\n1,,,,,,\n"
        "v1,8,19,10,19,TP,micro\nv1,50,59,-,-,FN,micro\nv2,-,-,20,29,FP,macro\n",  # MEGC 2021
    ],
)
def test_tables_of_others(tmp_path, text):
    found = detections(tmp_path, text)
    assert [(d.video, d.onset, d.offset, d.kind) for d in found] == [
        ("v1", 10, 19, "micro"),
        ("v2", 20, 29, "macro"),
    ]


def test_nothing_detected(tmp_path):
    assert detections(tmp_path, "video,onset,offset,kind\n") == []
    assert detections(tmp_path, "video,onset,offset\nv1,,\n") == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v1,19,10,micro,1", "row 2: offset: 10 comes before onset 19"),
        ("v1,x,10,micro,1", "row 2: onset: 'x' is no frame number"),
        (",1,10,micro,1", "row 2: video: it is empty"),
        ("v1,1,10,blink,1", "row 2: kind: 'blink' is neither micro nor macro"),
        ("v1,1,10,micro,high", "row 2: confidence: 'high' is no number"),
        ("v1,1,10,micro,nan", "row 2: confidence: 'nan' is no number"),
    ],
)
def test_a_row_that_cannot_be_used(tmp_path, row, message):
    with pytest.raises(UserError, match=message):
        detections(tmp_path, f"video,onset,offset,kind,confidence\n{row}\n")


def test_a_video_that_is_not_of_the_truth(tmp_path):
    with pytest.raises(UserError, match=r"row 7: video 'v9' is not in the truth, which has v1, v2"):
        read(tmp_path, detections=DETECTIONS + "v9,1,1,2,micro,1,x\n")


def test_a_video_that_two_subjects_have(tmp_path):
    truth = "video,subject,onset,offset,kind\na,s1,0,9,micro\na,s2,0,9,micro\n"
    table = "video,onset,offset\na,0,9\n"
    with pytest.raises(UserError, match="may be a of subject s1 or a of subject s2; add a column"):
        read(tmp_path, truth, table)
    _, matches = read(tmp_path, truth, "video,subject,onset,offset\na,S02,0,9\n")
    assert matches.joined[0].video == 1


def test_kinds_that_are_not_told(tmp_path):
    """0.5 s or less from onset to offset is micro."""
    plain = "video,onset,offset\nv1,10,25\nv1,30,46\n"
    table, path = write(tmp_path, detections=plain)
    joined, note = join(read_truth(table), read_detections(path), path)
    assert [one.detection.kind for one in joined] == ["micro", "macro"]
    assert note == "Kinds of 2 detections, which have none: by duration: 0.5 s or less is micro."
    no_rate = TRUTH.replace(",fps", ",x")
    with pytest.raises(UserError, match="no kind, and no frame rate of v1"):
        read(tmp_path, no_rate, plain)
    micro = "\n".join(line for line in no_rate.split("\n") if "macro" not in line)
    _, matches = read(tmp_path, micro, plain)
    assert {one.detection.kind for one in matches.joined} == {"micro"}


def test_times_that_may_be_seconds_are_told(tmp_path):
    seconds = "video,onset,offset,kind\nv1,0.33,0.63,micro\nv1,3.33,4.63,macro\nv3,0.4,0.6,micro\n"
    table, matches = read(tmp_path, detections=seconds)
    assert looks_like_seconds(table, matches.joined).startswith("LOOK: onset and offset have decim")
    frames = seconds + "v2,50.5,59.25,micro\n"  # beyond the 30 seconds of v2
    assert looks_like_seconds(*_joined(tmp_path, frames)) == ""
    whole = "video,onset,offset,kind\nv1,10,19,micro\nv1,2,4,macro\nv3,1,9,micro\n"
    assert looks_like_seconds(*_joined(tmp_path, whole)) == ""


def _joined(tmp_path, text):
    table, matches = read(tmp_path, detections=text)
    return table, matches.joined


def test_written_detections_are_read_again(tmp_path):
    truth, matches = read(tmp_path)
    path = tmp_path / "again.csv"
    write_detections(path, truth, matches.joined)
    again = read_detections(path)
    key = ("video", "onset", "apex", "offset", "kind", "confidence", "label")
    assert {tuple(getattr(d, k) for k in key) for d in again} == {
        tuple(getattr(one.detection, k) for k in key) for one in matches.joined
    }
    write_challenge(tmp_path / "megc.csv", truth, matches.joined)
    lines = (tmp_path / "megc.csv").read_text().splitlines()
    assert lines[:2] == ["vid,onset,offset,type", "v1,10,19,me"]
    assert lines[-1] == "v4,200,240,mae"
    assert len(read_detections(tmp_path / "megc.csv")) == 5


def write_logs(folder, subjects=("s1", "s2"), epochs=2):
    for subject in subjects:
        place = folder / f"subject_{subject}" / "test_detection"
        place.mkdir(parents=True)
        (place.parent / "64_train_loss.log").write_text("not read")
        for epoch in range(epochs):
            video = {"s1": "v1", "s2": "v3"}[subject]
            (place / f"test_{epoch:02}.txt").write_text(
                f"{video}\t10.250\t{19 + epoch}.750\t0.3402\n{video}\t20.000\t12.000\t0.1\n\n"
            )


def test_the_logs_of_lgsnet(tmp_path):
    write_logs(tmp_path / "out")
    assert is_log_folder(tmp_path / "out")
    epochs = read_epochs(tmp_path / "out")
    assert list(epochs) == [0, 1]
    assert epochs[1] == [
        Detection("v1", 10.25, 20.75, confidence=0.3402),
        Detection("v3", 10.25, 20.75, confidence=0.3402),
    ]
    assert not is_log_folder(tmp_path / "out" / "subject_s1" / "test_detection" / "test_00.txt")


def test_an_epoch_that_one_subject_lacks(tmp_path):
    write_logs(tmp_path / "out")
    (tmp_path / "out" / "subject_s2" / "test_detection" / "test_01.txt").unlink()
    with pytest.raises(UserError, match=r"has no test_01\.txt, which other subjects have"):
        read_epochs(tmp_path / "out")


def test_a_log_of_an_unknown_video_is_named(tmp_path):
    write_logs(tmp_path / "out")
    table, _ = write(tmp_path, TRUTH.replace("v3", "v5"))
    truth, epochs = read_truth(table), read_epochs(tmp_path / "out")
    with pytest.raises(
        UserError, match=r"subject_s2/test_detection/test_00\.txt, row 1: video 'v3'"
    ):
        join(truth, epochs[0], tmp_path / "out")


def test_a_log_that_is_none(tmp_path):
    write_logs(tmp_path / "out")
    path = tmp_path / "out" / "subject_s2" / "test_detection" / "test_01.txt"
    path.write_text("v1 10 19\n")
    with pytest.raises(UserError, match="row 1: it is no video, start, end, confidence"):
        read_epochs(tmp_path / "out")
