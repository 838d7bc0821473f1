import cv2
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights
from helpers.refusals import refusal

from micron_jax import checkpoints
from micron_jax.cli import main
from micron_jax.faces import landmarks
from micron_jax.video.image_files import read_image


def test_features_of_photographs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    checkpoints.save(draw_weights(tiny.PAPER), tmp_path / "ckpt")
    drawn.write(tmp_path / "photos" / "one.png", 1)
    cv2.imwrite(str(tmp_path / "photos" / "sixteen.png"), np.full((9, 9), 70 * 257, np.uint16))
    cv2.imwrite(str(tmp_path / "photos" / "speck.png"), np.zeros((1, 1, 4), np.uint8))
    command = ["extract", "--checkpoint", str(tmp_path / "ckpt"), "--output"]
    command += [str(tmp_path / "out.npz"), "--input", str(tmp_path / "photos"), "--stills"]
    assert main(command) == 0
    out, bar = capsys.readouterr()
    assert out.splitlines() == [
        f"features: {tmp_path}/out.npz",
        "clips: 1, frames: 1 (of these just now: 1)",
        "skipped: 2",
        f"  {tmp_path}/photos/sixteen.png: no face",
        f"  {tmp_path}/photos/speck.png: no face",
    ]
    assert "frames/s" in bar
    with np.load(tmp_path / "out.npz") as features:
        assert sorted(features.files)[-3:] == ["frame", "pooled", "seconds"]
        assert features["cls"].shape == (1, 32)
    image = read_image(tmp_path / "photos" / "sixteen.png")
    assert image.shape == (9, 9, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --input PATH ..., or --set NAME"),
        (["--input", "x.png", "--set", "casme2"], "give --input PATH ..., or --set NAME"),
        (["--input", "gone.mp4"], "gone.mp4: no such file"),
        (["--input", "notes.txt"], "notes.txt: neither a video nor an image"),
        (["--input", "x.png", "x.png"], "x.png: given twice"),
        (["--input", "x.png", "--data-dir", "d"], "--data-dir goes with --set"),
        (["--input", "x.png", "--fps", "0"], "--fps: 0: must be at least 1"),
        (["--input", "x.png", "--delta", "2", "--delta-seconds", "0.1"], "say the same: give one"),
        (["--input", "x.png", "--delta-seconds", "0"], "--delta-seconds: 0: must be more than 0"),
        (["--set", "casme2"], "--set goes with --data-dir"),
        (["--set", "casme2", "--data-dir", "d"], "no data set `casme2`"),
        (["--input", "x.png"], "ckpt: no such file or folder"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("x.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    command = ["extract", "--checkpoint", "ckpt", "--output", "out.npz", *arguments]
    assert message in refusal(command, capsys)
