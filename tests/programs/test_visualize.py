import csv

import cv2
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights
from helpers.refusals import refusal

from micron_jax import checkpoints
from micron_jax.cli import main
from micron_jax.faces import landmarks
from micron_jax.pretrained import MicronBert
from micron_jax.video.film import read_film, read_header
from micron_jax.video.image_files import decode_jpeg
from micron_jax.visualization.pairs import view_size

pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture(scope="module")
def weights():
    """Random ones: even they distinguish a patch that changed from one that did not."""
    return draw_weights(tiny.PAPER)


@pytest.fixture(scope="module")
def checkpoint(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "ckpt"
    checkpoints.save(weights, path)
    return str(path)


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)


def frames(count, apex=None, half=4):
    """A drawn face whose mouth is dark, most of all at the apex."""
    for t in range(count):
        image = drawn.face(3).astype(np.float32)
        share = 0 if apex is None else max(0, 1 - abs(t - apex) / half)
        mouth = np.zeros(image.shape[:2], np.float32)
        cv2.ellipse(mouth, (160, 225), (50, 22), 0, 0, 360, 1, -1)
        yield (image * (1 - 0.8 * share * mouth[..., None])).astype(np.uint8)


def write_folder(path, images, first=5):
    path.mkdir(parents=True)
    for number, image in enumerate(images, first):
        cv2.imwrite(str(path / f"img{number}.png"), image[..., ::-1])


def command(checkpoint, output, *inputs):
    options = ["--checkpoint", checkpoint, "--output", str(output), "--input"]
    return ["visualize", *options, *map(str, inputs)]


def visualize(*arguments):
    assert main(command(*arguments)) == 0


def test_a_brief_expression_is_spotted_and_drawn(checkpoint, tmp_path, capsys):
    write_folder(tmp_path / "clip", frames(24, apex=12))
    (tmp_path / "clip" / "img99.png").write_bytes(b"")
    out = tmp_path / "looks" / "clip"
    visualize(checkpoint, out, tmp_path / "clip", "--fps", "30")
    text = capsys.readouterr().out
    assert text.startswith(f"to look at: {out}\nframes: 24, candidates: ")
    assert text.endswith("dropped frames: 1\n  frame 99: img99.png: not a whole image\n")
    with open(out / "intervals.csv") as file:
        top = next(csv.DictReader(file))
    assert int(top["onset"]) <= 5 + 12 <= int(top["offset"])
    assert top["apex"] == "17"
    assert top["part"] == "mouth"
    assert 1 / 25 <= float(top["duration_seconds"]) <= 1 / 2
    with open(out / "energy.csv") as file:
        rows = [*csv.DictReader(file)]
    assert [int(row["frame"]) for row in rows] == [*range(5, 29)]
    assert max(rows, key=lambda row: float(row["energy"]))["frame"] == "17"
    assert float(rows[3]["seconds"]) == pytest.approx(0.1)
    with np.load(out / "timeline.npz") as arrays:
        assert arrays["heat"].shape == arrays["flow"].shape == (24, 4, 4)
        assert (arrays["delta"], str(arrays["kind"])) == (8, "cosine")
        assert arrays["heat"].min() == 0
        assert divmod(int(arrays["heat"][12].argmax()), 4)[0] == 2  # the row of the mouth
    header = read_header(out / "annotated.mp4")
    assert (header.count, header.fps) == (24, 30)
    _, _, frame = next(read_film(out / "annotated.mp4"))
    assert frame[100:200, 100:200].std() > 5
    names = {path.name for path in out.iterdir()}
    assert names == {
        "annotated.mp4", "energy.csv", "intervals.csv", "moments.png", "timeline.npz",
        "timeline.png", "top_moment.png", "flicker.png",
    }  # fmt: skip
    for name in ("moments", "timeline", "top_moment"):
        assert decode_jpeg((out / f"{name}.png").read_bytes()).std() > 5
    assert [path.name for path in out.parent.iterdir()] == ["clip"]


def test_a_pair_is_registered_and_shown(checkpoint, weights, tmp_path, capsys):
    still, apex_frame = frames(2, apex=1)
    shifted = np.roll(still, (1, 2), axis=(0, 1))
    for name, image in (("a.png", apex_frame), ("b.png", shifted)):
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
    out = tmp_path / "pair"
    visualize(checkpoint, out, tmp_path / "a.png", tmp_path / "b.png")
    assert capsys.readouterr().out == f"to look at: {out}\n"
    with np.load(out / "pair.npz") as arrays:
        assert arrays["heat"].shape == arrays["interest"].shape == (4, 4)
        assert arrays["cls_attention"].shape == (2, 4, 4)
        assert arrays["reconstruction"].shape == (32, 32, 3)
        assert str(arrays["kind"]) == "symmetric"
        size = view_size(MicronBert(weights))
        assert arrays["frame"].shape == (size, size, 3)
        shift = arrays["transform"][:, 2] * 320 / size
        np.testing.assert_allclose(shift, [2, 1], atol=0.4)
    assert sorted(path.name for path in out.iterdir()) == ["flicker.png", "pair.npz", "pair.png"]


def test_the_old_name_of_map_warns(checkpoint, tmp_path, capsys):
    frames = [tmp_path / name for name in ("a.png", "b.png")]
    for place, path in enumerate(frames, 1):
        drawn.write(path, place)
    options = ["--crop", "whole", "--heat", "cosine"]
    visualize(checkpoint, tmp_path / "out", *frames, *options)
    assert capsys.readouterr().err.startswith("micron-jax: --heat is now --map")
    with np.load(tmp_path / "out" / "pair.npz") as arrays:
        assert arrays["kind"] == "cosine"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["noise.png", "a.png"], "noise.png: no face; whole frames need none (crop=whole)"),
        (["a.png"], "a.png: one frame only, and nothing to compare it with"),
        (["a.png", "b.png", "c.png"], "3 inputs"),
        (["broken.mp4"], "broken.mp4: no frame can be decoded"),
        (["a.png", "b.png", "--map", "warm"], "--map"),
        (["a.png", "b.png", "--map", "motion"], "map motion: this checkpoint has symmetric"),
        (["a.png", "b.png", "--output", "taken"], "taken exists; remove it"),
        (["a.png", "b.png", "--output", "a.png/x"], "a.png/x: cannot be written"),
    ],
)
def test_bad_input_is_one_line(checkpoint, tmp_path, monkeypatch, capsys, inputs, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.png"):
        drawn.write(tmp_path / name, 1)
    cv2.imwrite("noise.png", drawn.texture(1, (64, 64)))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "taken").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert message in refusal(command(checkpoint, "out", *inputs), capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
