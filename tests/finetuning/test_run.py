import csv
import dataclasses
import json
import os
import shutil
import signal

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from helpers.drawn_weights import draw_weights
from helpers.refusals import refusal
from helpers.tiny import OURS, PAPER
from helpers.vendor_trees import casme2_row, write_casme2

import micron_jax
from micron_jax import checkpoints, finetuning
from micron_jax import config as configs
from micron_jax.checkpoints.classifier import Pairs
from micron_jax.checkpoints.load import read
from micron_jax.cli import main
from micron_jax.datasets import clips, face_pairs
from micron_jax.datasets.casme2 import CASME2
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.errors import UserError
from micron_jax.evaluation.report import HTML
from micron_jax.finetuning import fold_files
from micron_jax.finetuning.config import parse
from micron_jax.finetuning.prepare import prepare

EMOTIONS = ("disgust", "happiness", "surprise")


pytestmark = pytest.mark.usefixtures("quickly")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Four subjects, three classes; frames are flat, brighter by 20, 50 or 90 at the apex."""
    root, data_dir = tmp_path_factory.mktemp("casme2"), tmp_path_factory.mktemp("sets")
    rows = []
    for subject in range(1, 5):
        for n in range(4):
            kind = (n + subject) % 3
            onset = 10 + 3 * subject
            apex = onset + (20, 50, 90)[kind]  # the frames' level is their number
            rows.append(
                casme2_row(f"{subject:02}", f"EP{n:02}", onset, apex, apex + 1, EMOTIONS[kind])
            )
    write_casme2(root, rows)
    build_clips(CASME2, root, data_dir, keep="pair")
    return data_dir


@pytest.fixture(scope="module")
def recipe(data_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipes") / "recipe.py"
    path.write_text(f"""
import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.protocol = "synthetic"
    config.data = dict(data_dir={str(data_dir)!r}, crop="whole", registered=False)
    config.classifier = dict(features="difference", pooling="mean", dropout=0.0)
    config.augment = dict(copies=1)
    config.tuning = dict(epochs=4, batch_size=6, learning_rate=0.05, warmup_epochs=0)
    config.seeds = 2
    config.folds_at_once = 8
    return config
""")
    return path


def command(recipe, workdir, *settings):
    paths = ["--config", str(recipe), "--workdir", str(workdir)]
    return ["finetune", *paths, *(f"--config.{setting}" for setting in settings)]


def finetune(*arguments):
    return main(command(*arguments))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A converted folder with a tiny network."""
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    checkpoints.save(draw_weights(PAPER, info={"source": "drawn"}), folder)
    return folder


