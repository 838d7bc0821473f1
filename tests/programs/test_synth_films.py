import csv
import json

import numpy as np
import pytest
from helpers import drawn
from helpers.face_films import detector, film
from helpers.refusals import refusal

from micron_jax.cli import main
from micron_jax.faces import landmarks
from micron_jax.synthetic import codecs, film_dataset
from micron_jax.video.film import read_film


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", detector)
    monkeypatch.setattr(film_dataset, "RATES", (25.0,))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    film(folder / "one.mp4", 1)
    film(folder / "empty.mp4", 4, dot=False)
    (folder / "broken.mp4").write_bytes((folder / "one.mp4").read_bytes()[:3000])
    (folder / "notes.txt").write_text("not a film")
    return folder


def synth(*words):
    return main(["data", "synth", *map(str, words)])


def test_films_of_one_folder_stay_together_and_a_copy_is_left_out(tmp_path):
    folder = tmp_path / "films"
    film(folder / "one.mp4", 1)
    film(folder / "person" / "two.mp4", 2)
    film(folder / "person" / "three.mp4", 3)
    (folder / "copy.mp4").write_bytes((folder / "one.mp4").read_bytes())
    assert synth("--films", folder, "--clips", 1, "--output", tmp_path / "out") == 0
    truth = json.loads((tmp_path / "out" / "truth.json").read_text())
    groups = {entry["source"]: (entry["group"], entry["split"]) for entry in truth["films"]}
    assert groups["person/two.mp4"] == groups["person/three.mp4"] != groups["copy.mp4"]
    assert truth["left_out"] == [{"face": "one.mp4", "reason": "the same file as copy.mp4"}]


def test_other_codecs_and_amplitudes_keep_all_else(source, tmp_path):
    """The film before the codec is the same, so that codecs compare pair by pair."""
    made = []
    for name, codec, amplitude in (("a", "none", "1"), ("b", "none", "4"), ("c", "vp9", "1")):
        words = ("--clips", 1, "--seconds", 1, "--codecs", codec, "--amplitudes", amplitude)
        assert synth("--films", source, *words, "--output", tmp_path / name) == 0
        entry = json.loads((tmp_path / name / "truth.json").read_text())["films"][0]
        frames = np.stack([f for _, _, f in read_film(tmp_path / name / entry["control"])])
        made.append((entry, frames.astype(float)))
    (first, plain), (large, also_plain), (coded, through_codec) = made
    np.testing.assert_array_equal(plain, also_plain)
    assert 0.5 < np.abs(plain - through_codec).mean() < 12
    skip = ("film", "control", "codec", "expressions")
    assert [{k: v for k, v in e.items() if k not in skip} for e in (large, coded)] == [
        {k: v for k, v in first.items() if k not in skip}
    ] * 2
    assert first["expressions"] == coded["expressions"]
    assert [each["amplitude"] for each in large["expressions"]] == [4.0]


def test_stills_of_pictures_beside_films(source, tmp_path, monkeypatch, capsys):
    drawn.write(tmp_path / "faces" / "a.png", 0)
    both = {True: drawn.all_faces_detector(), False: detector()}
    choose = lambda **_: lambda image: both[len(image) == drawn.SIDE](image)  # noqa: E731
    monkeypatch.setattr(landmarks, "all_faces_detector", choose)
    words = ("--faces", tmp_path / "faces", "--clips", 2, "--seconds", 1, "--codecs", "none")
    assert synth("--films", source, *words, "--output", tmp_path / "out") == 0
    assert "clips: 4 (1 film, 2 still, 1 head_only)" in capsys.readouterr().out
    truth = json.loads((tmp_path / "out" / "truth.json").read_text())
    assert truth["films"][2]["group"] == "faces/a.png"
    for entry in truth["films"]:
        check(tmp_path / "out", entry)


