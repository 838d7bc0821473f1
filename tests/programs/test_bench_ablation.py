import json

import pytest
from helpers import drawn

from micron_jax import config as configs
from micron_jax.benchmarks import ablation
from micron_jax.benchmarks.ablation import rows_of
from micron_jax.cli import main
from micron_jax.errors import UserError
from micron_jax.faces import landmarks
from micron_jax.programs.bench_ablation import table
from micron_jax.synthetic import expressions
from micron_jax.synthetic.dataset import make_dataset
from micron_jax.training.config import parse


def test_shipped_rows_add_up():
    rows = rows_of(configs.load("ablation"))
    parsed = [parse(row.pretrain | {"data": {"data_dir": "x"}}) for row in rows]
    assert [p.views.swap_with for p in parsed] == ["gray"] + ["ref"] * 6
    assert [p.model.dma_gated for p in parsed] == [False, False] + [True] * 5
    assert [p.model.poi for p in parsed[2:4]] == ["none", "cosine"]
    weights = [p.objective.displacement_weight for p in parsed]
    assert weights == [0.0] * 5 + [1.0] * 2
    ours = parse(configs.load("pretrain_ours") | {"data": {"data_dir": "x"}})
    for field in ("displacement_width", "dma_tied", "poi", "width", "depth"):
        assert getattr(parsed[5].model, field) == getattr(ours.model, field), field
    assert [row.features for row in rows] == ["cosine"] * 5 + ["motion"] * 2
    assert parsed[6].model == parsed[5].model
    assert parsed[6].optimizer.learning_rate == 0
    assert len({row.folder for row in rows}) == len(rows)


@pytest.mark.parametrize("config", [{}, {"pretrain": {}, "finetune": {"classifier": {}}}])
def test_another_recipe_is_refused(config):
    with pytest.raises(UserError, match="not of an ablation"):
        rows_of(config)


def test_table():
    of = {px: {"stratified": 0.75} for px in ("0.5", "1")} | {"2": {"stratified": None}}
    row = {"name": "a", "uf1": 0.5, "intervals": {"uf1": [0.4, 0.625]}}
    row["readouts"] = {kind: of | {"false_positives": 0.1} for kind in ("motion", "cosine")}
    lines = table({"people": 2, "clips": 9, "steps": 3, "rows": [row]}, seeds=2)
    assert lines[-2:] == [
        "| a | motion | 0.750 | 0.750 | - | 10.0 % | 0.500 (0.400-0.625) |",
        "|  | cosine | 0.750 | 0.750 | - | 10.0 % |  |",
    ]


def test_a_signal_gives_the_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(ablation, "run", lambda *_, **__: ablation.Ablation({}, signal=15))
    words = ["--workdir", "w", "--corpus", "c", "--data-dir", "d", "--labeled-dir", "l"]
    assert main(["bench", "ablation", *words]) == 128 + 15
    assert capsys.readouterr() == ("", "stopped; the same command goes on\n")


@pytest.mark.slow
def test_rows_are_trained_read_out_and_saved(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    for name in ("LEAD", "RISE", "FALL", "TAIL"):
        monkeypatch.setattr(expressions, name, (2, 3))
    for n in range(5):
        drawn.write(tmp_path / ("few" if n < 2 else "many") / f"{n}.png", n)
    make_dataset(tmp_path / "few", tmp_path / "train", split="train", clips=2)
    make_dataset(
        tmp_path / "many", tmp_path / "test", split="test", clips=8, amplitudes=(0.5, 1, 2)
    )
    frames = ["--source", str(tmp_path / "train" / "CASME2-RAW"), "--crop", "whole"]
    assert main(["data", "build", "frames", *frames, "--data-dir", str(tmp_path / "corpus")]) == 0
    source = ["--source", str(tmp_path / "test"), "--data-dir", str(tmp_path / "labeled")]
    assert main(["data", "build", "casme2", *source]) == 0
    small = tmp_path / "small.py"
    small.write_text("""
from micron_jax import config as configs
import ml_collections


def get_config():
    config = configs.load("ablation")
    config["steps"] = 2
    config["pretrain"]["batch_size"] = 8
    config["pretrain"]["data"].update(delta_seconds=(1 / 30, 2 / 30))
    config["pretrain"]["model"].update(img_size=32, width=16, decoder_width=16, depth=1)
    config["pretrain"]["views"].update(swap_min_patches=1)
    known = {"views.pair_every": 8, "model.displacement_width": 8}
    config["rows"] = [config["rows"][0], ("ours", {k: v for _, row in config["rows"][:6]
                                                   for k, v in row.items()} | known)]
    config["finetune"]["tuning"].update(epochs=2)
    config["finetune"]["classifier"].update(cells=2)
    return ml_collections.ConfigDict(config)
""")
    words = ["--config", str(small), "--workdir", str(tmp_path / "rows"), "--seeds", "2"]
    words += ["--corpus", str(tmp_path / "corpus"), "--data-dir", str(tmp_path / "test")]
    words += ["--labeled-dir", str(tmp_path / "labeled"), "--json", str(tmp_path / "out.json")]
    assert main(["bench", "ablation", *words]) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    first, ours = report["rows"]
    assert set(first["readouts"]) == {"cosine"}
    assert set(ours["readouts"]) == {"motion", "cosine"}
    assert 0 <= ours["readouts"]["motion"]["1"]["stratified"] <= 1
    assert first["seeds"]["count"] == 2
    capsys.readouterr()
    assert main(["bench", "ablation", *words]) == 0  # nothing is trained again
    assert "motion" in capsys.readouterr().out