@pytest.fixture(scope="module")
def finished(recipe, pretrained, tmp_path_factory):
    """The workdir of a fine-tuning from it."""
    workdir = tmp_path_factory.mktemp("tuned") / "run"
    assert finetune(recipe, workdir, f"checkpoint={pretrained}", "report_leaky=True") == 0
    return workdir


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_everything_is_written(finished, pretrained):
    rows = rows_of(finished / "predictions.csv")
    assert len(rows) == 2 * 16
    assert set(rows[0]) == {
        "clip", "subject", "set", "seed", "fold", "label", "prediction",
        "p_negative", "p_positive", "p_surprise",
    }  # fmt: skip
    for row in rows:
        assert row["set"] == "casme2 (synthetic)"
        assert row["fold"] == f"casme2 (synthetic)/{row['subject']}"
        p = {name[2:]: float(value) for name, value in row.items() if name.startswith("p_")}
        assert sum(p.values()) == pytest.approx(1, abs=1e-4)
        assert max(p, key=p.get) == row["prediction"]
    curves = rows_of(finished / "curves.csv")
    assert len(curves) == 2 * 4 * 4
    assert list(curves[0]) == ["seed", "fold", "epoch", "train_loss", "train_accuracy"]
    protocol = json.loads((finished / "protocol.json").read_text())
    assert protocol["classes"] == ["negative", "positive", "surprise"]
    assert protocol["synthetic"] == ["casme2"]
    for name in ("report.html", "report.md"):
        report = (finished / name).read_text()
        assert "SYNTHETIC, no benchmark: 16 clips" in report
        assert "made by `data synth`, whatever layout it has: casme2" in report
    assert "casme2 (synthetic)" in (finished / "report.html").read_text()
    assert protocol["found"]["casme2"]["subjects"] == 4
    assert sum(protocol["found"]["casme2"]["samples"].values()) == 16
    provenance = json.loads((finished / "provenance.json").read_text())
    assert provenance["checkpoint"]["source"].startswith(f"{pretrained} (drawn)")
    assert len(provenance["checkpoint"]["sha256"]) == 64
    assert provenance["sheets"]["casme2"]["file"].startswith("CASME2-coding")
    calibration = json.loads((finished / "calibration.json").read_text())
    assert list(calibration["folds"]) == [f"casme2 (synthetic)/{n:02}" for n in range(1, 5)]
    assert calibration["after"]["log_loss"] < calibration["before"]["log_loss"]
    assert sum(part["samples"] for part in calibration["after"]["bins"]) == 32
    page = (finished / HTML).read_text()
    assert "expected calibration error" in page
    assert "Share of right predictions" in page
    leaky = json.loads((finished / "leaky.json").read_text())
    assert "LEAKY" in leaky["label"]
    assert 0 <= leaky["uf1"] <= 1
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert leaky["honest"]["accuracy"] == pytest.approx(right)
    assert leaky["accuracy"] >= leaky["honest"]["accuracy"]  # the last epoch is one of the choices
    text = (finished / "report.md").read_text()
    both = [f"{leaky['honest']['uf1']:.4f}", f"{leaky['uf1']:.4f}"]
    cells = [line.split("|") for line in text.splitlines() if "UF1" in line]
    assert [[row[n].strip() for n in (2, 4)] for row in cells if len(row) == 8] == [both]
    assert "the figure has seen the answers that it is tested on." in text
    summary = finished.parent / "evaluated.json"
    assert main(["evaluate", str(finished), "--json", str(summary)]) == 0
    assert json.loads(summary.read_text())["leaky"] == leaky
    with np.load(finished / "hardest.npz") as hardest:
        assert hardest["onset"].shape == (12, 32, 32, 3)
        assert hardest["heat"].shape == (12, 4, 4)
        assert np.isfinite(hardest["heat"]).all()
    assert (finished / HTML).is_file()


def test_flat_frames_are_classified(finished):
    rows = rows_of(finished / "predictions.csv")
    assert np.mean([row["label"] == row["prediction"] for row in rows]) > 0.5  # chance is 1/3


def test_a_restart_trains_missing_folds_to_the_same_bits(
    recipe, pretrained, finished, tmp_path, capsys
):
    """Two folds are lost; the rest is not touched."""
    before = (finished / "predictions.csv").read_bytes()
    missing = [fold_files.path_of(finished, 0, 1), fold_files.path_of(finished, 1, 3)]
    untouched = fold_files.path_of(finished, 0, 2)
    stamp = untouched.stat().st_mtime_ns
    for path in missing:
        path.unlink()
    assert finetune(recipe, finished, f"checkpoint={pretrained}", "report_leaky=True") == 0
    assert (finished / "predictions.csv").read_bytes() == before
    assert all(path.is_file() for path in missing)
    assert untouched.stat().st_mtime_ns == stamp
    out = capsys.readouterr().out
    assert "UF1 " in out
    assert "LEAKY" in out
    assert str(finished / HTML) in out


def test_a_restart_from_another_checkpoint_is_refused(
    recipe, pretrained, finished, tmp_path, capsys
):
    other = shutil.copytree(pretrained, tmp_path / "other")
    settings = [f"checkpoint={other}", "report_leaky=True"]
    line = refusal(command(recipe, finished, *settings), capsys)
    assert "was started with another config (" in line


