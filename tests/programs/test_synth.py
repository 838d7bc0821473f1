import json

import pytest
from helpers import drawn
from helpers.refusals import refusal

from micron_jax.cli import main
from micron_jax.datasets.clips import open_clips
from micron_jax.faces import landmarks
from micron_jax.synthetic import expressions


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    for name, frames in (("LEAD", (1, 2)), ("RISE", (2, 3)), ("FALL", (2, 3)), ("TAIL", (1, 2))):
        monkeypatch.setattr(expressions, name, frames)


@pytest.fixture
def pictures(tmp_path):
    for seed in range(3):
        drawn.write(tmp_path / "faces" / f"{seed}.png", seed)
    (tmp_path / "faces" / "broken.png").write_bytes(b"")
    return tmp_path / "faces"


def synth(faces_, output, *more):
    return main(["data", "synth", "--faces", str(faces_), "--output", str(output), *more])


def test_synth(pictures, tmp_path, capsys):
    assert synth(pictures, tmp_path / "out", "--clips", "2", "--subjects", "3", "--seed", "1") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"made: {tmp_path}/out"
    assert lines[1].startswith(
        "people: 3 (1 train, 1 val, 1 test), clips: 6, of these motionless: "
    )
    assert lines[3:] == ["faces left out: 1", "  broken.png: not a whole image"]
    assert "6/6" in err
    assert len(list((tmp_path / "out" / "truth").rglob("*.npz"))) == 6


def test_the_builder_of_casme2_reads_the_set(pictures, tmp_path, capsys):
    out, data_dir = tmp_path / "out", tmp_path / "data"
    assert synth(pictures, out, "--clips", "2", "--seed", "1") == 0
    paths = ["--source", str(out), "--data-dir", str(data_dir)]
    assert main(["data", "build", "casme2", *paths]) == 0
    source, samples = open_clips(data_dir, "casme2")
    data_set = json.loads((out / "truth.json").read_text())["clips"]
    assert sorted(sample.clip for sample in samples) == sorted(clip["clip"] for clip in data_set)
    assert {sample.subject for sample in samples} == {"01", "02", "03"}
    for sample, record in zip(samples, source, strict=True):
        frames = record["frames"]
        assert list(frames["number"]) == list(range(sample.onset, sample.offset + 1))
        image = out / "CASME2-RAW" / sample.clip / f"img{sample.apex}.jpg"
        assert frames["image"][sample.apex - sample.onset] == image.read_bytes()
    report = tmp_path / "report.json"
    check = ["data", "check", "casme2", "--data-dir", str(data_dir), "--json", str(report)]
    assert main(check) == 0
    told = json.loads(report.read_text())
    assert (told["clips"], told["subjects"], told["unreadable"]) == (6, 3, [])


def test_an_empty_split_is_reported(pictures, tmp_path, capsys):
    assert synth(pictures, tmp_path / "out", "--clips", "1", "--subjects", "1") == 0
    assert "a split is empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faces", "gone", "--output", "out"], "gone does not exist"),
        (["--faces", "empty", "--output", "out"], "empty holds no picture"),
        (["--faces", "faces", "--output", "empty"], "empty exists"),
        (["--faces", "faces", "--output", "out", "--clips", "0"], "--clips: 0: must be at least 1"),
        (["--faces", "faces", "--output", "out", "--clips", "x"], "--clips"),
        (["--faces", "faces", "--output", "out", "--subjects", "9"], "show 3 usable faces"),
        (["--faces", "faces", "--output", "out", "--amplitudes", "1,big"], "numbers, as 0.5,1,2"),
        (["--faces", "faces", "--output", "out", "--split", "most"], "--split"),
        (["--faces", "faces"], "--output"),
    ],
)
def test_bad_input_is_one_line(pictures, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert words in refusal(["data", "synth", *arguments], capsys, begun=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "faces"]
