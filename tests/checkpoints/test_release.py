"""Checkpoints of the release become ours."""

import json

import numpy as np
import pytest
import safetensors.numpy
from flax.traverse_util import flatten_dict
from helpers.pickles import build, call, write_pth
from helpers.refusals import refusal

import micron_jax
from micron_jax.checkpoints import files, load, release
from micron_jax.checkpoints.release import release_name, to_release
from micron_jax.checkpoints.weights import shapes_of
from micron_jax.cli import main
from micron_jax.errors import UserError
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.parity.formula import formula_views, formula_weight, model_config

ARGS = {"diag_att": False, "num_heads": 4, "decoder_num_heads": 2, "model_name": "mae_tiny"}


@pytest.fixture(scope="module")
def settings(recording):
    return recording[0]


@pytest.fixture(scope="module")
def state(settings):
    """The recorded model's state dict, as the release names and lays it out."""
    config = model_config(settings, diagonal=False)
    state = {}
    for path, leaf in shapes_of(config).items():
        blank = np.broadcast_to(np.float32(0), leaf.shape)
        shape = to_release(path, blank).shape
        state[release_name(path)] = formula_weight(settings, release_name(path), shape)
    twins = {f"student.{n}": a for n, a in state.items() if n.startswith("backbone.")}
    return state | twins


@pytest.fixture
def write(tmp_path):
    def write(state, args=ARGS, **rest):
        if args is not None:
            rest["args"] = build(call("argparse", "Namespace"), args)
        return write_pth(tmp_path / "release.pth", state, epoch=7, **rest)

    return write


def test_names_equal_the_recorded_names(recording, settings):
    own = {release_name(path) for path in shapes_of(model_config(settings, diagonal=False))}
    assert own == set(recording[1]["full/final_names"])


def test_layouts_are_converted_and_back():
    config = micron_jax.models.config.ModelConfig(width=16, heads=2, depth=1, projection_dim=4)
    rng = np.random.default_rng(0)
    for path, leaf in shapes_of(config).items():
        own = rng.normal(size=leaf.shape)
        released = to_release(path, own)
        np.testing.assert_array_equal(release.from_release(path, released), own)
    kernel = rng.normal(size=(8 * 8 * 3, 16))
    released = to_release("params/encoder/patch_embed/kernel", kernel)
    assert released.shape == (16, 3, 8, 8)
    assert released[5, 2, 3, 4] == kernel[(3 * 8 + 4) * 3 + 2, 5]


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_gives_the_recorded_features(write, state, recording, prefix, tmp_path):
    settings, arrays = recording
    path = write({prefix + n: a for n, a in state.items()})
    assert main(["convert", str(path), str(tmp_path / "folder")]) == 0
    views = formula_views(settings, 3)
    for source in (path, tmp_path / "folder"):
        model = micron_jax.load(source)
        assert model.config == model_config(settings, diagonal=False)
        assert model.info["epoch"] == 7
        assert model.info["args"] == ARGS
        weights = load.read(source)
        assert weights.center.shape == (1, settings["out_dim"])
        assert set(weights.teacher) == {"encoder", "head"}
        # The recording's images are no uint8 frames, which `features` takes.
        own = MicronBertModule(model.config).apply(
            {"params": weights.params}, views["rep"], method="encode"
        )
        np.testing.assert_allclose(own[:, 1:], arrays["features"], atol=4e-5)


def test_without_dino_and_decoder(write, state, tmp_path):
    bare = {n: a for n, a in state.items() if n.startswith(("backbone.", "att."))}
    args = {k: v for k, v in ARGS.items() if k != "decoder_num_heads"} | {"diag_att": True}
    bare["fc.weight"], bare["fc.bias"] = np.ones((1, 64)), np.zeros(1)
    weights = release.read_checkpoint(write(bare, args))
    assert set(weights.params) == {"encoder", "dma", "aux_cls"}
    assert weights.teacher == {}
    assert weights.config.dma_diagonal
    assert weights.config.projection_dim == 0
    files.save(weights, tmp_path / "folder")
    again = files.read_folder(tmp_path / "folder")
    assert again.config == weights.config
    before, after = (flatten_dict(w.params, sep="/") for w in (weights, again))
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value)
    model = micron_jax.load(tmp_path / "folder")
    assert model.features(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 64, 64)


