import csv

import cv2
import jax
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights

from micron_jax import checkpoints
from micron_jax.checkpoints.weights import Weights
from micron_jax.cli import main
from micron_jax.faces import landmarks
from micron_jax.faces.crop_registration import register_crops
from micron_jax.pretrained import MicronBert
from micron_jax.spotting import measure_timeline
from micron_jax.training.state import init_params
from micron_jax.video.image_files import decode_jpeg
from micron_jax.visualization import pairs
from micron_jax.visualization.overlay import LABELS, overlay, top_of
from micron_jax.visualization.pairs import compare_pair, draw_pair, view_size

pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture(scope="module")
def weights():
    """Of a network of chance: even that tells a patch that changed from one that did not."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_params(tiny.PAPER, jax.random.key(0)))
    params = jax.tree.map(lambda leaf: 0.1 * rng.normal(size=leaf.shape).astype("f4"), shapes)
    return Weights(tiny.PAPER, params, {}, np.zeros((1, 0), np.float32), {})


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


def visualize(checkpoint, output, *inputs):
    command = ["visualize", "--checkpoint", checkpoint, "--output", str(output), "--input"]
    return main([*command, *map(str, inputs)])


def test_a_passing_expression_is_found_and_shown(checkpoint, tmp_path, capsys):
    write_folder(tmp_path / "clip", frames(24, apex=12))
    (tmp_path / "clip" / "img99.png").write_bytes(b"")
    out = tmp_path / "looks" / "clip"
    assert visualize(checkpoint, out, tmp_path / "clip", "--fps", "30") == 0
    said, _ = capsys.readouterr()
    assert said.startswith(f"to look at: {out}\nframes: 24, candidates: ")
    assert said.endswith("dropped frames: 1\n  frame 99: img99.png: not a whole image\n")
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
    with np.load(out / "timeline.npz") as held:
        assert held["heat"].shape == held["flow"].shape == (24, 4, 4)
        assert (held["delta"], str(held["kind"])) == (8, "cosine")
        assert held["heat"].min() == 0
        assert divmod(int(held["heat"][12].argmax()), 4)[0] == 2  # the row of the mouth
    film = cv2.VideoCapture(str(out / "annotated.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 24
    assert film.get(cv2.CAP_PROP_FPS) == 30
    read, frame = film.read()
    assert read
    assert frame[100:200, 100:200].std() > 5
    names = {path.name for path in out.iterdir()}
    assert names == {
        "annotated.mp4", "energy.csv", "intervals.csv", "moments.png", "timeline.npz",
        "timeline.png", "top_moment.png",
    }  # fmt: skip
    for name in ("moments", "timeline", "top_moment"):
        assert decode_jpeg((out / f"{name}.png").read_bytes()).std() > 5
    assert [path.name for path in out.parent.iterdir()] == ["clip"]


def test_a_pair_is_registered_and_shown(checkpoint, weights, tmp_path, capsys):
    still, moved = frames(2, apex=1)
    shifted = np.roll(still, (1, 2), axis=(0, 1))
    for name, image in (("a.png", moved), ("b.png", shifted)):
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
    out = tmp_path / "pair"
    assert visualize(checkpoint, out, tmp_path / "a.png", tmp_path / "b.png") == 0
    assert capsys.readouterr().out == f"to look at: {out}\n"
    with np.load(out / "pair.npz") as held:
        assert held["heat"].shape == held["interest"].shape == (4, 4)
        assert held["cls_attention"].shape == (2, 4, 4)
        assert held["reconstruction"].shape == (32, 32, 3)
        assert str(held["kind"]) == "symmetric"
        size = view_size(MicronBert(weights))
        assert held["frame"].shape == (size, size, 3)
        shift = held["transform"][:, 2] * 320 / size
        np.testing.assert_allclose(shift, [2, 1], atol=0.4)
    assert sorted(path.name for path in out.iterdir()) == ["pair.npz", "pair.png"]


def test_a_figure_stretches_nothing():
    rng = np.random.default_rng(0)
    image, values = drawn.texture(1, (64, 64)), rng.random((4, 4))
    _, registration = register_crops(image, image)
    view = pairs.PairView(
        image, image, image, registration, "cosine", *[values] * 3, rng.random((2, 4, 4)), None
    )
    figure = draw_pair(view, title="half as wide as high", aspect=0.5)
    assert {axis.get_aspect() for axis in figure.axes if axis.images} == {2.0}


def test_a_checkpoint_that_knows_motion_shows_that():
    model = MicronBert(draw_weights(tiny.OURS, decoder=False))
    frame = drawn.texture(1, (64, 64))
    view = compare_pair(model, frame, np.roll(frame, 1, axis=0), faces=False)
    assert view.kind == "motion"
    assert view.motion_map.shape == (4, 4)
    assert view.motion_map.min() >= 0
    assert top_of(view.motion_map, "motion") == 1
    assert any(axis.get_ylabel() == LABELS["motion"] for axis in draw_pair(view).axes)
    timeline = measure_timeline(model, [(n, None, frame) for n in range(3)], fps=30, faces=False)
    assert timeline.kind == "motion"


def test_a_checkpoint_without_decoder_and_frames_of_no_size(weights):
    without = {name: part for name, part in weights.params.items() if name != "decoder"}
    bare = MicronBert(Weights(weights.config, without, {}, weights.center, {}))
    frame = drawn.texture(1, (200, 200))
    assert bare.reconstruct(frame[None, :32, :32], frame[None, :32, :32]) is None
    with pytest.raises(ValueError, match="a multiple of 32"):
        compare_pair(bare, frame, frame)


def test_an_overlay_shows_the_face_where_nothing_moved():
    face = drawn.texture(1, (64, 64))
    values = np.zeros((4, 4))
    values[0, 0] = 5
    shown = overlay(face, values, top=1.0)
    np.testing.assert_array_equal(shown[32:], face[32:])
    assert np.abs(shown[:8, :8].astype(int) - face[:8, :8]).mean() > 30


def test_the_old_name_of_map_warns(checkpoint, tmp_path, capsys):
    frames = [tmp_path / name for name in ("a.png", "b.png")]
    for place, path in enumerate(frames, 1):
        drawn.write(path, place)
    options = ["--crop", "whole", "--heat", "cosine"]
    assert visualize(checkpoint, tmp_path / "out", *frames, *options) == 0
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
    assert visualize(checkpoint, "out", *inputs) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("micron-jax: ")
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == before
