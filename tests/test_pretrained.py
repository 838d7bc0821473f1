import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import pages

import micron_jax
from micron_jax.checkpoints import files, load
from micron_jax.cli import main
from micron_jax.errors import UserError


@pytest.fixture(scope="module")
def model(run):
    return micron_jax.load(run)


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3)).astype(np.uint8)


def test_features_and_maps_have_the_documented_shapes(model, frames):
    tokens = model.features(frames[0])
    assert tokens.shape == (3, 16, 32)
    assert tokens.dtype == np.float32
    assert model.features(frames[0][:, :16]).shape == (3, 8, 32)
    assert model.map_kinds == ("symmetric", "cosine", "release")
    for kind in model.map_kinds:
        motion = model.motion_map(*frames, kind=kind)
        assert motion.shape == (3, 4, 4)
        assert motion.dtype == np.float32
        assert np.isfinite(motion).all()
    default = model.motion_map(*frames)
    np.testing.assert_array_equal(default, model.motion_map(*frames, kind="symmetric"))
    np.testing.assert_allclose(model.motion_map(frames[0], frames[0]), 0, atol=1e-4)


def test_old_names_of_the_map_warn(model, frames):
    with pytest.warns(FutureWarning, match="now map_kinds"):
        assert model.heats == model.map_kinds
    with pytest.warns(FutureWarning, match=r"now motion_map\(kind"):
        old = model.micro_attention(*frames, heat="cosine")
    np.testing.assert_array_equal(old, model.motion_map(*frames, kind="cosine"))


def test_load_computes_in_the_dtype_that_is_asked_for(run, model, frames):
    assert model.config.dtype == "float32"
    half = micron_jax.load(run, dtype="bfloat16")
    assert half.config.dtype == "bfloat16"
    for name, batches in (("features", frames[:1]), ("motion_map", frames)):
        a, b = (np.asarray(getattr(m, name)(*batches)) for m in (model, half))
        assert b.dtype == np.float32
        assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()  # it was computed in 16 bits
    a, b = (np.asarray(m.features(frames[0])) for m in (model, half))
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert 0.999 <= cosine.min() < 1 - 1e-7


def test_load_of_16_bits_computes_in_32_where_it_is_asked_for(model, run, frames, tmp_path):
    weights = load.read(run)
    config = dataclasses.replace(weights.config, dtype="bfloat16", attention="cudnn")
    files.save(dataclasses.replace(weights, config=config), tmp_path / "half")
    # None: as it was trained, but for the attention of NVIDIA GPUs, which are not here.
    assert micron_jax.load(tmp_path / "half").config == dataclasses.replace(
        config, attention="auto"
    )
    wide = micron_jax.load(tmp_path / "half", dtype="float32")
    assert wide.config == model.config
    np.testing.assert_array_equal(wide.features(frames[0]), model.features(frames[0]))
    with pytest.raises(UserError, match="dtype='float16': choose one of float32, bfloat16"):
        micron_jax.load(run, dtype="float16")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((1, 32, 32, 3), np.float32), "expected uint8"),
        (np.zeros((1, 32, 32, 3), np.float32), "levels of 0 to 255"),
        (np.zeros((32, 32, 3), np.uint8), r"expected uint8 .*: of one frame, frames\[None\]"),
        (np.zeros((0, 32, 32, 3), np.uint8), "the batch is empty"),
        ([], "the batch is empty"),
        (np.zeros((2, 3, 32, 32), np.uint8), "the colors come last, np.moveaxis"),
        ([np.zeros((32, 32, 3), np.uint8), np.zeros((40, 32, 3), np.uint8)], "several sizes"),
        (np.zeros((1, 30, 32, 3), np.uint8), "multiples of the patch size 8"),
    ],
)
def test_wrong_frames_are_named(model, bad, message):
    with pytest.raises(ValueError, match=message):
        model.features(bad)


def test_a_list_of_frames_is_a_batch(model, frames):
    for name in ("features", "interest", "cls_attention"):
        batch, given = (getattr(model, name)(x) for x in (frames[0], [*frames[0]]))
        np.testing.assert_array_equal(batch, given)
    maps = model.motion_map([*frames[0]], [*frames[1]])
    np.testing.assert_array_equal(maps, model.motion_map(*frames))


def test_wrong_pairs_and_kinds_are_named(model, frames):
    with pytest.raises(ValueError, match="reference is"):
        model.motion_map(frames[0], frames[1][:2])
    with pytest.raises(ValueError, match="choose one of symmetric"):
        model.motion_map(*frames, kind="warm")


def test_a_run_converts_to_the_same_model(run, model, frames, tmp_path, capsys):
    assert main(["convert", str(run), str(tmp_path / "folder")]) == 0
    assert "32 px, patch 8, width 32, depth 1, 2 heads" in capsys.readouterr().out
    converted = micron_jax.load(tmp_path / "folder")
    assert converted.config == model.config
    assert converted.info["source"] == "pretraining, step 10"
    np.testing.assert_array_equal(converted.features(frames[0]), model.features(frames[0]))


def test_a_run_without_a_checkpoint(run, tmp_path):
    shutil.copytree(
        run, tmp_path / "run", ignore=lambda path, names: [n for n in names if n.isdigit()]
    )
    with pytest.raises(UserError, match="holds no checkpoint yet"):
        micron_jax.load(tmp_path / "run")


def test_a_run_with_words_of_an_earlier_version_loads(run, model, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    settings = json.loads(path.read_text())
    settings["views"]["swap_with"] = "grey"
    path.write_text(json.dumps(settings))
    with pytest.raises(UserError, match=r"config\.json: does not fit its checksum"):
        micron_jax.load(tmp_path / "run")
    del settings["checksum"]
    path.write_text(json.dumps(settings))
    assert micron_jax.load(tmp_path / "run").config == model.config


def test_the_package_lists_its_names():
    names = dir(micron_jax)
    assert {"MicronBert", "load", "look", "read_face", "spot", "__version__"} <= {*names}
    assert {"models", "spotting", "checkpoints"} <= {*names}
    assert all(hasattr(micron_jax, name) for name in micron_jax.__all__)
    assert (Path(micron_jax.__file__).parent / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = micron_jax.lod


def test_a_damaged_checkpoint_is_named(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints" / "10" / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(UserError, match="checkpoints/10: damaged"):
        micron_jax.load(tmp_path / "run")


def test_the_example_of_the_docs_runs(run, corpus, tmp_path, monkeypatch, capsys):
    (example,) = (code for _, code in pages.blocks("python") if "runs/demo" in code)
    shutil.copytree(run, tmp_path / "runs" / "demo")
    (tmp_path / "runs" / "demo" / "corpus").symlink_to(corpus)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "python.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
