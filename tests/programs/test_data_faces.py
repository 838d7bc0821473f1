import pytest
from helpers import drawn
from helpers.refusals import refusal

from micron_jax.cli import main
from micron_jax.faces import landmarks


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)


@pytest.fixture
def clips(tmp_path):
    for seed in range(2):
        drawn.write(tmp_path / "in" / f"clip{seed}" / "1.png", seed)
    (tmp_path / "in" / "broken.mp4").write_bytes(b"")
    (tmp_path / "in" / "clip1" / "2.png").write_bytes(b"")
    return tmp_path / "in"


def crop(source, output, *more):
    return main(["data", "faces", "--source", str(source), "--output", str(output), *more])


def test_summary(clips, tmp_path, capsys):
    out = tmp_path / "out"
    assert crop(clips, out, "--size", "64", "--sheet") == 0
    text, bar = capsys.readouterr()
    assert text.splitlines() == [
        f"crops: {out}",
        "clips: 2 (of these just now: 2), frames: 2",
        f"where the faces were: {out}/crops.json",
        f"to look at: {out}/contact_sheet.png",
        "skipped clips: 1",
        "  broken.mp4: no frame can be decoded",
        "dropped frames: 1",
        "  clip1: 2.png: not a whole image",
    ]
    assert "frames/s" in bar
    assert crop(clips, out, "--size", "64") == 0
    assert "clips: 2 (of these just now: 0), frames: 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "gone", "--output", "out"], "gone does not exist; name a folder"),
        (["--source", "empty", "--output", "out"], "empty holds no video and no image"),
        (["--source", "in", "--output", "in/out"], "in/out lies in in: it would be taken"),
        (
            ["--source", "in", "--output", "out", "--size", "8"],
            "--size: 8: must be at least 16, and at most 4096",
        ),
        (["--source", "in", "--output", "out", "--size", "x"], "--size"),
        (["--source", "in", "--output", "out", "--crop", "x"], "--crop"),
        (["--source", "in"], "--output"),
    ],
)
def test_bad_input_is_one_line(clips, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert words in refusal(["data", "faces", *arguments], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "in"]
