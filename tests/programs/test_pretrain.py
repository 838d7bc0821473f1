"""Pretraining as a user runs it: a whole run, bad input."""

import json
import shutil

import numpy as np
import pytest

import micron_jax
from micron_jax.cli import main
from micron_jax.training.telemetry import read_metrics


def test_a_run_writes_its_files(run):
    assert {path.name for path in run.iterdir()} == {
        "checkpoints", "config.json", "curves.png", "metrics.jsonl", "pictures", "tensorboard",
    }  # fmt: skip
    rows = read_metrics(run)
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert {path.name for path in (run / "pictures").iterdir()} == {
        "step_00000008.png",
        "step_00000010.png",
    }
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"4", "8", "10"}
    assert any(path.name.startswith("events") for path in (run / "tensorboard").iterdir())


def test_pictures_have_their_panels(run):
    import cv2

    sheet = cv2.imread(str(run / "pictures" / "step_00000010.png"))
    assert sheet.shape[1] > sheet.shape[0] > 400
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 500


def test_a_finished_run_is_left_alone(run, run_config, capsys):
    before = (run / "metrics.jsonl").read_text()
    assert main(["pretrain", "--config", str(run_config), "--workdir", str(run)]) == 0
    assert "done: 10 steps" in capsys.readouterr().out
    assert (run / "metrics.jsonl").read_text() == before


def complain(capsys, argv):
    assert main(argv) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("micron-jax: ")
    return line


def test_nan_stops_the_run_and_keeps_the_last_good_checkpoint(run_config, tmp_path, capsys):
    workdir = tmp_path / "run"
    argv = ["pretrain", "--config", str(run_config), "--workdir", str(workdir)]
    argv += ["--config.optimizer.learning_rate=1e25", "--config.checkpoint_every=1"]
    line = complain(capsys, argv)
    assert "step 2: " in line
    assert " is nan" in line or " is inf" in line
    assert "the last good checkpoint (1) is kept" in line
    assert {path.name for path in (workdir / "checkpoints").iterdir()} == {"1"}
    assert [row["step"] for row in read_metrics(workdir)] == [1]


def test_a_workdir_of_another_config_is_refused(run, run_config, capsys):
    before = sorted(run.rglob("*"))
    argv = ["pretrain", "--config", str(run_config), "--workdir", str(run), "--config.seed=5"]
    line = complain(capsys, argv)
    assert "was started with another config (seed=0, now 5); use a new workdir" in line
    assert sorted(run.rglob("*")) == before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("--config.btach_size=4", "config.btach_size: no such field; did you mean batch_size?"),
        ("--config.data.data_dir=nowhere", "no data set `frames` in nowhere; build it: "),
        ("--config.data.delta_seconds=(0.85,1.0)", "no clip holds a pair: clip0"),
        ("--config.data.delta_seconds=(0.2,0.1)", "config.data.delta_seconds=(0.2, 0.1): must be"),
        ("--config.data.delta_min=25", "δ is in seconds now; set config.data.delta_seconds=(A, B)"),
        ("--config.batch_size=1000", "batch_size=1000"),
        ("--config.batch_size=12", "config.batch_size=12: does not divide over 8 devices"),
        ("--config.mesh.data=3", "mesh.data=3"),
        ("--config.epochs=0", "config.epochs=0.0: must be more than 0"),
        ("--config.objective.agreement=mse", "config.model.projection_dim=8"),
        ("--config.views.global_crops=1", "config.views.global_crops=1"),
        ("--config.views.local_size=20", "config.views.local_size=20"),
        ("--config.model.size=huge", "model.size='huge': choose one of tiny, small"),
        ("--config.model.dtype=float8", "model.dtype='float8': choose one of float32, bfloat16"),
        ("--config.model.attention=cudnn", "needs config.model.dtype='bfloat16'"),
        ("--confg.seed=1", "--confg.seed: no such option; did you mean --config?"),
    ],
)
def test_bad_settings_are_one_line_and_leave_nothing(
    run_config, tmp_path, capsys, setting, message
):
    workdir = tmp_path / "run"
    argv = ["pretrain", "--config", str(run_config), "--workdir", str(workdir), setting]
    assert message in complain(capsys, argv)
    assert not workdir.exists()


