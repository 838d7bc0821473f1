"""Settings of files: hostile numbers end in one line, those of a machine are passed over."""

import dataclasses
import json
import random

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from helpers import tiny
from helpers.drawn_weights import draw_weights
from helpers.mutations import damage

import micron_jax
from micron_jax.checkpoints import files, load, pth_writer, release, weights
from micron_jax.checkpoints.weights import shapes_of
from micron_jax.errors import UserError
from micron_jax.models.config import SIZES, ModelConfig
from micron_jax.training.state import init_params

WEIGHTS = draw_weights(tiny.OURS)
HOSTILE = (
    10**9, -1, 10**400, float("nan"), float("inf"), 1e308, -1e308, "x" * 10**6, None, [], [[]],
    [10**9], [-1], [1] * 10**5, {"a": 1},
)  # fmt: skip
MACHINE = {"attention", "blocks", "remat", "dtype"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "folder"
    files.save(WEIGHTS, path)
    return path


def describe(folder, **model):
    """Writes the settings of an earlier version, without checksums."""
    described = WEIGHTS.described()
    described["model"] = described["model"] | model
    (folder / "config.json").write_text(json.dumps(described))


@pytest.mark.parametrize(
    "field", [f.name for f in dataclasses.fields(ModelConfig) if f.name not in MACHINE]
)
def test_hostile_numbers_end_in_one_line(folder, field):
    for value in HOSTILE:
        describe(folder, **{field: value})
        with pytest.raises(UserError) as caught:
            load.read(folder)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 4100


@pytest.mark.parametrize("band", [[1, 2], [1] * 64])
def test_the_last_versions_motion_branch_is_refused(folder, band, monkeypatch):
    """To make a network takes long."""
    describe(folder, band=band, band_width=12, motion_width=16)
    monkeypatch.setattr(weights, "shapes_of", None)
    with pytest.raises(UserError, match=r"config\.json: band=.*take micron-tiny, or train"):
        load.read(folder)


def test_a_file_of_the_last_version_without_that_branch_is_read(folder):
    older = dict(band=[], band_window=12, band_width=48, band_heads=6, band_spreads=[0, 1, 2])
    older |= dict(motion_width=64, motion_window=14, motion_reach=[1, 2, 4, 1, 2])
    describe(folder, **older, displacement_steps=2)
    assert load.read(folder).config == WEIGHTS.config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"displacement_width": 16}, "has shape"),
        ({"img_size": 16384}, "params/decoder/positions has shape"),
        ({"depth": 1000, "decoder_depth": 1000}, "lacks params/decoder/block_1/attn/proj/bias"),
        ({"mlp_ratio": 0.001}, "config.json: describes no possible network"),
        ({"projection_dim": 8}, "lacks center"),
    ],
)
def test_settings_of_another_network(folder, change, message):
    describe(folder, **change)
    with pytest.raises(UserError, match=message):
        load.read(folder)


def test_a_pth_of_ours_with_hostile_settings(tmp_path):
    described = WEIGHTS.described()
    for change in ({"band": [1]}, {"depth": 10**9}, {"mlp_ratio": float("nan")}):
        checkpoint = {"model": release.state_dict(WEIGHTS)}
        checkpoint["micron_jax"] = described | {"model": described["model"] | change}
        (tmp_path / "x.pth").write_bytes(pth_writer.encode(checkpoint))
        with pytest.raises(UserError, match=r"x\.pth: "):
            load.read(tmp_path / "x.pth")


@pytest.mark.parametrize("summed", [True, False])
def test_random_damage_of_settings(tmp_path, summed):
    """Files are refused or read as they were; without checksums what is read may differ."""
    files.save(WEIGHTS, tmp_path / "folder")
    path = tmp_path / "folder" / "config.json"
    if not summed:
        describe(tmp_path / "folder")
    text, successes = path.read_bytes(), 0
    for seed in range(200):
        path.write_bytes(damage(text, random.Random(seed)))
        try:
            read = load.read(tmp_path / "folder")
        except UserError:
            continue
        successes += 1
        np.testing.assert_equal(read.flat(), WEIGHTS.flat())
        assert not summed or (read.config, read.info) == (WEIGHTS.config, WEIGHTS.info)
    assert successes < 20


@pytest.mark.parametrize(
    "machine",
    [
        {"attention": "cudnn", "dtype": "bfloat16"},
        {"attention": "cudnn"},
        {"attention": "per_head", "blocks": "scanned", "remat": "blocks"},
        {"attention": "of a later version"},
    ],
)
def test_how_a_machine_computes_is_no_part_of_a_checkpoint(tmp_path, machine):
    files.save(WEIGHTS, tmp_path / "folder")
    describe(tmp_path / "folder", **machine)
    read = load.read(tmp_path / "folder")
    assert read.config == dataclasses.replace(tiny.OURS, dtype=machine.get("dtype", "float32"))
    if machine == {"attention": "cudnn"}:
        features = micron_jax.load(tmp_path / "folder").features(np.zeros((1, 32, 32, 3), np.uint8))
        assert np.isfinite(features).all()


@pytest.mark.parametrize(
    "config", [tiny.RELEASE, tiny.PAPER, tiny.OURS, ModelConfig(**SIZES["small"])]
)
def test_shapes_are_those_of_the_network(config):
    params = jax.eval_shape(lambda key: init_params(config, key), jax.random.key(0))
    wanted = {f"params/{p}": x.shape for p, x in flatten_dict(params, sep="/").items()}
    got = {p: x.shape for p, x in shapes_of(config).items() if p.startswith("params/")}
    assert got == wanted
