"""Folder to `.pth` and back, with everything in it; teacher or student; the model card."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
from helpers import tiny
from helpers.drawn_weights import draw_weights
from helpers.pickles import build, call, write_pth
from helpers.refusals import refusal

import micron_jax
from micron_jax.checkpoints import card, files, load, pth, release
from micron_jax.checkpoints.release_architecture import class_arguments, differences, release_args
from micron_jax.cli import main
from micron_jax.errors import Notice, UserError
from micron_jax.models.config import SIZES, ModelConfig

INFO = {"source": "pretraining, step 10", "config": {"batch_size": 8, "note": "µ | \n"}}
MODELS = {
    "release": (tiny.RELEASE, {}),
    "paper": (tiny.PAPER, {}),
    "tied": (dataclasses.replace(tiny.PAPER, dma_tied=True, dtype="bfloat16"), {}),
    "bare": (tiny.PAPER, {"decoder": False, "aux_cls": True}),
}


@pytest.fixture(params=MODELS)
def weights(request):
    config, parts = MODELS[request.param]
    return draw_weights(config, info=INFO, **parts)


def same(ours, theirs):
    assert ours.config == theirs.config
    assert ours.info == theirs.info
    here, there = ours.flat(), theirs.flat()
    assert here.keys() == there.keys()
    for path, array in here.items():
        assert array.tobytes() == there[path].tobytes(), path


def test_folder_to_pth_to_folder(weights, tmp_path, capsys):
    files.save(weights, tmp_path / "one")
    assert main(["convert", str(tmp_path / "one"), str(tmp_path / "one.pth")]) == 0
    assert main(["convert", str(tmp_path / "one.pth"), str(tmp_path / "two")]) == 0
    assert main(["convert", str(tmp_path / "two"), str(tmp_path / "two.pth")]) == 0
    same(files.read_folder(tmp_path / "two"), weights)
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one.pth").read_bytes() == (tmp_path / "two.pth").read_bytes()
    assert main(["convert", str(tmp_path / "one.pth"), str(tmp_path / "1.safetensors")]) == 0
    assert main(["convert", str(tmp_path / "1.safetensors"), str(tmp_path / "three")]) == 0
    assert main(["convert", str(tmp_path / "three"), str(tmp_path / "3.safetensors")]) == 0
    same(load.read(tmp_path / "3.safetensors"), weights)
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()
    alone = (tmp_path / f"{n}.safetensors" for n in (1, 3))
    assert len({file.read_bytes() for file in alone}) == 1
    noted = capsys.readouterr().out.count("note: ")
    assert noted == 2 * len(differences(weights.config))


def test_a_checkpoint_of_the_release_is_restored(tmp_path):
    weights = draw_weights(tiny.RELEASE)
    state = release.state_dict(weights)
    args = {"num_heads": 2, "decoder_num_heads": 2, "diag_att": False, "lr": 0.1, "epochs": 50}
    namespace = build(call("argparse", "Namespace"), args)
    write_pth(tmp_path / "theirs.pth", state, args=namespace, epoch=7)
    assert main(["convert", str(tmp_path / "theirs.pth"), str(tmp_path / "folder")]) == 0
    assert main(["convert", str(tmp_path / "folder"), str(tmp_path / "back.pth")]) == 0
    back = pth.read(tmp_path / "back.pth")
    assert back["epoch"] == 7
    assert dict(back["args"]) | args == dict(back["args"])
    assert back["model"].keys() == state.keys()
    for name, array in state.items():
        assert back["model"][name].shape == array.shape
        np.testing.assert_array_equal(back["model"][name], array)
    twins = back["model"]["student.backbone.norm.bias"], back["model"]["backbone.norm.bias"]
    assert np.shares_memory(*twins)


def test_args_hold_the_fields_of_get_model():
    expected = {
        "model_name", "has_decoder", "aux_cls", "img_size", "att_loss", "diag_att", "enable_dino",
        "out_dim", "local_crops_number", "warmup_teacher_temp", "teacher_temp",
        "warmup_teacher_temp_epochs", "epochs",
    }  # fmt: skip
    args = release_args(draw_weights(tiny.RELEASE))
    assert expected | {"num_heads", "decoder_num_heads"} == set(args)
    assert args["model_name"] == "MaskedAutoencoderViT"
    assert (args["enable_dino"], args["out_dim"], args["img_size"]) == (True, 8, 32)
    small = dataclasses.replace(draw_weights(tiny.PAPER), config=ModelConfig(**SIZES["small"]))
    assert release_args(small)["model_name"] == "mae_vit_small_patch8"
    assert release_args(small)["enable_dino"] is False
    assert class_arguments(small)["embed_dim"] == 512


def test_teacher_or_student(tmp_path):
    weights = draw_weights(tiny.RELEASE)
    files.save(weights, tmp_path / "both")
    arguments = ["--weights", "teacher", str(tmp_path / "both"), str(tmp_path / "teacher.pth")]
    assert main(["convert", *arguments]) == 0
    written = load.read(tmp_path / "teacher.pth")
    for part, whose in (("encoder", "teacher"), ("head", "teacher"), ("dma", "params")):
        wanted = getattr(weights, whose)[part]
        np.testing.assert_equal(written.params[part], wanted)
    assert "are the teacher's" in (tmp_path / "teacher.md").read_text()
    same(load.read(tmp_path / "both", weights="teacher"), written)


def test_a_missing_teacher_is_named(tmp_path, capsys):
    files.save(draw_weights(tiny.PAPER), tmp_path / "paper")
    with pytest.raises(UserError, match="choose student or teacher"):
        micron_jax.load(tmp_path / "paper", weights="ema")
    target = str(tmp_path / "x.pth")
    line = refusal(["convert", "--weights", "teacher", str(tmp_path / "paper"), target], capsys)
    assert "holds no teacher" in line
    assert sorted(p.name for p in tmp_path.iterdir()) == ["paper"]


def test_a_displacement_branch_stays_beside_what_the_release_reads(tmp_path, capsys):
    path = tmp_path / "x.pth"
    assert main(["convert", "micron-tiny", str(path)]) == 0
    assert "note: It has a displacement branch" in capsys.readouterr().out
    same(load.read(path), load.read("micron-tiny"))
    checkpoint = pth.read(path)
    assert not [name for name in checkpoint["model"] if "displacement" in name]
    assert "att.to_k.weight" in checkpoint["model"]
    assert all(
        path.startswith("params/displacement/") for path in checkpoint["micron_jax"]["arrays"]
    )
    assert main(["compare", "--checkpoint", "micron-tiny", "--release", str(tmp_path)]) == 2
    assert "no model that the release can run" in capsys.readouterr().err
    assert "It has a displacement branch" in (tmp_path / "x.md").read_text()


def test_a_head_without_a_teacher_stays_beside_what_the_release_reads(tmp_path):
    whole = draw_weights(tiny.RELEASE)
    weights = dataclasses.replace(whole, teacher={}, center=np.zeros((1, 0), np.float32))
    files.save(weights, tmp_path / "x.pth")
    assert not [name for name in pth.read(tmp_path / "x.pth")["model"] if "head" in name]
    with pytest.warns(Notice, match="holds no teacher"):
        same(load.read(tmp_path / "x.pth"), weights)
    files.save(weights, tmp_path / "folder")
    same(load.read(tmp_path / "folder"), weights)


def test_a_single_file_is_loaded(tmp_path):
    weights = draw_weights(tiny.RELEASE, info=INFO)
    files.save(weights, tmp_path / "both")
    path = str(tmp_path / "teacher.safetensors")
    assert main(["convert", "--weights", "teacher", str(tmp_path / "both"), path]) == 0
    frames = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    teacher = micron_jax.load(tmp_path / "both", weights="teacher")
    np.testing.assert_array_equal(micron_jax.load(path).features(frames), teacher.features(frames))
    with safetensors.safe_open(path, "numpy") as file:
        described = json.loads(file.metadata()["micron_jax"])
        written = file.get_tensor("params/encoder/cls")
    assert described["model"]["width"] == 32
    np.testing.assert_array_equal(written, weights.teacher["encoder"]["cls"])
    assert f'micron_jax.load("{Path(path).name}")' in (tmp_path / "teacher.md").read_text()


@pytest.mark.parametrize("name", ["x.pth", "x.md", "x.safetensors"])
def test_convert_overwrites_nothing(name, tmp_path, capsys):
    files.save(draw_weights(tiny.PAPER), tmp_path / "paper")
    target = tmp_path / name
    target.write_text("mine")
    wanted = "x.pth" if name == "x.md" else name
    line = refusal(["convert", str(tmp_path / "paper"), str(tmp_path / wanted)], capsys)
    assert str(target) in line
    assert {p.name for p in tmp_path.iterdir()} <= {"paper", name}
    assert target.read_text() == "mine"


def test_the_card_describes_the_weights(weights, tmp_path):
    files.save(weights, tmp_path / "one")
    text = (tmp_path / "one" / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: micron_jax\nlicense: unknown\n")
    described = json.loads((tmp_path / "one" / "config.json").read_text())
    for field, value in described["model"].items():
        cell = ", ".join(map(str, value)) if isinstance(value, list) else value
        assert f"| {field} | {cell} |" in text
    assert "| source | pretraining, step 10 |" in text
    numbers = sum(x.size for path, x in weights.flat().items() if path.startswith("params/encoder"))
    assert f"| params/encoder | {numbers:,} numbers |" in text
    assert ("params/decoder" in text) == ("decoder" in weights.params)
    for sentence in differences(weights.config):
        assert sentence in text
    assert "MaskedAutoencoderViT(" in text
    small = dataclasses.replace(weights, config=ModelConfig(**SIZES["small"]))
    assert "`get_model` (micron_bert.py) builds it" in card.text(small, "small")


@pytest.mark.parametrize("name", ["folder", "x.pth", "x.safetensors"])
def test_a_converted_card_keeps_name_and_license(tmp_path, name):
    """Also after a second conversion."""
    files.save(load.read("micron-tiny"), tmp_path / name)
    files.save(load.read(tmp_path / name), tmp_path / "again")
    text = (tmp_path / "again" / "README.md").read_text()
    assert "\nlicense: apache-2.0\n" in text
    assert "\n# micron-tiny\n" in text
    assert 'micron_jax.load("again")' in text
    assert (
        "\n| data.delta_seconds | 0.0333" in text
        or "\n| config.data.delta_seconds | 0.0333" in text
    )
    assert not [line for line in text.splitlines() if line.startswith("|") and "{" in line]


@pytest.mark.parametrize(
    "head",
    [
        "",
        "license: apache-2.0",
        "---\nlicense: unknown\n---\n",
        "---\nlicense: <b>\n---\n",
        "\udc80",
    ],
)
def test_a_card_without_a_license_states_nothing(tmp_path, head):
    (tmp_path / "README.md").write_text(head, errors="surrogateescape")
    assert card.stated(tmp_path) == {}
