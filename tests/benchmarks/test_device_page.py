"""The report on a device, from results as its parts write them."""

import json

import cv2

from micron_jax.benchmarks.device_page import NUMBERS, PAGE, PICTURE, write

FACTS = {
    "platform": "gpu", "device": "NVIDIA H100", "count": 1, "memory": 80 * 2**30, "driver": "x",
    "python": "3.12", "versions": {"jax": "0.11"}, "date": "2026-01-01", "rehearsal": False,
}  # fmt: skip


def part(result, state="done", reason=None):
    return {"title": "title", "state": state, "seconds": 3.0, "reason": reason, "result": result}


def side(rate, **more):
    figures = {"samples_per_second": rate, "mfu": 0.5, "peak_bytes": 2**30, "compile_seconds": 9.0}
    return figures | more


def row(batch, rate):
    return {"batch": batch, "samples_per_second": rate, "mfu": 0.451, "peak_bytes": 2**31}


def test_a_whole_report(tmp_path):
    checks = [
        {"name": "cls", "error": 5e-6, "bound": 1e-5, "ok": True},
        {"name": "pred", "error": 1e-3, "bound": 1e-4, "ok": False},
    ]
    full = {"batch": 256, "failed": "there is not enough memory | none"}
    results = {
        "parity_tiny": part({"ok": False, "checks": checks}, "failed", "the last line"),
        "train_autocast": part(
            {
                "ours": side(900.0), "theirs": side(600.0, ratio=1.5), "way": "autocast",
                "others": {"eager": {"failed": "it broke"}}, "dtype": "bfloat16", "batch": 64,
            }
        ),
        "sweep_train_xla": part({"rows": [row(64, 900.0), row(128, 1000.0), full]}),
        "sweep_train_cudnn": part({"rows": [full]}),
        "sweep_extract_xla": part(None, "out of time", "it printed nothing"),
        "input": part({"ours": {"samples_per_second": 5000.0}}),
        "folds": part({"ratio": 5.2, "identical": True}),
        "pretrain": part(
            {
                "samples_per_second": 880.0, "batch": 256, "steps": 200, "mfu": 0.44,
                "data_share": 0.012, "first_loss": 2.0, "last_loss": 0.5,
            }
        ),
    }  # fmt: skip
    write(tmp_path, results, FACTS)
    page = (tmp_path / PAGE).read_text()
    for line in (
        "1 of 2 checks within their bounds; nearest to its bound pred, 1.0e-03 of 1e-04",
        "| release, autocast | 600.0 | 50.0% | 1.00 GiB | 9.0 s | 1.50 x |",
        "| release, eager | does not work |  |  |  | it broke |",
        "| 128 | 1,000.0, MFU 45.1%, 2.0 GiB |",
        "- cudnn, batch 256: there is not enough memory | none",
        "5,000 pairs/s, 5.0 times what the fastest train step takes",
        "5.2 times as fast; the same predictions",
        "880 pairs/s at batch 256, 200 steps, MFU 44.0%; 1.2% of the time it waits for data",
        "| title | out of time | 3 s | it printed nothing |",
    ):
        assert line in page
    assert "REHEARSAL" not in page
    assert json.loads((tmp_path / NUMBERS).read_text())["parts"] == results
    assert cv2.imread(str(tmp_path / PICTURE)) is not None


def test_a_report_before_its_first_result(tmp_path):
    write(tmp_path, {"input": part(None, "not begun", "no time is left")}, FACTS)
    assert "| title | not begun | 3 s | no time is left |" in (tmp_path / PAGE).read_text()
    assert not (tmp_path / PICTURE).exists()
