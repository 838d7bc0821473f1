import json

import cv2
import numpy as np
import pytest
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights
from helpers.refusals import refusal

from micron_jax import checkpoints
from micron_jax.benchmarks import learn_choice, learn_flow, learn_rivals
from micron_jax.cli import main
from micron_jax.faces import landmarks
from micron_jax.synthetic import expressions
from micron_jax.synthetic.dataset import make_dataset


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with two sets, of two people to judge on and one to choose on; a checkpoint."""
    base = tmp_path_factory.mktemp("learn")
    for n in range(3):
        drawn.write(base / ("others" if n == 2 else "faces") / f"{n}.png", n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
        for name in ("LEAD", "RISE", "FALL", "TAIL"):
            patch.setattr(expressions, name, (2, 3))
        kind = dict(clips=8, amplitudes=(0.5, 1, 2), pair_only=True)
        make_dataset(base / "faces", base / "test", split="test", seed=1, **kind)
        make_dataset(base / "others", base / "val", split="val", seed=2, **kind)
    checkpoints.save(draw_weights(tiny.PAPER), base / "checkpoint")
    checkpoints.save(draw_weights(tiny.PAPER, seed=1), base / "second")
    return base


@pytest.fixture
def few_flows(monkeypatch):
    names = ("farneback 15", "farneback 25", "dis ultrafast")
    monkeypatch.setattr(learn_flow, "FINDERS", {name: learn_flow.FINDERS[name] for name in names})
    monkeypatch.setattr(learn_rivals, "FLOWS", names)


def test_bench_learn(files, few_flows, tmp_path, capsys):
    out, sheet = tmp_path / "out.json", tmp_path / "sheet.png"
    words = ["--checkpoint", str(files / "checkpoint"), str(files / "second")]
    words += ["--data-dir", str(files / "test"), "--choose-dir", str(files / "val")]
    words += ["--seeds", "1", "--json", str(out), "--sheet", str(sheet)]
    assert main(["bench", "learn", *words]) == 0
    report = json.loads(out.read_text())
    assert set(report["readouts"]) == {
        *("ours", "symmetric", "symmetric_raw", "cosine", "cosine_raw", "release", "release_raw"),
        *("same_frame", "release_same_frame", "random", "location", "shuffled", "flow", "zero"),
        *("difference", "difference_raw", "farneback_median", "farneback_affine"),
        *("dis_median", "dis_affine"),
    }
    assert (report["people"], report["clips"], report["ours"]) == (2, 16, "symmetric")
    for name, of in report["readouts"].items():
        for amplitude in ("0.5", "1", "2"):
            assert {"auc", "stratified", "low", "high"} <= set(of[amplitude]), name
            assert 0 <= of[amplitude]["stratified"] <= 1
        assert 0 <= of["false_positives"] <= 1
    readouts = report["readouts"]
    assert readouts["ours"] == readouts["symmetric"]
    assert readouts["location"]["1"]["stratified"] == 0.5
    assert readouts["same_frame"]["1"]["stratified"] == 0.5
    assert readouts["flow"]["2"]["stratified"] > 0.9
    assert readouts["flow"]["2"]["auc"] > 0.9
    assert readouts["flow"]["false_positives"] < 0.1
    assert readouts["flow"]["epe"]["2"] < readouts["zero"]["epe"]["2"]
    assert readouts["flow"]["correlation"] > 0.8
    assert 0.3 < readouts["flow"]["area"]["2"]["ratio"] < 1.5
    assert readouts["zero"]["epe"]["0"] == 0
    assert "epe" not in readouts["ours"]  # these weights know no displacement
    assert report["kinds"] == {"picture": 16}
    assert report["chosen"]["flow"] == next(
        name for name in report["merits"] if "difference" not in name
    )
    assert abs(readouts["shuffled"]["2"]["stratified"] - 0.5) < 0.1
    printed = capsys.readouterr().out
    assert "2 people (test), 16 clips, of these motionless: 4" in printed
    assert f"flow ranks by {report['chosen']['flow']}" in printed
    image = cv2.imread(str(sheet))
    assert image.shape[1] > image.shape[0] / 2
    assert np.ptp(image) > 200


def test_without_others_the_defaults_serve(files, tmp_path):
    choice = learn_choice.choose([], [files / "test"], "test")
    assert choice.ranking == choice.error == learn_rivals.DEFAULTS
    assert choice.prior is None
    assert set(choice.finders) <= set(learn_flow.FINDERS)
    for name, setting in learn_rivals.DEFAULTS.items():
        assert setting.flow in learn_rivals.FLOWS
        assert name in ("flow", setting.kind)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "--seeds: 0: must be at least 1"),
        (["--json", "gone/out.json"], "--json: gone/out.json: name a file in a folder"),
        (["--data-dir", "gone"], "gone: cannot read truth.json"),
        (["--split", "val"], "no clip of the split 'val'"),
        (["--choose-dir", "gone"], "gone: cannot read truth.json"),
        (["--checkpoint", "gone"], "gone: no such file or folder"),
    ],
)
def test_bad_input_is_one_line(files, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    options = {"--checkpoint": str(files / "checkpoint"), "--data-dir": str(files / "test")}
    options |= dict([words])
    argv = ["bench", "learn", *(part for pair in options.items() for part in pair)]
    assert message in refusal(argv, capsys, begun=True)
