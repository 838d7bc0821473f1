"""The Python of README and docs/ runs as it stands; that of a demo's run in `test_pretrained`."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import pages, portrait, tiny
from helpers.drawn_weights import draw_weights
from helpers.films import write_video

from micron_jax import checkpoints
from micron_jax.cli import main

EXAMPLES = [(page, code) for page, code in pages.blocks("python") if "runs/demo" not in code]


@pytest.fixture
def _pictures():
    """Two pictures and a film of one face, whose brows are not always where they were."""
    face = portrait.portrait(1)
    cv2.imwrite("onset.jpg", face[..., ::-1])
    raised = face.copy()
    raised[236:280] = face[240:284]
    cv2.imwrite("apex.jpg", raised[..., ::-1])
    write_video(Path("film.mp4"), [face, face, raised, raised, face, face], 20)


@pytest.fixture
def _exported():
    config = dataclasses.replace(tiny.PAPER, img_size=112)
    checkpoints.save(draw_weights(config, decoder=False), Path("ckpt"))
    assert main(["export", "ckpt", "features.jax", "--platforms", "cpu"]) == 0


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(number, tmp_path, monkeypatch, request, capsys):
    page, code = EXAMPLES[number]
    monkeypatch.chdir(tmp_path)
    pictures = "onset.jpg" in code
    request.getfixturevalue("_pictures" if pictures else "_exported")
    capsys.readouterr()
    values = {}
    exec(compile(code, page, "exec"), values)
    if pictures:
        assert capsys.readouterr().out.startswith("motion map: at most ")
        assert values["view"].motion_map.max() > 0.5
    if "tokens" in values:
        assert values["tokens"].ndim == 3
        assert np.isfinite(values["tokens"]).all()