def test_the_classifier_is_saved(finished, pretrained):
    """It learns from all subjects; its evidence is the accuracy of the folds."""
    model = micron_jax.load(finished)
    classifier = model.classifier
    assert classifier.classes == ("negative", "positive", "surprise")
    assert classifier.pairs == Pairs(size=32, crop="whole", registered=False)
    with np.load(finished / "cache/pairs.npz") as file:
        probabilities = model.classify(file["onset"], file["apex"])
        still = model.classify(file["onset"][:1], file["onset"][:1])
    assert np.isnan(still).all()  # nothing moved: no class
    with np.load(finished / "cache/features.npz") as file:
        features = file["features"]
    everyone = features.mean((0, 1, 2))
    np.testing.assert_allclose(classifier.params["mean"], everyone, rtol=1e-4, atol=1e-5)
    x = (features[:, 0, 0] - everyone) / classifier.params["deviation"]
    last = classifier.params["head"]["classes"]
    calibration = json.loads((finished / "calibration.json").read_text())
    assert classifier.evidence["calibration"]["temperature"] == calibration["temperature"]
    logits = x @ last["kernel"] + last["bias"]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    softmax = powers / powers.sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, softmax, rtol=1e-3, atol=1e-6)
    start = micron_jax.load(pretrained)
    frames = np.zeros((1, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(model.features(frames), start.features(frames))
    rows = rows_of(finished / "predictions.csv")
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert classifier.evidence["accuracy"] == pytest.approx(right)
    assert classifier.evidence["protocol"] == "synthetic"
    assert classifier.evidence["no_class"] == 0
    with pytest.raises(ValueError, match=r"the classifier's are 32 px"):
        model.classify(*np.zeros((2, 1, 40, 40, 3), np.uint8))
    with pytest.raises(ValueError, match="this checkpoint has no classifier"):
        start.classify(frames, frames)


SETTINGS = [
    (["trainable=last:1", "mixup=0.4", "focal=2.0"], []),
    pytest.param(
        ["trainable=all", "layer_decay=0.5"], ["patch_embed", "cls"], marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize(("tuning", "lower"), SETTINGS)
def test_the_backbone_learns(recipe, pretrained, tmp_path, tuning, lower):
    settings = [f"tuning.{one}" for one in [*tuning, "epochs=2"]]
    settings += ["split.selection=inner", "split.inner_share=0.4", "seeds=1", "hardest=0"]
    workdir = tmp_path / "run"
    assert finetune(recipe, workdir, f"checkpoint={pretrained}", *settings) == 0
    assert len(rows_of(workdir / "predictions.csv")) == 16
    losses = [float(row["validation_loss"]) for row in rows_of(workdir / "curves.csv")]
    assert len(losses) == 4 * 2
    assert np.isfinite(losses).all()
    before, after = (flatten_dict(read(path).params["encoder"]) for path in (pretrained, workdir))
    moved = {path[0] for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {"block_0", "norm", *lower}


def test_finished_folds_outlast_a_signal(recipe, tmp_path, monkeypatch, capsys):
    original, sent = fold_files.save, []

    def save(path, result):
        original(path, result)
        if not sent:  # a second one kills
            sent.append(path)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(fold_files, "save", save)
    settings = ["baseline=frame_difference", "data.size=16"]  # no network
    settings += ["seeds=3", "folds_at_once=8"]
    assert finetune(recipe, tmp_path / "run", *settings) == 128 + signal.SIGTERM
    assert "8 of 12 folds are kept" in capsys.readouterr().err
    assert not (tmp_path / "run" / "predictions.csv").exists()


def test_finetune_returns_its_results(recipe, tmp_path, capsys):
    settings = ["baseline=frame_difference", "data.size=16", "seeds=1"]
    config = parse(configs.override(configs.load(str(recipe)), settings))
    lines = []
    result = finetuning.finetune(config, tmp_path / "run", notify=lines.append)
    assert capsys.readouterr().out == ""
    assert lines == [
        "synthetic: 16 samples of 4 subjects, 4 folds; from no network: frame_difference"
    ]
    assert (result.finished, result.total, result.signal) == (4, 4, 0)
    assert len(result.predictions) == result.summary["samples"] == 16
    assert result.report == tmp_path / "run" / HTML
    assert (result.leaky, result.classifier) == (None, None)


def test_an_apex_at_the_onset_and_a_subject_in_two_ways(recipe, tmp_path, monkeypatch):
    """A set as an earlier version may have built it; its folds are not those of other runs."""
    settings = ["baseline=frame_difference", "data.size=16", "seeds=1"]
    config = parse(configs.override(configs.load(str(recipe)), settings))
    finetuning.finetune(config, tmp_path / "run")

    def open_clips(*arguments, **settings):
        source, samples = clips.open_clips(*arguments, **settings)
        changes = dict(subject=f"sub{samples[0].subject}", apex=samples[0].onset)
        return source, [dataclasses.replace(samples[0], **changes), *samples[1:]]

    monkeypatch.setattr(face_pairs, "open_clips", open_clips)
    lines = []
    result = finetuning.finetune(config, tmp_path / "again", notify=lines.append)
    assert lines[0].startswith("synthetic: 16 samples of 4 subjects, 4 folds")
    still = result.predictions[0]
    assert lines[1:] == [
        "1 of 16 samples have their apex at the onset, two equal frames without motion: "
        f"casme2 {still.clip}"
    ]
    assert len({row.person for row in result.predictions}) == 4
    with pytest.raises(UserError, match="are not what its first folds were trained from"):
        finetuning.finetune(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["color=1"], "config.color: no such field"),
        ([], "config.checkpoint is missing; name one (micron-tiny comes with the package), or say"),
        (["checkpoint=random", "protocol=dance"], "no protocol 'dance'"),
        (["checkpoint=random", "data.crop=half"], "data.crop='half'"),
        (["checkpoint=gone"], "gone: no such file or folder"),
        (["checkpoint=RUN", "model.width=64"], "config.model.width=64: checkpoint"),
        (["checkpoint=random", "protocol=composite"], "no data set `samm`"),
        (["folds_at_once=few"], "config.folds_at_once='few'"),
        (["baseline=flow", "checkpoint=RUN"], "config.checkpoint: baseline 'flow' has no network"),
        (["checkpoint=RUN", "data.size=33"], "config.data.size=33: no multiple of the patch size"),
        (["checkpoint=random", "split.kind=sets"], "has one set only (casme2)"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    recipe, pretrained, tmp_path, capsys, settings, words
):
    settings = [setting.replace("RUN", str(pretrained)) for setting in settings]
    assert words in refusal(command(recipe, tmp_path / "out", *settings), capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "kind"),
    [(PAPER, "cosine; the checkpoint has no"), (OURS, "motion; the checkpoint has the")],
)
def test_auto_reads_the_motion_branch_where_there_is_one(recipe, tmp_path, model, kind):
    checkpoints.save(draw_weights(model, info={"source": "drawn"}), tmp_path / "weights")
    settings = [f"checkpoint={tmp_path / 'weights'}", "classifier.features=auto"]
    config = parse(configs.override(configs.load(str(recipe)), settings))
    lines = []
    (tmp_path / "run").mkdir()
    prepared = prepare(config, tmp_path / "run", notify=lines.append)
    assert lines[-1] == f"config.classifier.features=auto: {kind} displacement branch"
    assert prepared.config.classifier.features == kind.split(";")[0]
    stored = json.loads((tmp_path / "run/config.json").read_text())
    assert stored["classifier"]["features"] == kind.split(";")[0]
