import json
import os

import jax
import pytest
from helpers.refusals import refusal

from micron_jax.cli import main


def test_bench_loso(tmp_path, monkeypatch, capsys):
    """On one device of several threads; see tests/finetuning/test_fold_training.py for several."""
    one = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda *_: one)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    out = tmp_path / "bench.json"
    words = ["--samples", "24", "--subjects", "4", "--classes", "3", "--width", "8"]
    words += ["--epochs", "2", "--repeats", "1", "--json", str(out)]
    assert main(["bench", "loso", *words]) == 0
    report = json.loads(out.read_text())
    assert report["identical"] is True
    assert report["error"] < 1e-5
    assert report["ratio"] > 0
    assert report["ours"]["samples_per_second"] > 0
    assert report["theirs"]["seconds"] > 0
    assert "times as fast; the same predictions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "(train | extract | input | loso | learn | spot | ablation | gpu)"),
        (["loso", "--subjects", "1"], "--subjects: 1: must be at least 2"),
        (["loso", "--samples", "3"], "--samples 3: must be at least 26"),
    ],
)
def test_bad_numbers_are_one_line(words, message, capsys):
    assert message in refusal(["bench", *words], capsys)
