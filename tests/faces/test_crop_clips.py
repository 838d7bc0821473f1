import json
import os
import signal
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest
from helpers import drawn
from helpers.films import write_video

from micron_jax.errors import UserError
from micron_jax.faces import contact_sheet, crop, crop_clips, landmarks
from micron_jax.faces.crop_clips import crop_all
from micron_jax.video import clip_files, image_files
from micron_jax.video.inputs import find_inputs

SIZE = 64


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)


@pytest.fixture
def source(tmp_path):
    """Two image folders with a face, one of them numbered as CASME II's, and one without."""
    for number in (7, 8, 12):
        drawn.write(tmp_path / "in" / "sub01" / "EP01" / f"reg_img{number}.png", 1)
    for number in range(2):
        drawn.write(tmp_path / "in" / "sub02" / f"{number}.png", 2)
    (tmp_path / "in" / "wall").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "wall" / "1.png"), np.full((50, 50, 3), 90, np.uint8))
    return tmp_path / "in"


def listing(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def stamps(folder):
    return {name: (folder / name).stat().st_mtime_ns for name in listing(folder)}


CROPS = [
    "crops.json",
    "sub01/EP01/.crop.json",
    "sub01/EP01/12.jpg",
    "sub01/EP01/7.jpg",
    "sub01/EP01/8.jpg",
    "sub02/.crop.json",
    "sub02/0.jpg",
    "sub02/1.jpg",
]


def test_crops_mirror_the_source(source, tmp_path):
    crops = crop_all(source, tmp_path / "out", size=SIZE)
    assert listing(tmp_path / "out") == CROPS
    report = json.loads((tmp_path / "out" / "crops.json").read_text())
    assert report | {"fresh": 2} == crops
    assert report["skipped"] == [{"clip": "wall", "reason": "no face"}]
    one, two = report["clips"]
    assert (one["clip"], one["frames"], one["fps"], one["size"]) == ("sub01/EP01", 3, None, SIZE)
    assert (two["clip"], two["crop"], two["frame_size"]) == ("sub02", "face", [320, 320])
    np.testing.assert_allclose(one["landmarks"], landmarks.CANONICAL * 320 - 0.5)
    expected = crop.warp(drawn.face(1), np.array(one["transform"]), SIZE)
    stored = (tmp_path / "out" / "sub01" / "EP01" / "12.jpg").read_bytes()
    assert stored == image_files.encode_jpeg(expected)


def test_a_video_keeps_its_frames_numbers_and_its_rate(tmp_path):
    path = tmp_path / "in" / "a.avi"
    write_video(path, 3 * [drawn.face(0)], 50, codec="mjpeg", pixels="yuvj420p")
    (clip,) = crop_all(tmp_path / "in", tmp_path / "out", size=SIZE)["clips"]
    assert (clip["folder"], clip["fps"], clip["frames"]) == ("a.avi", 50, 3)
    names = {path.name for path in (tmp_path / "out" / "a.avi").iterdir()}
    assert names == {".crop.json", "0.jpg", "1.jpg", "2.jpg"}


def test_crops_of_a_film_keep_its_times(tmp_path):
    times = [0, 0.04, 0.08, 0.2, 0.325]
    frames = [drawn.face(0) for _ in times]
    write_video(tmp_path / "in" / "a.mp4", frames, seconds=times)
    for fresh in (1, 0):
        report = crop_all(tmp_path / "in", tmp_path / "out", size=SIZE)
        assert (report["fresh"], "seconds" in report["clips"][0]) == (fresh, False)
    (clip,) = find_inputs([tmp_path / "out" / "a.mp4"])
    np.testing.assert_allclose([seconds for _, seconds, _ in clip.read()], times, atol=1e-5)
    (tmp_path / "out" / "a.mp4" / "2.jpg").unlink()
    (clip,) = find_inputs([tmp_path / "out" / "a.mp4"])
    del times[2]
    np.testing.assert_allclose([seconds for _, seconds, _ in clip.read()], times, atol=1e-5)
    (tmp_path / "out" / "a.mp4" / ".crop.json").write_text('{"seconds": 1}')
    (clip,) = find_inputs([tmp_path / "out" / "a.mp4"])
    assert [seconds for _, seconds, _ in clip.read()] == 4 * [None]


def test_clips_in_which_nothing_changes_are_told(tmp_path):
    for number in (1, 2, 3):
        drawn.write(tmp_path / "in" / "still" / f"{number}.png", 5)
        drawn.write(tmp_path / "in" / "moves" / f"{number}.png", number)
    clips = crop_all(tmp_path / "in", tmp_path / "out", size=SIZE)["clips"]
    reason = "all 3 frames are the same picture, bit for bit"
    assert [(clip["clip"], clip["identical"]) for clip in clips] == [
        ("moves", ""),
        ("still", reason),
    ]


def test_finished_clips_are_left_alone(source, tmp_path, monkeypatch):
    crop_all(source, tmp_path / "out", size=SIZE)
    before = stamps(tmp_path / "out")
    drawn.write(source / "late" / "1.png", 3)
    crops = crop_all(source, tmp_path / "out", size=SIZE, sheet=True)
    assert crops["fresh"] == 1
    assert [clip["clip"] for clip in crops["clips"]] == ["late", "sub01/EP01", "sub02"]
    after = stamps(tmp_path / "out")
    assert {"late/1.jpg", "contact_sheet.png"} <= set(after)
    assert all(after[name] == before[name] for name in CROPS[1:])


def test_a_killed_run_leaves_no_half_clip_and_continues(source, tmp_path):
    out = tmp_path / "out"
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {os.path.dirname(drawn.__file__)!r})
        import drawn
        from micron_jax.faces import crop, crop_clips, landmarks
        landmarks.all_faces_detector = drawn.all_faces_detector
        warp, calls = crop.warp, []
        def deadly(*arguments):
            calls.append(1)
            if len(calls) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return warp(*arguments)
        crop.warp = deadly
        crop_clips.crop_all({str(source)!r}, {str(out)!r}, size={SIZE})
    """
    finished = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert finished.returncode == -signal.SIGKILL
    first = [name for name in listing(out) if not name.startswith((".incomplete", ".lock"))]
    assert first == CROPS[:5]
    before = stamps(out)
    with pytest.raises(UserError, match=f"other settings .size {SIZE}.;"):
        crop_all(source, out, size=32)
    assert crop_all(source, out, size=SIZE)["fresh"] == 1
    assert listing(out) == CROPS
    assert all(stamps(out)[name] == before[name] for name in CROPS[1:5])
    fresh = crop_all(source, tmp_path / "other", size=SIZE)
    assert fresh["clips"] == json.loads((out / "crops.json").read_text())["clips"]


def test_an_error_in_the_middle_leaves_no_half_clip(source, tmp_path, monkeypatch):
    def full(image, quality):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(crop_clips, "encode_jpeg", full)
    with pytest.raises(UserError, match=r"out: cannot be written \(No space left"):
        crop_all(source, tmp_path / "out", size=SIZE)
    assert listing(tmp_path / "out") == ["crops.json"]


def test_crops_of_an_earlier_version_are_continued(source, tmp_path):
    out = tmp_path / "out"
    crop_all(source, out, size=SIZE)
    report = (out / "crops.json").read_text()
    (out / "crops.json").write_text(report.replace('"crop": "face"', '"crop": "ours"'))
    crops = crop_all(source, out, size=SIZE)
    assert (crops["crop"], crops["fresh"], len(crops["clips"])) == ("face", 0, 2)


def test_two_faces_are_never_mixed(tmp_path, monkeypatch):
    """The larger of two people by turns; every crop of the clip shows the same one."""
    looks = []

    def detector():
        def detect(frame):
            looks.append(1)
            found = drawn.all_faces_detector()(frame)
            return found[::-1] if len(looks) % 2 else found

        return detect

    monkeypatch.setattr(landmarks, "all_faces_detector", detector)
    for number in range(6):
        drawn.write(tmp_path / "in" / "pair" / f"{number}.png", 1, 2)
    (clip,) = crop_all(tmp_path / "in", tmp_path / "out", size=SIZE)["clips"]
    shifts = np.array(clip["landmarks"]) - (landmarks.CANONICAL * 320 - 0.5)
    assert np.allclose(shifts, (0, 0)) or np.allclose(shifts, (320, 0))


def test_release_crops_need_no_face(source, tmp_path):
    crops = crop_all(source, tmp_path / "out", kind="release")
    assert [clip["clip"] for clip in crops["clips"]] == ["sub01/EP01", "sub02", "wall"]
    assert crops["clips"][0]["landmarks"] is None
    assert crops["clips"][2]["frame_size"] == [50, 50]


def test_unreadable_frames_are_reported(source, tmp_path):
    (source / "sub02" / "5.png").write_bytes(b"")
    crops = crop_all(source, tmp_path / "out", size=SIZE)
    assert crops["clips"][1]["dropped"] == [{"frame": 5, "reason": "5.png: not a whole image"}]
    assert crops["clips"][1]["frames"] == 2


def test_a_clip_whose_order_is_unknown_is_skipped(source, tmp_path):
    for name in ("color_1.png", "ir_1.png"):
        drawn.write(source / "two" / name, 1)
    crops = crop_all(source, tmp_path / "out", size=SIZE)
    (reason,) = [skip["reason"] for skip in crops["skipped"] if skip["clip"] == "two"]
    assert reason.startswith("names of 2 kinds, as color_1.png (1) and ir_1.png (1): put each")


def test_crops_have_the_number_that_varies(tmp_path):
    for number in (9, 10, 11):
        drawn.write(tmp_path / "in" / f"frame{number}_224.png", number)
    crop_all(tmp_path / "in", tmp_path / "out", size=SIZE, kind="whole")
    crops = sorted(path.name for path in (tmp_path / "out" / "images").glob("*.jpg"))
    assert crops == ["10.jpg", "11.jpg", "9.jpg"]


def test_a_clips_folder_holds_the_clip_alone():
    assert crop_clips.folders(["."]) == {".": "images"}
    assert crop_clips.folders(["a", "a/b", "a/images", "c.mp4"]) == {
        "a": "a/images_",
        "a/b": "a/b",
        "a/images": "a/images",
        "c.mp4": "c.mp4",
    }


def test_the_contact_sheet_is_no_clip(source, tmp_path):
    crop_all(source, tmp_path / "out", size=SIZE, sheet=True)
    sheet = image_files.decode_jpeg((tmp_path / "out" / "contact_sheet.png").read_bytes())
    square = image_files.decode_jpeg((tmp_path / "out" / "sub01" / "EP01" / "8.jpg").read_bytes())
    side, gap = contact_sheet.SIDE, contact_sheet.GAP
    tile = sheet[gap : gap + side, gap : gap + side]
    np.testing.assert_array_equal(tile, contact_sheet.tile(square, 1.0))
    assert [clip.name for clip in clip_files.find_clips(tmp_path / "out")] == [
        "sub01/EP01",
        "sub02",
    ]


def test_tiles():
    assert contact_sheet.spread(3, 100) == [0, 1, 2]
    assert contact_sheet.spread(1000, 5) == [0, 250, 500, 749, 999]
    wide = contact_sheet.tile(np.zeros((224, 224, 3), np.uint8), 2.0)
    rows, columns = np.nonzero(wide[..., 0] == 0)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (80, 160)
    assert contact_sheet.shorten("a.mp4") == "a.mp4"
    short = contact_sheet.shorten("é" * 50 + "/subject/clip07.mp4")
    assert short.startswith("..")
    assert short.endswith("clip07.mp4")


def test_bad_input_is_refused(source, tmp_path):
    out = tmp_path / "out"
    crop_all(source, out, size=SIZE)
    before = stamps(out)
    for options, words in (
        ({"size": 32}, "crops of other settings .size 64."),
        ({"size": SIZE, "kind": "release"}, "crops of other settings .crop face, layout brow"),
        ({"size": 4}, "size=4: must lie in 16..4096"),
        ({"kind": "theirs"}, "crop='theirs': choose one of face, whole, release"),
    ):
        with pytest.raises(UserError, match=words):
            crop_all(source, out, **options)
    drawn.write(source / "sub02" / "9.png", 2)
    with pytest.raises(UserError, match=r"sub02 is not what was .*; remove .*out/sub02"):
        crop_all(source, out, size=SIZE)
    assert {name: stamps(out)[name] for name in CROPS[1:]} == {n: before[n] for n in CROPS[1:]}
    (out / "crops.json").write_text("[]")
    with pytest.raises(UserError, match=r"crops\.json is not a report"):
        crop_all(source, out, size=SIZE)


def test_foreign_folders_are_not_touched(source, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(UserError, match="mine holds something else"):
        crop_all(source, tmp_path / "mine")
    assert listing(tmp_path / "mine") == ["thesis.txt"]
    with pytest.raises(UserError, match=r"thesis\.txt: cannot be written"):
        crop_all(source, tmp_path / "mine" / "thesis.txt")
    with pytest.raises(UserError, match=r"lies in .*in: it would"):
        crop_all(source, source / "crops")
    with pytest.raises(UserError, match=r"none of 1 clips can be used \(.: no face\)"):
        crop_all(source / "wall", tmp_path / "none" / "deep")
    assert not (tmp_path / "none").exists()
