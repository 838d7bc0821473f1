"""`micron-jax bench train`, `extract` and `input`: what is asked and told. Nothing is timed."""

import json
import os

import pytest
from helpers.refusals import refusal

from micron_jax.benchmarks.worker import Failed, Worker
from micron_jax.cli import main
from micron_jax.programs import bench_input, bench_speed

QUICK = ["--rounds", "1", "--seconds", "0.01"]


def side(rate, **more):
    return {
        "samples_per_second": rate, "rates": [rate], "spread": 0.0, "step_seconds": 1 / rate,
        "peak_bytes": 2**30, "flops_per_second": 1e9 * rate, "mfu": None, "compile_seconds": 1.0,
        "versions": {"jax": "1"}, "ratio": 2.0, "memory_ratio": 0.5,
    } | more  # fmt: skip


def test_ours_alone(run_config, tmp_path, capsys):
    out = tmp_path / "bench.json"
    words = ["extract", "--config", str(run_config), "--batch", "2", "--size", "32"]
    assert main(["bench", *words, *QUICK, "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["theirs"] is result["ratio"] is result["mfu"] is None
    assert result["dtype"] == "float32"
    assert result["ours"]["samples_per_second"] > 0
    assert result["ours"]["peak_bytes"] > 2**20
    rate = result["flops_per_sample"] * result["ours"]["samples_per_second"]
    assert result["ours"]["flops_per_second"] == pytest.approx(rate)
    assert "ours, float32" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.release
@pytest.mark.parametrize("kind", ["train", "extract"])
def test_beside_the_release(run_config, kind, tmp_path):
    if not os.environ.get("MICRON_RELEASE"):
        pytest.skip("NOT COMPARED WITH THE RELEASE: MICRON_RELEASE=CHECKOUT is missing")
    words = [kind, "--config", str(run_config), "--batch", "2", "--size", "32"]
    words += ["--config.model.projection_hidden=2048", "--config.model.projection_bottleneck=256"]
    words += ["--release", os.environ["MICRON_RELEASE"], "--against", "eager", "autocast"]
    assert main(["bench", *words, *QUICK, "--json", str(tmp_path / "out.json")]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["ratio"] == result["theirs"]["ratio"] > 0
    assert result["way"] == "eager"
    assert result["others"]["autocast"]["samples_per_second"] > 0


def test_input_alone(corpus, tmp_path, capsys):
    out = tmp_path / "bench.json"
    words = ["--data-dir", str(corpus), "--batch", "4", "--threads", "1", "--alone"]
    assert main(["bench", "input", *words, *QUICK, "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["size"] == 32
    assert result["decode_limit"] > result["ours"]["per_core"] > 0
    assert result["theirs"] is result["ratio"] is None
    assert "decoding alone" in capsys.readouterr().out


def test_tables():
    report = {
        "ours": side(2.0), "theirs": side(1.0, versions={"torch": "2"}), "ratio": 2.0,
        "memory_ratio": 0.5, "others": {"compile": {"failed": "no compiler"}}, "kind": "train",
        "way": "eager", "batch": 2, "size": 224, "dtype": "float32", "device": "a CPU",
        "rounds": 1, "date": "2026-01-01",
    }  # fmt: skip
    text = "\n".join(bench_speed.table(report))
    assert "ours is 2.00 times as fast as the release (eager), in 0.50 of its memory" in text
    assert "release, compile            does not work: no compiler" in text
    assert text.endswith("jax 1, torch 2")
    pairs = {"per_core": 500.0, "spread": 0.0, "samples_per_second": 1000.0}
    report |= {"ours": pairs, "theirs": pairs, "jpeg_bytes": 2e4, "decode_limit": 1700.0}
    assert "ours is 2.00 times as fast" in bench_input.table(report)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--batch", "0"], "--batch: 0: must be at least 1"),
        (["extract", "--size", "30"], "does not divide img_size=30"),
        (["train", "--release", "nowhere"], "nowhere: no models/mae.py in it"),
        (["train", "--release", "{release}", "--config", "pretrain_paper"], "has no such"),
        (["train", "--release", "{release}", "--config.model.dma_tied=True"], "dma_tied=True"),
        (["train", "--config.batchsize=3"], "config.batchsize: no such field"),
        (["input", "--size", "30"], "--size 30: must be a multiple of 8"),
        (["input", "--data-dir", "nowhere"], "no data set `frames` in nowhere"),
        (["loso", "--config.batch_size=3"], "--config.batch_size: no such option"),
    ],
)
def test_bad_input_is_one_line(words, message, tmp_path, capsys):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mae.py").touch()
    words = [word.replace("{release}", str(tmp_path)) for word in words]
    assert message in refusal(["bench", *words], capsys)


def test_the_last_words_of_a_dead_worker_are_shown():
    with pytest.raises(Failed, match=r"ended with 1 \(.*No module named"):
        Worker("it", "no_such_side", {})
