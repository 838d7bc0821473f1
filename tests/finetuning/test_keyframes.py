import dataclasses
import json

import numpy as np
import pytest
from helpers.benchmarks import sample
from helpers.refusals import refusal
from helpers.vendor_trees import casme2_row, write_casme2

from micron_jax.cli import main
from micron_jax.datasets.casme2 import CASME2
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.errors import UserError
from micron_jax.finetuning.keyframes import Move, canonical, moves

SAMPLE = dataclasses.replace(
    sample("casme2", "sub01/EP01", "01", "happiness"), onset=10, apex=14, offset=20, fps=200.0
)
STORED = range(10, 21)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        (4, "4"),
        ((4, 1, 1), "1,4"),
        ("1, 2", "1,2"),
        ("±5", "5"),
        ("0.05s,20ms", "0.02s,0.05s"),
        (["0.5 s"], "0.5s"),
    ],
)
def test_sizes_have_one_text(value, text):
    assert canonical(value) == text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("few", "'few' is no size; give frames"),
        ("-3", "'-3' is no size"),
        (0, "0 moves nothing"),
        (0.02, r"0.02 frames are no whole number; seconds have an s \(0.02s\)"),
        ("2,0.02s", "frames beside seconds"),
    ],
)
def test_bad_sizes_are_refused(value, words):
    with pytest.raises(UserError, match=words):
        canonical(value)


def test_moves_go_both_ways():
    assert [move.name for move in moves("1,3")][:5] == [
        "onset-3", "onset-1", "onset+1", "onset+3", "apex-3",
    ]  # fmt: skip
    assert moves("0.02s")[-1] == Move("both", 0.02, True)
    assert moves("") == []


