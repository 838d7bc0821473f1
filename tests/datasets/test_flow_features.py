"""Flow of a built set: numbers and pictures, and the way back into fine-tuning."""

import csv
import functools

import cv2
import numpy as np
import pytest
from helpers.refusals import refusal
from helpers.vendor_trees import casme2_row, write_casme2

from micron_jax.cli import main
from micron_jax.datasets import flow_features
from micron_jax.datasets.casme2 import CASME2
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.datasets.feature_file import read
from micron_jax.finetuning.given_features import join_features


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root, data_dir = tmp_path_factory.mktemp("casme2"), tmp_path_factory.mktemp("sets")
    emotions = ("disgust", "happiness", "surprise")
    rows = [casme2_row(f"{s:02}", f"EP{s:02}", 10, 12, 14, emotions[s]) for s in range(3)]
    write_casme2(root, rows)
    for keep in ("clip", "pair"):
        build_clips(CASME2, root, data_dir / keep, keep=keep)
    return data_dir


def command(data_dir, output, *more):
    fixed = ["--set", "casme2", "--data-dir", str(data_dir), "--output", str(output)]
    return ["data", "flow", *fixed, "--crop", "whole", "--method", "dis", *more]


def test_numbers_go_back_into_fine_tuning(data_dir, tmp_path, monkeypatch):
    field = np.zeros((224, 224, 2), np.float32)
    field[..., 0] = np.arange(224) / 100  # stretched by 0.01
    field[..., 1] = 2
    calls = []
    monkeypatch.setitem(flow_features.METHODS, "dis", lambda *pair: calls.append(1) or field)
    output = tmp_path / "flow.npz"
    assert main(command(data_dir / "clip", output, "--phases", "both")) == 0
    assert len(calls) == 6
    with np.load(output) as file:
        x = file["x"]
        assert x.shape == (3, 28, 28, 6)
        assert file["label"].tolist() == ["disgust", "happiness", "surprise"]
    np.testing.assert_allclose(x[0, 5, :, 0], (np.arange(28) * 8 + 3.5) / 100, rtol=1e-4)
    np.testing.assert_allclose(x[..., 1], 2)
    np.testing.assert_allclose(x[..., 2], 0.01, rtol=1e-3)
    np.testing.assert_array_equal(x[..., 3:], x[..., :3])
    assert not list(tmp_path.glob(".*"))
    noise = np.random.default_rng(0).normal(size=x.shape)
    with np.load(output) as file:
        np.savez(output, **{name: file[name] for name in file if name != "x"}, x=x + noise)
    given = join_features(read(output), "casme2_3", "")
    assert [label for _, label in given.labeled] == [0, 1, 2]


def test_flow_of_a_synthetic_set_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(flow_features.METHODS, "dis", lambda *_: np.ones((224, 224, 2), np.float32))
    rows = [casme2_row(f"{s:02}", f"EP{s:02}", 10, 12, 14, "happiness") for s in range(2)]
    write_casme2(tmp_path / "casme2", rows)
    (tmp_path / "casme2/truth.json").write_text("{}")  # as `data synth` leaves it there
    build_clips(CASME2, tmp_path / "casme2", tmp_path / "sets")
    assert main(command(tmp_path / "sets", tmp_path / "flow.npz")) == 0
    with np.load(tmp_path / "flow.npz") as file:
        assert file["set"].tolist() == ["casme2 (synthetic)"] * 2
        arrays = {name: file[name] for name in file}
    np.savez(
        tmp_path / "two.npz", **arrays | {"x": np.arange(2)[:, None] + arrays["x"].ravel()[:4]}
    )
    for data_dir in ("", tmp_path / "sets"):
        given = join_features(read(tmp_path / "two.npz"), "synthetic", data_dir)
        assert given.opened.synthetic == ("casme2",)
        assert [sample.clip for sample, _ in given.labeled] == ["sub00/EP00", "sub01/EP01"]


def test_pictures(data_dir, tmp_path):
    output = tmp_path / "pictures"
    assert main(command(data_dir / "pair", output)) == 0
    with (output / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1]["file"] == "casme2/sub01_EP01.png"
    assert (rows[1]["subject"], rows[1]["label"]) == ("01", "happiness")
    for row in rows:
        picture = cv2.imread(str(output / "onset_apex" / row["file"]))
        assert picture.shape == (28, 28, 3)
    maps = np.dstack([np.linspace(-3, 1, 28) * np.ones((28, 1)), np.ones((28, 28)), np.eye(28)])
    picture = flow_features.stretched(maps)
    assert picture[0, [0, -1], 0].tolist() == [0, 255]
    assert not picture[..., 1].any()  # a channel without differences
    assert picture[3, 3, 2] == 255


def test_a_run_that_was_stopped_goes_on(data_dir, tmp_path, monkeypatch):
    original, count = flow_features._maps, []

    def maps(sample, *rest, stop):
        count.append(sample.clip)
        if len(count) == stop:
            raise KeyboardInterrupt
        return original(sample, *rest)

    output = tmp_path / "flow.npz"
    config = flow_features.FlowConfig("dis", crop="whole")
    monkeypatch.setattr(flow_features, "_maps", functools.partial(maps, stop=3))
    with pytest.raises(KeyboardInterrupt):
        flow_features.write_flow(data_dir / "pair", "casme2", output, config)
    assert not output.exists()
    monkeypatch.setattr(flow_features, "_maps", functools.partial(maps, stop=0))
    flow_features.write_flow(data_dir / "pair", "casme2", output, config)
    assert len(count) == 4
    assert output.exists()


def test_refusals(data_dir, tmp_path, capsys):
    both = command(data_dir / "pair", tmp_path / "x.npz", "--phases", "both")
    assert "holds onset and apex alone; for apex to offset build it with" in refusal(both, capsys)
    (tmp_path / "y").mkdir()
    assert "exists; remove it" in refusal(command(data_dir / "pair", tmp_path / "y"), capsys)
    assert "no data set `casme2`" in refusal(command(tmp_path, tmp_path / "z"), capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["y"]
