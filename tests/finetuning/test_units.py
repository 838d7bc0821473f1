import csv
import json

import numpy as np
import pytest
from helpers.refusals import refusal
from helpers.vendor_trees import casme2_row, write_casme2

from micron_jax.cli import main
from micron_jax.datasets.casme2 import CASME2
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.finetuning.losses import unit_loss, unit_weights


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Four subjects; a clip is brighter by 20 or more where it shows AU4, by 60 with AU12."""
    root, folder = tmp_path_factory.mktemp("casme2"), tmp_path_factory.mktemp("sets")
    rows = []
    for subject in range(1, 5):
        onset = 10 + subject
        for n, (step, cell) in enumerate(
            [(2, "7"), (20, "4+7"), (60, "L4+12"), (2, "R7"), (22, "4"), (64, "4+12+R7")]
        ):
            apex = onset + step
            rows.append(casme2_row(subject, f"EP{n:02}", onset, apex, apex + 1, "disgust", cell))
        rows.append(casme2_row(subject, "EP09", onset, onset + 9, onset + 10, "surprise", "?"))
    rows.append(casme2_row(1, "EP11", 10, 20, 30, "fear", "2"))
    write_casme2(root, rows)
    build_clips(CASME2, root, folder, keep="pair")
    return folder


def arguments(sets, workdir, *more):
    settings = [
        f"data.data_dir={sets}", "data.crop=whole", "data.registered=False", "data.size=16",
        "protocol=casme2_5", "baseline=frame_difference", "seeds=1", "target=units",
        "classifier.hidden=8", "classifier.dropout=0.0", "tuning.weight_decay=0.0",
        "units_at_least=4", "tuning.epochs=100", "tuning.learning_rate=0.05", "classifier.cells=1",
    ]  # fmt: skip
    argv = ["finetune", "--config", "finetune_loso", "--workdir", str(workdir)]
    return [*argv, *(f"--config.{setting}" for setting in (*settings, *more))]


def test_units_are_learned_each_by_itself(sets, tmp_path, capsys):
    workdir, out = tmp_path / "run", tmp_path / "out.json"
    assert main(arguments(sets, workdir)) == 0
    printed = capsys.readouterr().out
    assert "casme2: 4 clips do not tell their action units: sub01/EP09 (?), " in printed
    assert "left out, shown by fewer than 4 clips (config.units_at_least): AU2 (1)" in printed
    summary = json.loads((workdir / "units.json").read_text())
    units = summary["per_unit"]
    assert list(units) == ["AU4", "AU7", "AU12"]
    assert [unit["samples"] for unit in units.values()] == [16, 16, 8]
    assert (summary["samples"], summary["subjects"]) == (25, 4)
    assert units["AU12"]["f1"] == 1.0
    assert units["AU4"]["f1"] > 0.9
    mean = np.mean([unit["f1"] for unit in units.values()])
    assert summary["macro_f1"] == pytest.approx(mean)
    with (workdir / "units.csv").open(newline="") as file:
        rows = {(row["subject"], row["clip"].split("/")[-1]): row for row in csv.DictReader(file)}
    assert [rows["02", "EP02"][name] for name in units] == ["1", "0", "1"]
    assert rows["02", "EP02"]["fold"] == "casme2/02"
    for name in ("report.md", "report.html"):
        text = (workdir / name).read_text()
        assert "AU12" in text
        assert "AU2 (1)" in text
        assert "4 clips do not tell their action units" in text
    assert main(["evaluate", str(workdir), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["per_unit"] == units
    before = (workdir / "units.csv").read_bytes()
    (workdir / "folds" / "seed0_fold002.npz").unlink()
    assert main(arguments(sets, workdir)) == 0
    assert (workdir / "units.csv").read_bytes() == before


def test_a_unit_of_one_subject_cannot_be_tested_on_others(sets, tmp_path, capsys):
    assert main(arguments(sets, tmp_path / "run", "units_at_least=2", "tuning.epochs=1")) == 0
    assert "AU2 (1)" in capsys.readouterr().out
    line = refusal(arguments(sets, tmp_path / "more", "units_at_least=20"), capsys)
    assert "config.units_at_least=20: no action unit is shown by so many clips" in line
    line = refusal(arguments(sets, tmp_path / "more", "report_leaky=True"), capsys)
    assert "config.report_leaky: config.target='units' has no such form" in line
    assert not (tmp_path / "more").exists()
    line = refusal(["evaluate", tmp_path / "run", "--protocol", "casme2_5"], capsys)
    assert "has action units: give it alone, without --protocol" in line


def test_both_kinds_of_clips_weigh_the_same():
    targets = np.array([[1, 0]] * 2 + [[0, 1]] * 6 + [[0, 0]] * 2, np.float32)
    weights = unit_weights(targets, "balanced")
    np.testing.assert_allclose(weights, [10 / 4, 10 / 12])
    ones = unit_loss(np.zeros((10, 2), np.float32), targets, weights) / np.log(2)
    assert float(ones.mean()) == pytest.approx(1)
    first = np.array([[2.5, 10 / 16], [10 / 16, 10 / 12]])  # present, absent by unit
    assert float(ones[0]) == pytest.approx((first[0, 0] + 10 / 8) / 2)
    np.testing.assert_allclose(unit_weights(targets, "none"), [1, 1])
    plain = unit_loss(np.full((10, 2), 1.0, np.float32), targets, np.ones(2, np.float32))
    p = 1 / (1 + np.exp(-1))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(1)
    np.testing.assert_allclose(plain, expected, rtol=1e-5)