@pytest.mark.parametrize(
    ("keyframe", "error", "seconds", "place"),
    [
        ("apex", 3, False, (10, 17)),
        ("apex", 0.01, True, (10, 16)),  # 2 frames at 200 a second
        ("apex", 9, False, (10, 20)),  # the clip ends
        ("apex", -9, False, (10, 10)),  # an apex is not before the onset
        ("onset", 2, False, (12, 14)),
        ("onset", 9, False, (14, 14)),
        ("onset", -2, False, (10, 14)),  # the set begins at the onset
        ("both", 5, False, (15, 19)),
        ("both", -3, False, (10, 11)),
    ],
)
def test_a_moved_frame_stays_in_the_clip(keyframe, error, seconds, place):
    assert Move(keyframe, error, seconds).reach(SAMPLE, STORED) == place


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Clips whose frames brighten by 1 a frame: how far the apex is from the onset is the class."""
    root, folder = tmp_path_factory.mktemp("casme2"), tmp_path_factory.mktemp("sets")
    rows = []
    for subject in range(1, 5):
        for n in range(6):
            kind, onset = n % 3, 10 + subject
            apex = onset + (10, 40, 70)[kind]
            name = ("disgust", "happiness", "surprise")[kind]
            rows.append(casme2_row(f"{subject:02}", f"EP{n:02}", onset, apex, apex + 3, name))
    write_casme2(root, rows)
    build_clips(CASME2, root, folder / "clip", keep="clip")
    build_clips(CASME2, root, folder / "pair", keep="pair")
    return folder


def arguments(sets, workdir, *more, keep="clip"):
    settings = [
        f"data.data_dir={sets / keep}", "data.crop=whole", "data.registered=False", "data.size=16",
        "protocol=synthetic", "baseline=frame_difference", "seeds=1", "augment.copies=0",
        "tuning.epochs=60", "tuning.learning_rate=0.05", "classifier.cells=1", *more,
    ]  # fmt: skip
    argv = ["finetune", "--config", "finetune_loso", "--workdir", str(workdir)]
    return [*argv, *(f"--config.{setting}" for setting in settings)]


def test_errors_are_measured_on_the_folds_own_classifiers(sets, tmp_path, capsys):
    """An apex 30 frames too early makes the third class the second, the second the first."""
    workdir = tmp_path / "run"
    argv = arguments(sets, workdir, "keyframe_errors=30")
    assert main(argv) == 0
    record = json.loads((workdir / "keyframe_errors.json").read_text())
    assert (record["unit"], record["clips"], record["accuracy"]) == ("frames", 24, 1.0)
    errors = {(error["keyframe"], error["error"]): error for error in record["errors"]}
    assert set(errors) == {
        (name, sign * 30) for name in ("onset", "apex", "both") for sign in (-1, 1)
    }
    early = errors["apex", -30]  # 10 -> 0 frames (cut), 40 -> 10, 70 -> 40
    assert (early["clips_cut"], early["clips_same"]) == (8, 0)
    assert early["accuracy"] == pytest.approx(1 / 3)
    assert early["uf1"] == pytest.approx((2 * 8 / (2 * 8 + 8) + 0 + 0) / 3)
    assert early["difference"]["uf1"]["difference"] == pytest.approx(early["uf1"] - 1)
    late = errors["apex", 30]  # each clip ends 3 frames after its apex
    assert (late["clips_cut"], late["clips_same"]) == (24, 0)
    assert "uf1" not in late
    none = errors["onset", -30]
    assert (none["clips_cut"], none["clips_same"]) == (24, 24)
    assert "uf1" not in none
    text = (workdir / "report.md").read_text()
    lacking = "onset −30, apex +30, both −30, both +30"
    assert f"Every clip ends before, so that there is no figure: {lacking}." in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    row = next(row for row in rows if row[:2] == ["apex", "−30"])
    assert row[2] == f"{early['uf1']:.4f}"
    assert row[-2:] == ["8", "0"]
    page = (workdir / "report.html").read_text()
    assert "UF1 with onset and apex moved, in frames" in page
    assert (
        main(["evaluate", str(workdir), "--json", str(tmp_path / "x"), "--resamples", "100"]) == 0
    )
    assert json.loads((tmp_path / "x").read_text())["keyframe_errors"] == record

    before = (workdir / "predictions.csv").read_bytes()
    (workdir / "folds" / "seed0_fold001.npz").unlink()
    assert main(argv) == 0  # goes on, from the cache
    assert json.loads((workdir / "keyframe_errors.json").read_text()) == record
    assert (workdir / "predictions.csv").read_bytes() == before
    assert main(arguments(sets, tmp_path / "plain")) == 0
    assert (tmp_path / "plain" / "predictions.csv").read_bytes() == before
    with np.load(workdir / "folds" / "seed0_fold001.npz") as fold:
        assert {name for name in fold if name.startswith("moved_")} == {
            f"moved_{name}" for name in ("onset+30", "apex-30")
        }


def test_a_trained_backbone_is_tested_on_moved_pairs(sets, tmp_path):
    sizes = "img_size=16", "patch_size=8", "width=16", "depth=1", "heads=2", "decoder_width=16"
    more = [f"model.{size}" for size in (*sizes, "decoder_depth=1", "decoder_heads=2")]
    more += [
        "tuning.trainable=last:1",
        "keyframe_errors=0.05s",
        "tuning.epochs=1",
        "baseline=",
        "checkpoint=random",
    ]
    assert main(arguments(sets, tmp_path / "run", *more)) == 0
    record = json.loads((tmp_path / "run" / "keyframe_errors.json").read_text())
    assert record["unit"] == "seconds"
    assert {error["error"] for error in record["errors"]} == {-0.05, 0.05}


def test_a_set_of_pairs_is_refused(sets, tmp_path, capsys):
    argv = arguments(sets, tmp_path / "run", "keyframe_errors=2", keep="pair")
    assert "casme2 in" in (line := refusal(argv, capsys))
    assert "holds onset and apex alone; build it with all frames" in line
    assert not (tmp_path / "run").exists()