def test_args_may_be_a_dict(tmp_path, state):
    path = write_pth(tmp_path / "x.pth", state, args=ARGS, epoch=1)
    assert release.read_checkpoint(path).config.heads == 4


def without(*names):
    return lambda state: {n: a for n, a in state.items() if n not in names}


@pytest.mark.parametrize(
    ("change", "args", "message"),
    [
        (without("att.to_q.bias"), ARGS, "lacks att.to_q.bias, which Micron-BERT"),
        (without("backbone.pos_embed", "student.backbone.pos_embed"), ARGS, "backbone.pos_embed"),
        (lambda s: {"conv1.weight": np.ones((3, 3))}, ARGS, "is not a checkpoint of Micron-BERT"),
        (lambda s: s | {"att.extra.weight": np.ones(3)}, ARGS, "holds att.extra.weight, unknown"),
        (lambda s: s | {"x\x1b[2J\n": np.ones(3)}, ARGS, r"an array named x\x1b[2J\n"),
        (
            lambda s: s | {"att.proj.bias": np.ones(63)},
            ARGS,
            "att.proj.bias has shape (63,)",
        ),
        (
            lambda s: s | {"student.backbone.norm.bias": s["backbone.norm.bias"] + 1},
            ARGS,
            "student.backbone.norm.bias differs from backbone.norm.bias",
        ),
        (
            lambda s: s,
            {"diag_att": False},
            "nothing in it says num_heads, which no shape tells: give num_heads (--heads N)",
        ),
        (lambda s: s, ARGS | {"num_heads": 5}, "model.heads=5: does not divide width=64"),
        (lambda s: s, None, "nothing in it says num_heads"),
    ],
)
def test_other_checkpoints_are_refused(write, state, change, args, message, tmp_path, capsys):
    path = write(change(state), args)
    target = tmp_path / "folder"
    line = refusal(["convert", str(path), str(target)], capsys)
    assert message in line
    assert "release.pth" in line
    assert [p.name for p in tmp_path.iterdir()] == ["release.pth"], "something half-written"


def test_convert_keeps_an_existing_folder(write, state, tmp_path, capsys):
    target = tmp_path / "folder"
    target.mkdir()
    assert main(["convert", str(write(state)), str(target)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert list(target.iterdir()) == []


def folder_without(part):
    def damage(path):
        (path / part).unlink()

    return damage


def truncated(path):
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])


def of_another_format(path):
    described = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(described | {"format": "other 2"}))


def with_unknown_setting(path):
    described = json.loads((path / "config.json").read_text())
    described["model"]["color"] = 1
    (path / "config.json").write_text(json.dumps(described))


def without_params(path):
    safetensors.numpy.save_file({"a": np.zeros(1)}, path / "model.safetensors")


def one_tensor_short(path):
    tensors = safetensors.numpy.load_file(path / "model.safetensors")
    del tensors["params/dma/to_q/bias"]
    safetensors.numpy.save_file(tensors, path / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (folder_without("config.json"), "no config.json"),
        (folder_without("model.safetensors"), "no model.safetensors"),
        (truncated, "model.safetensors: damaged"),
        (of_another_format, "format 'other 2'"),
        (with_unknown_setting, "color"),
        (without_params, "model.safetensors: lacks params/"),
        (one_tensor_short, "params/dma/to_q/bias"),
    ],
)
def test_damaged_folders_are_named(write, state, tmp_path, damage, message):
    files.save(release.read_checkpoint(write(state)), tmp_path / "folder")
    damage(tmp_path / "folder")
    with pytest.raises(UserError, match=message):
        micron_jax.load(tmp_path / "folder")


def test_paths_without_a_checkpoint_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        micron_jax.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no config\.json"):
        micron_jax.load(tmp_path)
