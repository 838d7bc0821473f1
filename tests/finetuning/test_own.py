"""Fine-tuning on a set of one's own, from its table to the report."""

import csv
import json

import pytest
from helpers.vendor_trees import write_frames

from micron_jax.cli import main
from micron_jax.datasets.own.build import build_own

LABELS = {"calm": 4, "tense": 40, "tears": 80}  # how much brighter the apex is


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Six people, three labels; a frame's number is its level."""
    root = tmp_path_factory.mktemp("own")
    lines = ["subject,clip,path,onset,apex,offset,label,split"]
    for subject in range(1, 7):
        write_frames(root / f"p{subject}", range(10, 100), "{}.png")
        part = "train" if subject < 5 else "test"
        for n, (label, step) in enumerate(LABELS.items()):
            onset = 10 + subject
            times = f"{onset},{onset + step},{onset + step + 1}"
            lines.append(f"{subject},c{n},p{subject},{times},{label},{part}")
    (root / "clips.csv").write_text("\n".join(lines))
    build_own(root / "clips.csv", root / "sets")
    return root / "sets"


def finetune(sets, workdir, *more):
    settings = [
        f"data.data_dir={sets}", "data.crop=whole", "data.registered=False", "data.size=16",
        "protocol=own", "baseline=frame_difference", "seeds=1", "classifier.cells=1",
        "classifier.dropout=0.0", "tuning.epochs=150", "tuning.learning_rate=0.1", *more,
    ]  # fmt: skip
    argv = ["finetune", "--config", "finetune_loso", "--workdir", str(workdir)]
    assert main([*argv, *(f"--config.{setting}" for setting in settings)]) == 0
    with (workdir / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_person_is_left_out_once(sets, tmp_path, capsys):
    rows = finetune(sets, tmp_path / "run")
    assert {row["fold"] for row in rows} == {f"own/{n}" for n in range(1, 7)}
    assert len(rows) == 18
    assert all(row["prediction"] == row["label"] for row in rows)
    assert "UF1 1.000" in capsys.readouterr().out
    text = (tmp_path / "run" / "report.md").read_text()
    assert "Protocol own: clips and subjects as its table has them." in text


def test_a_fixed_split_is_compared_with_its_own_test_clips(sets, tmp_path, capsys):
    """Four people to learn from, two to test on: six clips, not eighteen."""
    rows = finetune(sets, tmp_path / "run", "split.kind=fixed")
    assert {(row["subject"], row["fold"]) for row in rows} == {
        ("5", "train->test"),
        ("6", "train->test"),
    }
    for name in ("report.md", "report.html"):
        text = (tmp_path / "run" / name).read_text()
        assert "the 6 test clips of 18" in text
        assert "DIFFERS" not in text
        assert "Differs" not in text
    out = tmp_path / "out.json"
    assert main(["evaluate", str(tmp_path / "run"), "--json", str(out)]) == 0
    protocol = json.loads(out.read_text())["protocol"]
    assert protocol["differences"] == []
    assert protocol["expected"]["own"]["subjects"] == 2
    assert sum(protocol["expected"]["own"]["samples"].values()) == 6
    lines = (tmp_path / "run" / "predictions.csv").read_text().splitlines()
    (tmp_path / "run" / "predictions.csv").write_text("\n".join(lines[:-1]))
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert "Protocol own DIFFERS" in capsys.readouterr().out  # a lost clip is told


def test_shuffled_labels_do_not_differ(sets, tmp_path):
    finetune(sets, tmp_path / "run", "shuffle_labels=True", "tuning.epochs=1")
    text = (tmp_path / "run" / "report.md").read_text()
    assert "Protocol own, the labels shuffled." in text