def test_a_run_of_the_last_version_is_refused_and_can_be_loaded(run, run_config, tmp_path, capsys):
    workdir = tmp_path / "run"
    shutil.copytree(run, workdir)
    settings = json.loads((workdir / "config.json").read_text())
    del settings["data"]["delta_seconds"], settings["checksum"]
    settings["data"] |= {"delta_min": 2, "delta_max": 4}  # frames at 30 per second
    (workdir / "config.json").write_text(json.dumps(settings))
    line = complain(capsys, ["pretrain", "--config", str(run_config), "--workdir", str(workdir)])
    assert "was started by another version, whose config has data.delta_max" in line
    frames = np.zeros((1, 32, 32, 3), np.uint8)
    features = [micron_jax.load(folder).features(frames) for folder in (run, workdir)]
    np.testing.assert_array_equal(*features)


def test_a_workdir_that_cannot_be_written(run_config, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    argv = ["pretrain", "--config", str(run_config), "--workdir", str(tmp_path / "file" / "run")]
    assert "cannot be written" in complain(capsys, argv)


def test_a_bucket_is_refused_with_what_to_mount(run_config, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["pretrain", "--config", str(run_config), "--workdir"]
    data = "--config.data.data_dir=gs://bucket/data"
    for more, name in (
        (["gs://bucket/run"], "gs://bucket/run"),
        (["run", data], "config.data.data_dir: gs://bucket/data"),
    ):
        line = complain(capsys, argv + more)
        assert f"{name}: is not on a file system that this machine mounts; mount the" in line
    assert not list(tmp_path.iterdir())


def test_a_damaged_config_of_a_run(run_config, tmp_path, capsys):
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / "config.json").write_text('{"seed": 1')
    argv = ["pretrain", "--config", str(run_config), "--workdir", str(workdir)]
    assert "config.json: not the config of a run" in complain(capsys, argv)


def test_all_settings_are_written(run):
    settings = json.loads((run / "config.json").read_text())
    assert settings["model"]["width"] == 32
    assert settings["views"]["global_scale"] == [0.4, 1.0]


@pytest.mark.slow
def test_training_in_16_bits_ends_like_32_bits(run_config, tmp_path):
    ends = {}
    for dtype in ("float32", "bfloat16"):
        words = ["--config", str(run_config), "--workdir", str(tmp_path / dtype)]
        words += ["--config.epochs=12", f"--config.model.dtype={dtype}"]
        assert main(["pretrain", *words]) == 0
        losses = [row["loss"] for row in read_metrics(tmp_path / dtype) if "loss" in row]
        ends[dtype] = np.mean(losses[-5:])
    assert ends["float32"] < 0.9 * losses[0]  # it learned something
    assert ends["bfloat16"] == pytest.approx(ends["float32"], rel=0.02)


def test_a_displacement_branch_is_trained_and_loaded(run_config, tmp_path):
    workdir = tmp_path / "run"
    argv = ["pretrain", "--config", str(run_config), "--workdir", str(workdir)]
    argv += ["--config.epochs=0.4", "--config.views.global_crops=0"]
    argv += ["--config.views.local_crops=0", "--config.objective.agreement=none"]
    argv += ["--config.model.projection_dim=0", "--config.objective.displacement_weight=1.0"]
    argv += ["--config.model.displacement_width=8"]
    assert main(argv) == 0
    rows = read_metrics(workdir)
    assert np.isfinite([[row["displacement"], row["epe"]] for row in rows]).all()
    model = micron_jax.load(workdir)
    assert model.map_kinds[0] == "motion"
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 32, 32, 3), dtype=np.uint8)
    displacement = np.asarray(model.displacement(*frames))
    assert displacement.shape == (1, 4, 4, 2)
    length = np.linalg.norm(displacement, axis=-1)
    np.testing.assert_allclose(model.motion_map(*frames), length, rtol=1e-5)
    motion = model.motion(*frames)
    assert (np.asarray(motion.scale) > 0).all()
    moved = model.motion_map(*frames, kind="moved")
    np.testing.assert_array_equal(moved, motion.moved)
    assert 0 <= np.min(moved) <= np.max(moved) <= 1


def test_a_branch_without_its_objective_is_refused(run_config, tmp_path, capsys):
    argv = ["pretrain", "--config", str(run_config), "--workdir", str(tmp_path / "run")]
    line = complain(capsys, [*argv, "--config.model.displacement_width=8"])
    assert "to learn displacement, set both" in line
