"""`micron-jax bench gpu`: a rehearsal on the CPU, at tiny sizes."""

import json
import os

import pytest
from helpers.refusals import refusal

from micron_jax.cli import main


def rehearse(folder, *words):
    status = main(["bench", "gpu", "--output", str(folder), "--rehearse", *words])
    return status, json.loads((folder / "report.json").read_text())


def test_a_part_of_a_rehearsal(tmp_path, capsys):
    name = "sweep_extract_xla"
    status, report = rehearse(tmp_path / "out", "--only", name)
    assert status == 0
    assert report["facts"]["platform"] == "cpu"
    assert {n: part["state"] for n, part in report["parts"].items()} == {name: "done"}
    rows = report["parts"][name]["result"]["rows"]
    assert [row["batch"] for row in rows] == [1, 2]
    assert all(row["samples_per_second"] > 0 for row in rows)
    page = (tmp_path / "out" / "report.md").read_text()
    assert "A REHEARSAL" in page
    assert "## Batches: features, frames/s" in page
    assert (tmp_path / "out" / "throughput.png").stat().st_size > 1000
    assert "features, ours at growing batches, xla: done" in capsys.readouterr().out


@pytest.mark.slow
def test_a_whole_rehearsal(tmp_path, recording_path):
    words = ["--minutes", "60", "--recording", str(recording_path)]
    release = os.environ.get("MICRON_RELEASE")
    status, report = rehearse(
        tmp_path / "out", *words, *(["--release", release] if release else [])
    )
    assert status == 0
    states = {name: part["state"] for name, part in report["parts"].items()}
    # This machine's XLA does not know the flags of a GPU's.
    flags = {"sweep_train_no_triton_gemm", "sweep_train_latency_hiding"}
    assert {name for name, state in states.items() if state != "done"} <= flags
    assert report["parts"]["parity_release_tiny"]["result"]["ok"]
    assert report["parts"]["folds"]["result"]["identical"]
    run = report["parts"]["pretrain"]["result"]
    assert run["steps"] >= 5
    assert run["samples_per_second"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "{tmp}"], "exists; remove it, or name another folder"),
        (["--output", "{tmp}/x", "--release", "nowhere"], "nowhere: no such file or folder"),
        (["--output", "{tmp}/x", "--recording", "nowhere"], "nowhere: no such file or folder"),
        (["--output", "{tmp}/x", "--only", "foldz"], "--only foldz: no such part; choose from"),
        (["--output", "{tmp}/x", "--minutes", "0"], "--minutes"),
        ([], "--output"),
    ],
)
def test_bad_input_is_one_line(words, message, tmp_path, capsys):
    (tmp_path / "file").touch()
    words = [word.replace("{tmp}", str(tmp_path)) for word in words]
    assert message in refusal(["bench", "gpu", *words], capsys)
    assert not (tmp_path / "x").exists()
