import collections
import contextlib
import io
import json
import os
import zipfile

import cv2
import numpy as np
import openpyxl
import pytest
from helpers import drawn

from micron_jax.datasets.annotations import read_rows, sheet_names
from micron_jax.datasets.casme2 import CASME2
from micron_jax.errors import UserError
from micron_jax.faces import landmarks
from micron_jax.files import whole_folder
from micron_jax.synthetic import dataset, expressions, samples
from micron_jax.synthetic.dataset import make_dataset
from micron_jax.video import folder_walk, image_files


def stub(patch):
    patch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    for name, frames in (("LEAD", (1, 2)), ("RISE", (2, 3)), ("FALL", (2, 3)), ("TAIL", (1, 2))):
        patch.setattr(expressions, name, frames)


def draw_pictures(folder):
    drawn.write(folder / "a.png", 1)
    drawn.write(folder / "b.png", 2, 3)
    drawn.write(folder / "c.png", 4)
    return folder


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    stub(monkeypatch)


@pytest.fixture
def pictures(tmp_path):
    return draw_pictures(tmp_path / "faces")


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """(the folder of a data set of 4 people and 32 clips, its index)."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        stub(patch)
        index = make_dataset(
            draw_pictures(folder / "faces"), folder / "deep" / "out", clips=8, seed=3
        )
    return folder / "deep" / "out", index


def contents(folder):
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_layout_sheet_and_truth(data_set):
    out, index = data_set
    assert sorted(path.name for path in out.parent.parent.iterdir()) == ["deep", "faces"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["CASME2-RAW", "CASME2-coding-20140508.xlsx", "truth", "truth.json"]
    )
    assert json.loads((out / "truth.json").read_text()) == index
    assert len(index["clips"]) == 32
    header, *rows = openpyxl.load_workbook(out / dataset.SHEET).active.values
    assert header == (
        *("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None),
        *("Action Units", "Estimated Emotion"),
    )
    for row, clip in zip(rows, index["clips"], strict=True):
        subject, filename, _, onset, apex, offset, _, units, emotion = row
        assert clip["clip"] == f"sub{subject}/{filename}"
        assert (units or "") == clip["units"]
        assert emotion == clip["emotion"]
        folder = out / "CASME2-RAW" / clip["clip"]
        names = {path.name for path in folder.iterdir()}
        assert names == {f"img{n}.jpg" for n in range(1, clip["frames"] + 1)}
        assert 1 < onset < apex < offset < len(names)
        frame = image_files.decode_jpeg((folder / f"img{apex}.jpg").read_bytes())
        assert frame.shape == (224, 224, 3)
        truth = np.load(out / "truth" / f"{clip['clip']}.npz")
        assert {name: truth[name].shape for name in truth} == {
            "displacement": (28, 28, 2),
            "magnitude": (28, 28),
            "lowest": (28, 28),
            "highest": (28, 28),
            "distraction": (28, 28, 2),
            "head": (2, 3),
            "pose": (clip["frames"], 4),
            "intensity": (clip["frames"],),
        }
        assert {truth[name].dtype for name in truth} == {np.dtype("float32")}
        assert (truth["lowest"] <= truth["magnitude"]).all()
        assert (truth["magnitude"] <= truth["highest"] + 1e-6).all()
        if clip["kind"] == "still":
            assert not truth["displacement"].any()
            assert (clip["emotion"], clip["units"], clip["amplitude"]) == ("others", "", 0)
        else:
            assert truth["highest"].max() == pytest.approx(clip["amplitude"], rel=0.04)
    emotions = collections.Counter(clip["emotion"] for clip in index["clips"])
    assert emotions == {
        **dict.fromkeys(("happiness", "disgust", "surprise", "repression"), 4),
        "others": 16,
    }


def test_amplitudes_and_split_can_be_chosen(pictures, tmp_path, data_set):
    """All that is drawn stays as it would be, but the amplitude."""
    _, free = data_set
    out = tmp_path / "out"
    index = make_dataset(
        *(pictures, out), clips=8, seed=3, amplitudes=(0.5, 1, 2), split="train", pair_only=True
    )
    assert {person["split"] for person in index["people"]} == {"train"}
    expressive = [clip for clip in index["clips"] if clip["kind"] != "still"]
    assert {clip["amplitude"] for clip in expressive} == {0.5, 1, 2}
    for clip, other in zip(index["clips"], free["clips"], strict=True):
        assert {"onset": clip["onset"], "turn": clip["turn"], "kind": clip["kind"]}.items() <= (
            other.items()
        )
        names = {path.name for path in (out / "CASME2-RAW" / clip["clip"]).iterdir()}
        assert names == {f"img{clip['onset']}.jpg", f"img{clip['apex']}.jpg"}
        assert clip["frames"] == 2
    truth = np.load(out / "truth" / f"{expressive[0]['clip']}.npz")
    assert truth["highest"].max() == pytest.approx(expressive[0]["amplitude"], rel=0.04)


def test_the_reader_of_sheets_reads_the_sheet(data_set):
    out, index = data_set
    rows = read_rows(out / dataset.SHEET, sheet_names(out / dataset.SHEET)[0], CASME2.columns)
    assert [row["subject"] for row in rows] == [clip["subject"] for clip in index["clips"]]
    assert [row["apex"] for row in rows] == [str(clip["apex"]) for clip in index["clips"]]


def test_units_give_the_emotion(data_set):
    _, index = data_set
    allowed = {
        "happiness": {"12"},
        "disgust": {"9", "4+9", "7+9"},
        "surprise": {"1+2"},
        "repression": {"15"},
        "others": {"4", "7", "4+7", ""},
    }
    for clip in index["clips"]:
        assert clip["units"].replace("L", "").replace("R", "") in allowed[clip["emotion"]]


def test_same_seed_same_bytes(pictures, tmp_path, monkeypatch):
    make_dataset(pictures, tmp_path / "one", subjects=3, clips=1, seed=5)
    # Later, and in another order of the folder's listing.
    scan = os.scandir
    reverse = lambda path: contextlib.nullcontext([*scan(path)][::-1])  # noqa: E731
    monkeypatch.setattr(folder_walk.os, "scandir", reverse)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    make_dataset(pictures, tmp_path / "two", subjects=3, clips=1, seed=5)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert list(one) == list(two)
    assert [name for name in one if one[name] != two[name]] == []
    make_dataset(pictures, tmp_path / "three", subjects=3, clips=1, seed=6)
    assert contents(tmp_path / "three") != one


def test_the_sheet_contains_no_time():
    with zipfile.ZipFile(io.BytesIO(dataset.coding_sheet([]))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2000, 1, 1, 0, 0, 0)}
        core = archive.read("docProps/core.xml")
    assert core.count(b"2000-01-01T00:00:00Z") == 2


def test_a_photographs_people_stay_together(data_set):
    _, index = data_set
    split_of = {person["face"]: person["split"] for person in index["people"]}
    assert split_of["b.png"] == split_of["b.png#2"]
    assert set(split_of.values()) == {"train", "val", "test"}
    for clip in index["clips"]:
        (person,) = [p for p in index["people"] if p["subject"] == clip["subject"]]
        assert clip["split"] == person["split"]


def test_onset_and_apex_differ_at_the_motion(data_set):
    """In the files as written, with light, noise and JPEG, after the head's motion is undone."""
    out, index = data_set
    inside, outside = [], []
    for clip in index["clips"]:
        truth = np.load(out / "truth" / f"{clip['clip']}.npz")
        if clip["amplitude"] < 1.5 or clip["turn"] or clip["blink"]:
            continue
        onset, apex = (
            cv2.imread(str(out / "CASME2-RAW" / clip["clip"] / f"img{clip[name]}.jpg"))
            for name in ("onset", "apex")
        )
        undone = cv2.warpAffine(
            apex,
            np.float64(truth["head"]),
            (224, 224),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        difference = np.abs(undone.astype(float) - onset).mean(-1)
        patches = difference.reshape(28, 8, 28, 8).mean((1, 3))
        inside.append(patches[truth["lowest"] > 0.5].mean())
        outside.append(patches[1:-1, 1:-1][truth["highest"][1:-1, 1:-1] < 0.05].mean())
    assert len(inside) >= 3
    assert np.mean(inside) > 1.5 * np.mean(outside)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"subjects": 0}, "subjects=0: must be at least 1"),
        ({"clips": 0}, "clips=0: must be at least 1"),
        ({"seed": -1}, "seed=-1: must be at least 0"),
        ({"amplitudes": (1, 0)}, "amplitudes=0: must lie in 0.1..6 px"),
        ({"subjects": 5}, "subjects=5: .*show 4 usable faces"),
    ],
)
def test_settings_out_of_range(pictures, tmp_path, setting, words):
    with pytest.raises(UserError, match=words):
        make_dataset(pictures, tmp_path / "out", **setting)
    assert not (tmp_path / "out").exists()