def test_the_whole_folder(source, tmp_path, capsys):
    words = ("--films", source, "--clips", 4, "--seconds", 1.2, "--codecs", "none,h264_phone")
    assert synth(*words, "--output", tmp_path / "out") == 0
    out, err = capsys.readouterr()
    assert "clips: 4 (2 film, 1 still, 1 head_only), each with its control" in out
    assert "a split is empty" in out
    assert "empty.mp4: no face" in out
    assert "broken.mp4: " in out
    assert "4/4" in err
    truth = json.loads((tmp_path / "out" / "truth.json").read_text())
    names = [entry["name"] for entry in truth["films"]]
    assert names == sorted(set(names))
    rows = [*csv.DictReader((tmp_path / "out" / "intervals.csv").open())]
    assert len(rows) == sum(len(entry["expressions"]) for entry in truth["films"])
    assert {row["kind"] for row in rows} == {"micro"}
    used = set()
    for entry in truth["films"]:
        check(tmp_path / "out", entry)
        used.add(entry["codec"])
    assert used == {"none", "h264_phone"}
    # The same arguments make the same bytes.
    assert synth(*words, "--output", tmp_path / "again") == 0
    for path in (tmp_path / "out").rglob("*.*"):
        twin = tmp_path / "again" / path.relative_to(tmp_path / "out")
        assert path.read_bytes() == twin.read_bytes(), path


def check(folder, entry):
    """Each frame has its truth; moved frames and no others differ from the control's."""
    arrays = np.load(folder / entry["truth"])
    _, seconds, moved = zip(*read_film(folder / entry["film"]), strict=True)
    _, _, control = zip(*read_film(folder / entry["control"]), strict=True)
    count, (width, height) = entry["frames"], entry["size"]
    assert (len(moved), *moved[0].shape) == (count, height, width, 3)
    np.testing.assert_allclose(seconds, arrays["seconds"], atol=0.001)
    assert arrays["displacement"].shape == arrays["distraction"].shape == (count, 28, 28, 2)
    assert arrays["displacement"].dtype == np.float16
    assert arrays["landmarks"].shape == (count, 5, 2)
    assert arrays["valid"].all()
    length = np.hypot(*np.moveaxis(arrays["displacement"].astype(float), -1, 0)).max((1, 2))
    for each in entry["expressions"]:
        assert length[each["onset"]] == length[each["offset"]] == 0
        inside = length[each["onset"] + 1 : each["offset"]]
        assert 0.5 * each["amplitude"] < inside.max() < 1.3 * each["amplitude"]
        assert length[each["apex"]] == inside.max()
        assert 0.04 <= each["offset_seconds"] - each["onset_seconds"] <= 0.5
    if entry["codec"] == "none":
        same = np.array([bool((a == b).all()) for a, b in zip(moved, control, strict=True)])
        assert same[length == 0].all()
        assert not same[length > 0.1].any()
    far = np.hypot(*np.moveaxis(arrays["distraction"].astype(float), -1, 0)).max()
    assert (far == 0) == (entry["kind"] == "still")
    assert entry["film"].endswith(codecs.CODECS[entry["codec"]].suffix)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "give --faces FOLDER of pictures, or --films FOLDER, or both"),
        (["--films", "gone"], "gone does not exist"),
        (["--films", "none"], "none"),
        (["--films", "faceless"], "no usable face in 1 films (a.mp4: no face)"),
        (["--films", "faceless", "--codecs", "h263"], "codecs='h263': choose one of none"),
        (["--films", "faceless", "--seconds", "0.5"], "seconds=0.5: must lie in 1..60"),
        (["--films", "faceless", "--amplitudes", "9"], "amplitudes=9: must lie in 0.1..6 px"),
        (["--films", "faceless", "--subjects", "2"], "--subjects and --keep pair go with --faces"),
        (["--films", "faceless", "--clips", "0"], "--clips: 0: must be at least 1"),
        (["--faces", "none", "--seconds", "3"], "--seconds goes with --films"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, words, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").mkdir()
    film(tmp_path / "faceless" / "a.mp4", 0, count=2, dot=False)
    message = refusal(["data", "synth", *words, "--output", "out"], capsys, begun=True)
    assert line in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faceless", "none"]
