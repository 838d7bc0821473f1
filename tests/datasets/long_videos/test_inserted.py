"""The truth of films with inserted expressions."""

import json

import pytest

from micron_jax.datasets.long_videos.inserted import is_inserted, read_inserted
from micron_jax.datasets.long_videos.truth import Expression
from micron_jax.errors import UserError


def film(name, group, split, *expressions):
    times = [dict(zip(("onset", "apex", "offset"), one, strict=True)) for one in expressions]
    paths = {"film": f"films/{name}.mp4", "control": f"films/{name}_control.mp4"}
    about = {"name": name, "group": group, "split": split, "fps": 25.0, "frames": 100}
    return {**about, **paths, "expressions": times}


@pytest.fixture
def folder(tmp_path):
    films = [
        film("0001_01_film", "anna", "train", (10, 14, 20)),
        film("0002_01_film", "ben", "test", (30, 33, 40), (60, 66, 70)),
    ]
    (tmp_path / "truth.json").write_text(json.dumps({"films": films}))
    return tmp_path


def test_films_and_controls_are_videos(folder):
    assert is_inserted(folder)
    truth = read_inserted(folder)
    assert truth.counts() == {"videos": 4, "subjects": 2, "micro": 3, "macro": 0}
    assert truth.expressions[2] == Expression(2, 60, 66, 70, "micro")
    assert truth.videos[3].name == "films/0002_01_film_control.mp4"
    assert truth.videos[3].path == str(folder / "films/0002_01_film_control.mp4")
    assert truth.videos[0].seconds == 4.0
    test = read_inserted(folder / "truth.json", "test")
    assert [video.subject for video in test.videos] == ["ben", "ben"]
    assert test.expressions[0].video == 0


def test_a_truth_that_is_none(folder):
    with pytest.raises(UserError, match="no film of split val with an expression"):
        read_inserted(folder, "val")
    (folder / "truth.json").write_text('{"films": [{"film": 1}]}')
    with pytest.raises(UserError, match="is no truth of data synth with films"):
        read_inserted(folder)
