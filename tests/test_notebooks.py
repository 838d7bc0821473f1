"""The notebooks of docs/ run as they stand, on small data: only their parameters are others."""

import json
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import drawn, pages, portrait, tiny
from helpers.drawn_weights import draw_weights
from helpers.films import write_video

from micron_jax import checkpoints
from micron_jax.cli import main
from micron_jax.faces import landmarks
from micron_jax.synthetic import expressions

FOLDER = pages.ROOT / "docs" / "notebooks"


def run(name, parameters):
    """Runs all cells; returns their variables. `!micron-jax …` runs here, not in a shell."""
    cells = json.loads((FOLDER / name).read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    (first,) = (cell for cell in code if cell["metadata"].get("tags") == ["parameters"])
    assert code[0] is first
    values = {}
    exec("".join(first["source"]), values)
    assert parameters.keys() <= values.keys()
    values |= parameters
    for cell in code[1:]:
        text = "".join(cell["source"])
        if text.startswith("!micron-jax "):
            command = text.replace("\\\n", " ").format(**values)
            assert main(shlex.split(command)[1:]) == 0
        else:
            exec(compile(text, name, "exec"), values)
    return values


def test_every_notebook_is_run_and_named_in_the_docs():
    names = {path.name for path in FOLDER.glob("*.ipynb")}
    assert names == {"look_and_spot.ipynb", "casme2_to_a_table.ipynb", "pth_to_features.ipynb"}
    assert all(f"(notebooks/{name})" in pages.PAGES["python.md"] for name in names)


@pytest.mark.slow
def test_look_and_spot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    face = portrait.portrait(1)
    raised = face.copy()
    raised[236:280] = face[240:284]
    for name, image in (("a.png", raised), ("o.png", face)):
        cv2.imwrite(name, image[..., ::-1])
    write_video(Path("f.mp4"), [face] * 4 + [raised] * 2 + [face] * 4, 20)
    values = run("look_and_spot.ipynb", {"APEX": "a.png", "ONSET": "o.png", "FILM": "f.mp4"})
    assert values["face"].shape == (224, 224, 3)
    assert values["view"].motion_map.max() > 0.5
    assert "<img" in values["film"]._repr_html_()


@pytest.mark.slow
def test_casme2_to_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, frames in (("LEAD", (1, 2)), ("RISE", (2, 3)), ("FALL", (2, 3)), ("TAIL", (1, 2))):
        monkeypatch.setattr(expressions, name, frames)
    Path("faces").mkdir()
    for seed in range(3):
        cv2.imwrite(f"faces/{seed}.png", portrait.portrait(seed)[..., ::-1])
    synth = ["data", "synth", "--faces", "faces", "--output", "synthetic"]
    assert main(synth) == 0
    settings = "--config.seeds=1 --config.augment.copies=1 --config.data.crop=whole"
    parameters = {"SOURCE": "synthetic", "PROTOCOL": "synthetic", "SETTINGS": settings}
    result = run("casme2_to_a_table.ipynb", parameters)["result"]
    assert 0 <= result["uf1"] <= 1
    assert result["subjects"] == 3
    assert Path("report/report.html").exists()


@pytest.mark.slow
def test_pth_to_features(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    checkpoints.save(draw_weights(tiny.RELEASE), Path("r.pth"))
    for seed in range(3):
        drawn.write(Path(f"photos/{seed}.png"), seed)
    values = run("pth_to_features.ipynb", {"CHECKPOINT": "r.pth"})
    assert values["tokens"].shape == (3, 16, 32)
    with np.load("command.npz") as command:
        np.testing.assert_allclose(command["tokens"], values["tokens"], rtol=1e-4, atol=1e-4)
