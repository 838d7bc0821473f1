"""Files that are readable and odd, or hardly readable, through the commands that look at them."""

import struct

import cv2
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights
from helpers.films import write_video
from helpers.refusals import refusal

from micron_jax import checkpoints
from micron_jax.cli import main
from micron_jax.faces import landmarks

TURNED = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 320 << 16, 0, 1 << 30)  # as a phone's


def film(path, frames):
    write_video(path, frames, 30)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A folder of them, and of what they are compared with."""
    root = tmp_path_factory.mktemp("odd")
    checkpoints.save(draw_weights(tiny.PAPER, decoder=False), root / "ckpt")
    face = drawn.face(1)
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    for name, image in {
        "color": face[..., ::-1],
        "sixteen": face[..., ::-1].astype(np.uint16) * 257,
        "alpha": np.dstack([face[..., ::-1], np.full((320, 320), 9, np.uint8)]),
        "three": np.dstack(3 * [gray]),
        "gray": gray,
        "speck": np.zeros((1, 1, 3), np.uint8),
    }.items():
        cv2.imwrite(str(root / f"{name}.png"), image)
    film(root / "one.mp4", [face])
    film(root / "upright.mp4", 8 * [face])
    film(root / "phone.mp4", 8 * [np.rot90(face)])
    phone = bytearray((root / "phone.mp4").read_bytes())
    matrix = phone.index(b"tkhd") + 4 + 40
    phone[matrix : matrix + 36] = TURNED
    (root / "phone.mp4").write_bytes(phone)
    film(root / "no_face.mp4", 4 * [drawn.texture(1, (160, 160))])
    complete = (root / "upright.mp4").read_bytes()
    (root / "half.mp4").write_bytes(complete[: len(complete) // 2])
    (root / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(9999))
    (root / "empty.mp4").write_bytes(b"")
    return root


@pytest.fixture(autouse=True)
def _there(odd, monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    monkeypatch.chdir(odd)


def test_odd_files_give_equal_features(tmp_path, capsys):
    names = ["color.png", "sixteen.png", "alpha.png", "three.png", "gray.png", "one.mp4"]
    names += ["upright.mp4", "phone.mp4", "speck.png"]
    out = str(tmp_path / "out.npz")
    command = ["extract", "--checkpoint", "ckpt", "--what", "tokens", "--output", out, "--input"]
    assert main([*command, *names]) == 0
    assert "skipped: 1\n  speck.png: no face\n" in capsys.readouterr().out
    with np.load(out) as arrays:
        assert list(arrays["clip_name"]) == names[:-1]
        rows = [arrays["tokens"][arrays["clip"] == n] for n in range(len(names) - 1)]
    color, sixteen, alpha, three, gray, one, upright, phone = rows
    np.testing.assert_array_equal(sixteen, color)
    np.testing.assert_array_equal(alpha, color)
    np.testing.assert_array_equal(gray, three)
    assert np.abs(gray - color).max() > 0.1
    assert (len(one), len(phone)) == (1, 8)
    scale = np.abs(upright).mean()
    assert np.abs(one[0] - color[0]).mean() < 0.1 * scale  # the video's losses
    assert np.abs(phone - upright).mean() < 0.1 * scale


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["no_face.mp4"], "no_face.mp4: no face; whole frames need none (crop=whole)"),
        (["half.mp4"], "half.mp4: no frame can be decoded"),
        (["noise.mp4"], "noise.mp4: no frame can be decoded"),
        (["empty.mp4"], "empty.mp4: no frame can be decoded"),
    ],
)
@pytest.mark.parametrize("command", ["extract", "visualize"])
def test_unreadable_inputs_are_one_line(command, names, message, tmp_path, capsys):
    out = tmp_path / ("out.npz" if command == "extract" else "out")
    argv = [command, "--checkpoint", "ckpt", "--output", out, "--input", *names]
    assert refusal(argv, capsys, begun=True) == f"micron-jax: {message}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["one.mp4"], "one.mp4: one frame only, and nothing to compare it with"),
        (["speck.png", "color.png"], "speck.png: no face; whole frames need none"),
    ],
)
def test_incomparable_inputs_are_one_line(names, message, tmp_path, capsys):
    argv = ["visualize", "--checkpoint", "ckpt", "--output", tmp_path / "out", "--input"]
    assert message in refusal([*argv, *names], capsys, begun=True)
    assert list(tmp_path.iterdir()) == []
