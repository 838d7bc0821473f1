"""`micron_jax.read_face`, `look` and `spot`, as people type them."""

import csv
import re

import cv2
import numpy as np
import pytest
from helpers import drawn, portrait, tiny
from helpers.drawn_weights import draw_weights
from helpers.films import write_video
from PIL import Image

import micron_jax
from micron_jax import checkpoints
from micron_jax.cli import main
from micron_jax.errors import UserError
from micron_jax.faces import landmarks, parts
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.confidence import Confidence

SIDE = 224  # px, of crops


@pytest.fixture
def _drawn(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)


@pytest.fixture(scope="module")
def model():
    return MicronBert(draw_weights(tiny.OURS))


def brows(height):
    """A drawn face whose brows have risen by `height` px, uint8 [224, 224, 3]."""
    face = cv2.resize(portrait.portrait(1), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    up = sum(np.exp(-(((x - at) / 22) ** 2) - ((y - 84) / 12) ** 2) for at in (88, 136))
    return cv2.remap(face, x, y + height * up, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def film():
    """Brows rise and fall within 0.4 s, the top at frame 12, under noise: [24, 224, 224, 3]."""
    shares = np.cos(np.clip((np.arange(24) - 12) / 12, -0.5, 0.5) * np.pi) ** 2
    moved = np.stack([brows(2 * np.float32(share)) for share in shares])
    noise = np.random.default_rng(1).normal(0, 1, moved.shape)
    return np.clip(moved + noise, 0, 255).astype(np.uint8)


@pytest.mark.usefixtures("_drawn")
def test_a_face_is_cut_out_of_a_picture_in_any_form(tmp_path):
    drawn.write(tmp_path / "a.png", 3)
    face = micron_jax.read_face(tmp_path / "a.png")
    assert face.shape == (SIDE, SIDE, 3)
    assert face.dtype == np.uint8
    for picture in (str(tmp_path / "a.png"), drawn.face(3), Image.fromarray(drawn.face(3))):
        np.testing.assert_array_equal(micron_jax.read_face(picture), face)
    assert micron_jax.read_face(drawn.face(3), size=96).shape == (96, 96, 3)
    whole = cv2.resize(drawn.face(3), (160, 160), interpolation=cv2.INTER_AREA)
    read = micron_jax.read_face(drawn.face(3), size=160, crop="whole")
    np.testing.assert_array_equal(read, whole)


@pytest.mark.usefixtures("_drawn")
def test_a_picture_without_a_face_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(UserError, match=r"wall\.png: no face; whole frames need none"):
        micron_jax.read_face(tmp_path / "wall.png")
    with pytest.raises(UserError, match="reference: no face"):
        micron_jax.look(np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((50, 50, 3), np.uint8))


@pytest.mark.usefixtures("_drawn", "quickly")
def test_look_is_visualize_of_two_pictures(model, tmp_path):
    paths = [tmp_path / "apex.png", tmp_path / "onset.png"]
    for seed, path in enumerate(paths):
        drawn.write(path, seed)
    view = micron_jax.look(*paths, model=model)
    weights = draw_weights(tiny.OURS)
    checkpoints.save(weights, tmp_path / "ckpt")
    words = ["visualize", "--checkpoint", str(tmp_path / "ckpt"), "--output", str(tmp_path / "out")]
    assert main([*words, "--input", *map(str, paths)]) == 0
    with np.load(tmp_path / "out" / "pair.npz") as arrays:
        np.testing.assert_array_equal(view.frame, arrays["frame"])
        np.testing.assert_array_equal(view.registered, arrays["registered"])
        np.testing.assert_allclose(view.motion_map, arrays["heat"], atol=1e-5)
    crops = [micron_jax.read_face(path) for path in paths]
    np.testing.assert_array_equal(micron_jax.look(*crops, model=model).motion_map, view.motion_map)
    cosine = micron_jax.look(*crops, model=model, kind="cosine")
    assert re.fullmatch(r"cosine map: at most \d\.\d\d at row \d, column \d of 4.*", repr(cosine))
    with pytest.raises(ValueError, match="kind='warm': choose one of motion, moved"):
        micron_jax.look(*crops, model=model, kind="warm")


def test_micron_tiny_is_the_default_and_shows_brows_that_rise(film):
    view = micron_jax.look(film[12], film[0])
    row, column = map(int, re.search(r"row (\d+), column (\d+)", repr(view)).groups())
    assert (row, column) == np.unravel_index(view.motion_map.argmax(), (28, 28))
    assert 8 <= row <= 12
    assert repr(view).startswith(f"motion map: at most {view.motion_map.max():.2f} px at row")
    assert f"{(view.motion_map > 0).sum()} of 784 patches above the noise floor" in repr(view)
    assert len(view.plot().axes) == 5  # two frames, the map, the flow; and its colors
    shown = view._repr_html_()
    assert shown.startswith("<p>motion map: at most")
    assert 'src="data:image/png;base64,iVBORw0KGgo' in shown


def test_spot_finds_brows_that_rise_and_fall(film, monkeypatch):
    view = micron_jax.spot(film, fps=30)
    (one,) = view.candidates
    assert one.frames[1] == pytest.approx(12, abs=1)
    assert one.frames[0] < 12 < one.frames[2]
    assert one.seconds == pytest.approx(np.array(one.frames) / 30)
    assert one.part in parts.PARTS
    assert 0.5 < one.px < 3
    assert one.probability > 0.5
    lines = repr(view).splitlines()
    assert lines[0] == "frames: 0.8 s, 1 candidate"
    assert (
        lines[1].split()
        == (
            f"1: {one.seconds[0]:.2f} s {one.seconds[1]:.2f} s {one.seconds[2]:.2f} s {one.part} "
            f"{one.px:.2f} px p = {one.probability:.2f}"
        ).split()
    )
    assert "<th>probability</th>" in view._repr_html_()
    assert f"<td>p = {one.probability:.2f}</td>" in view._repr_html_()
    assert view.plot().axes[0].get_xlim()[1] > 0.7
    least = np.nextafter(one.probability, 1)
    monkeypatch.setattr(Confidence, "threshold", lambda _, alarms: least if alarms < 1 else 0)
    none = micron_jax.spot([*film], fps=30, alarms_per_minute=0.5)
    assert none.candidates == []
    assert repr(none) == "frames: 0.8 s, 0 candidates"
    assert "<table>" not in none._repr_html_()


def test_spot_is_the_command(film, tmp_path):
    path = tmp_path / "film.mp4"
    write_video(path, film, 30)
    words = ["spot", "--input", str(path), "--output", str(tmp_path / "out"), "--crop", "whole"]
    assert main([*words, "--alarms-per-minute", "1e4"]) == 0
    with open(tmp_path / "out" / "detections.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    view = micron_jax.spot(path, crop="whole", alarms_per_minute=1e4)
    assert view.name == "film.mp4"
    assert len(view.candidates) == len(rows) > 0
    for one, row in zip(view.candidates, rows, strict=True):
        assert one.frames == tuple(int(row[name]) for name in ("onset", "apex", "offset"))
        assert (one.part, f"{one.px:.3f}") == (row["part"], row["px"])
        assert f"{one.probability:.4f}" == row["confidence"]
        assert f"{one.seconds[1]:.4f}" == row["apex_seconds"]


@pytest.mark.usefixtures("_drawn")
def test_what_is_no_film_is_named(model, tmp_path):
    drawn.write(tmp_path / "a.png", 3)
    face = drawn.face(3)
    with pytest.raises(UserError, match=r"none\.mp4: no such file"):
        micron_jax.spot(tmp_path / "none.mp4", model=model)
    with pytest.raises(UserError, match=r"a\.png: one frame only"):
        micron_jax.spot(tmp_path / "a.png", model=model)
    for name in ("x", "y"):
        for number in (1, 2):
            drawn.write(tmp_path / "films" / name / f"{number}.png", number)
    with pytest.raises(UserError, match="films: holds 2 films; name one"):
        micron_jax.spot(tmp_path / "films", model=model)
    with pytest.raises(ValueError, match="give frames per second, fps=30"):
        micron_jax.spot([face, face], model=model)
    with pytest.raises(ValueError, match="0 frames: a film has more"):
        micron_jax.spot([], model=model, fps=30)
    with pytest.raises(ValueError, match="frame 1 is 319 x 320 px, the first 320 x 320"):
        micron_jax.spot([face, face[1:]], model=model, fps=30)
    with pytest.raises(ValueError, match="frame 1 is float64"):
        micron_jax.spot([face, face / 255], model=model, fps=30)
    with pytest.raises(ValueError, match="no displacement branch; micron-tiny has one"):
        micron_jax.spot([face, face], model=MicronBert(draw_weights(tiny.PAPER)), fps=30)


def test_load_takes_micron_tiny_unless_it_is_told_otherwise():
    model = micron_jax.load()
    assert repr(model) == (
        "MicronBert(224 px, patch 8, 1.0 M parameters; "
        "maps: motion, moved, symmetric, cosine, release)"
    )
    motion = model.motion([brows(2)], [brows(0)])
    assert repr(motion) == (
        "Motion(displacement float32[1, 28, 28, 2], scale float32[1, 28, 28], "
        "head float32[1, 28, 28, 2], own float32[1, 28, 28, 2])"
    )