def test_existing_files_are_left_alone(pictures, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="out exists; remove it"):
        make_dataset(pictures, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(UserError, match=r"lies in .*faces"):
        make_dataset(pictures, pictures / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory"):
        make_dataset(pictures, tmp_path / "file" / "out", clips=1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_leaves_nothing(pictures, tmp_path, monkeypatch, error):
    calls = []

    def fail(_):
        calls.append(1)
        if len(calls) == 3:
            raise error
        return {}

    monkeypatch.setattr(dataset, "patch_truth", fail)
    with pytest.raises(error):
        make_dataset(pictures, tmp_path / "deep" / "out", clips=4)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_a_full_disk_is_named_and_leaves_nothing(pictures, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", lambda *_, **__: fail())
    with pytest.raises(UserError, match=r"out: cannot be written \(No space left"):
        make_dataset(pictures, tmp_path / "out", clips=2)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_a_killed_runs_debris_is_cleared(pictures, tmp_path):
    debris = tmp_path / ".out.incomplete" / "CASME2-RAW" / "sub01" / "EP01_01"
    debris.mkdir(parents=True)
    (debris / "img99.jpg").write_bytes(b"")
    make_dataset(pictures, tmp_path / "out", subjects=1, clips=1)
    assert not list((tmp_path / "out").rglob("img99.jpg"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "out"]


def test_two_runs_at_once_are_refused(pictures, tmp_path):
    with (
        whole_folder(tmp_path / "out"),
        pytest.raises(UserError, match="another run is writing it"),
    ):
        make_dataset(pictures, tmp_path / "out", clips=1)


@pytest.mark.slow
def test_real_faces(tmp_path, monkeypatch):
    """A data set of ten people, in whose frames the detector finds the face where it belongs."""
    monkeypatch.undo()
    samples.fetch(tmp_path / "stills", samples.STILLS)
    index = make_dataset(tmp_path / "stills", tmp_path / "out", clips=1)
    assert len(index["people"]) == 10
    detect = landmarks.all_faces_detector()
    for clip in index["clips"]:
        path = tmp_path / "out" / "CASME2-RAW" / clip["clip"] / f"img{clip['onset']}.jpg"
        points = detect(image_files.decode_jpeg(path.read_bytes()))[0]
        misfit = landmarks.canonical_transform(points, 224) - np.eye(2, 3)
        assert np.abs(misfit[:, :2]).max() < 0.15
        assert np.abs(misfit @ (112, 112, 1)).max() < 8
