import cv2
import numpy as np
import pytest
from helpers.refusals import refusal

from micron_jax.cli import main
from micron_jax.faces import landmarks


@pytest.fixture
def source(tmp_path):
    for clip in ("one", "two"):
        (tmp_path / "source" / clip).mkdir(parents=True)
        for number in range(8):
            image = np.full((40, 40, 3), 20 * number, np.uint8)
            cv2.imwrite(str(tmp_path / "source" / clip / f"{number}.png"), image)
    return tmp_path / "source"


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(
        landmarks, "all_faces_detector", lambda: lambda image: landmarks.CANONICAL[None] * 40
    )


def command(source, data_dir, *more):
    paths = ["--source", str(source), "--data-dir", str(data_dir)]
    return ["data", "build", "frames", *paths, "--size", "32", *more]


def test_build_then_list(source, tmp_path, capsys):
    for number in range(13):
        (source / f"broken{number:02}.mp4").write_bytes(b"")
    assert main(command(source, tmp_path / "data")) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"built: {tmp_path}/data/frames/1.0.0"
    assert lines[1].startswith("clips: 2, frames: 16, bytes: ")
    assert lines[2:5] == [
        "skipped clips: 13",
        "  broken00.mp4: no frame can be decoded",
        "  broken01.mp4: no frame can be decoded",
    ]
    assert lines[13] == "  and 3 more"
    rate = (
        "clips whose files tell no frame rate, as images do not: 2; 30 per second assumed (--fps)"
    )
    assert lines[14:] == [rate]
    assert "16/16" in err
    assert "frames/s" in err

    assert main(command(source, tmp_path / "data")) == 0
    assert capsys.readouterr().out.startswith("already built: ")

    assert main(["data", "list", "--data-dir", str(tmp_path / "data")]) == 0
    assert "clips: 2, frames: 16" in capsys.readouterr().out


def test_list(tmp_path, capsys):
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().out.startswith("frames ")
    assert main(["data", "list", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("nothing\n")
    gone = ["data", "list", "--data-dir", tmp_path / "gone"]
    assert "gone is not a folder" in refusal(gone, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["fly"], "fly"),
        (["build"], "SET"),
        (
            ["build", "casme9", "--source", "a", "--data-dir", "b"],
            "'casme9' is unknown; did you mean casme3?",
        ),
        (["build", "frames", "--source", "gone", "--data-dir", "b"], "gone does not exist"),
        (["build", "frames", "--source", "a", "--data-dir", "b", "--size", "x"], "--size"),
        (["build", "frames", "--source", "a", "--data-dir", "b", "--crop", "x"], "--crop"),
        (["build", "frames", "--source", "a", "--data-dir", "b", "--strict"], "--strict: no such"),
        (["build", "frames", "--keep", "pair"], "--keep: no such option"),
        (["build", "casme2", "--source", "a", "--data-dir", "b", "--crop", "face"], "--crop: no"),
        (["build", "casme2", "--workers", "2"], "--workers: no such option"),
        (["build", "samm", "--exclude", "x"], "--exclude: no such option"),
        (
            ["build", "frames", "--source", "a", "--data-dir", "b", "--json", "c/d"],
            "--json: c/d: name a file",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(["data", *arguments], capsys)
    assert list(tmp_path.iterdir()) == []


def test_bad_settings_are_one_line(source, tmp_path, capsys):
    for option, most in (("--quality", 100), ("--workers", 1024)):
        line = refusal(command(source, tmp_path / "data", option, "0"), capsys)
        assert f"{option}: 0: must be at least 1, and at most {most}" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "own", "other"), [("frames", "--quality", "--strict"), ("samm", "--keep", "--crop")]
)
def test_help_tells_the_options_of_the_set(name, own, other, capsys):
    with pytest.raises(SystemExit):
        main(["data", "build", name, "--help"])
    out = capsys.readouterr().out
    assert f"usage: micron-jax data build {name} " in out
    assert own in out
    assert other not in out
