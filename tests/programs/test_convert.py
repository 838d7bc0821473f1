"""Checkpoints that are broken on purpose: one line that names what is wrong, status 2, no file."""

import json
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from helpers import refusals, tiny
from helpers.drawn_weights import draw_weights
from helpers.pickles import Code, build, call, code, write_pth

from micron_jax.checkpoints import files, release
from micron_jax.checkpoints.weights import shapes_of
from micron_jax.cli import main
from micron_jax.errors import UserError
from micron_jax.models.config import SIZES, ModelConfig

ARGS = {"num_heads": 2, "decoder_num_heads": 2, "diag_att": False}
WEIGHTS = draw_weights(tiny.RELEASE)
STATE = release.state_dict(WEIGHTS)
LONG = Code(b"\x8b" + struct.pack("<i", 5000) + b"\1" * 5000)  # a number of 12,000 digits
PATCHES = "params/encoder/patch_embed/kernel"


@pytest.fixture
def refusal(tmp_path, capsys):
    """source -> the one line with which `convert` refuses it."""

    def refuse(source):
        before = sorted(tmp_path.iterdir())
        line = refusals.refusal(["convert", str(source), str(tmp_path / "out")], capsys)
        assert line.startswith(f"micron-jax: {source}")
        assert len(line) < 600
        assert sorted(tmp_path.iterdir()) == before
        return line

    return refuse


def namespace(args=ARGS):
    return build(call("argparse", "Namespace"), args)


def with_change(name, change):
    """The state with one tensor changed, and its twin in the student with it."""
    twins = [n for n in STATE if n.removeprefix("student.") == name]
    return STATE | {n: change(STATE[n]) for n in twins}


def with_nan(array):
    array = np.array(array)
    array.flat[3] = np.nan
    return array


def with_infinity(array):
    return np.where(np.arange(array.size).reshape(array.shape) == 1, -np.inf, array)


def without(name):
    return {n: x for n, x in STATE.items() if name not in n}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (with_change("att.to_q.weight", with_nan), "att.to_q.weight holds 1 numbers that are NaN"),
        (with_change("backbone.norm.bias", with_infinity), "backbone.norm.bias holds 1 numbers"),
        (with_change("dino_loss_fn.center", with_nan), "dino_loss_fn.center holds 1 numbers"),
        (
            with_change("backbone.blocks.0.mlp.fc2.weight", np.transpose),
            "backbone.blocks.0.mlp.fc2.weight has shape (128, 32), transposed, Micron-BERT asks "
            "for (32, 128)",
        ),
        (with_change("decoder_embed.weight", np.transpose), "decoder_embed.weight has shape"),
        (without("backbone.blocks.0.attn.qkv.bias"), "lacks backbone.blocks.0.attn.qkv.bias"),
        (without("decoder_blocks.0."), "lacks decoder_blocks.0."),
        (without("decoder_pos_embed"), "lacks decoder_pos_embed"),
        (without("student.head.last_layer"), "lacks student.head.last_layer.weight_v"),
        (without("teacher.backbone.norm.bias"), "lacks teacher.backbone.norm.bias"),
        (STATE | {"backbone.blocks.1.norm1.bias": np.ones(32)}, "lacks backbone.blocks.1."),
        (STATE | {"backbone.blocks.999999.x": np.ones(1)}, "model.depth=1000000: must lie in"),
        (STATE | {"backbone.blocks.9999999999.x": np.ones(1)}, "unknown to Micron-BERT"),
        (STATE | {"att.to_z.bias": np.ones(1)}, "holds att.to_z.bias, unknown to Micron-BERT"),
        (with_change("backbone.patch_embed.proj.weight", lambda x: x[:0]), "model.width=0"),
        (with_change("backbone.pos_embed", lambda x: x[:, :5]), "pos_embed has shape (1, 17, 16)"),
    ],
)
def test_pth_of_wrong_weights(state, message, tmp_path, refusal):
    assert message in refusal(write_pth(tmp_path / "x.pth", state, args=namespace(), epoch=1))


def test_a_block_less_than_the_release_has(monkeypatch, tmp_path):
    small = ModelConfig(**SIZES["small"])
    state = {}
    for path, leaf in shapes_of(small).items():
        blank = np.broadcast_to(np.float32(0), leaf.shape)
        state[release.release_name(path)] = release.to_release(path, blank)
    model = {n: x for n, x in state.items() if not n.startswith("backbone.blocks.3.")}
    checkpoint = {"model": model, "args": {"model_name": "mae_vit_small_patch8"}}
    monkeypatch.setattr(release.pth, "read", lambda path: checkpoint)
    (tmp_path / "x.pth").touch()
    with pytest.raises(UserError, match=r"lacks backbone\.blocks\.3\..* and 9 more"):
        release.read_checkpoint(tmp_path / "x.pth")


def bomb():
    """A list of two of the same list of two ... 2 ** 60 leaves in a few hundred bytes."""
    pairs = b"".join(b"q%ch%c\x86" % (i, i) for i in range(60))
    return Code(b")" + pairs)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (code(3), "nothing in it says num_heads"),
        (code("text"), "nothing in it says num_heads"),
        (namespace(ARGS | {"num_heads": "2; import os"}), "num_heads='2; import os'"),
        (namespace(ARGS | {"num_heads": 0}), "describes no possible model"),
    ],
)
def test_pth_of_wrong_args(args, message, tmp_path, refusal):
    assert message in refusal(write_pth(tmp_path / "x.pth", STATE, args=args, epoch=1))


@pytest.mark.parametrize(
    ("note", "kept"),
    [
        (bomb(), None),
        (namespace({"a": bomb()}), None),
        (LONG, "<int>"),
        (call("os", "system", "touch touched"), "<os.system>"),
        (call("pathlib", "PosixPath", "/", "home", "me"), "<pathlib.PosixPath>"),
        (code(float("nan")), "nan"),
        (code([1, {"a": (2.5, True)}]), [1, {"a": [2.5, True]}]),
    ],
)
def test_what_args_hold_beside_settings_is_inert(note, kept, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_pth(tmp_path / "x.pth", STATE, args=namespace(ARGS | {"note": note}), epoch=1)
    assert main(["convert", str(path), "out"]) == 0
    assert len(capsys.readouterr().err.splitlines()) == (kept == "<os.system>")
    args = json.loads((tmp_path / "out" / "config.json").read_text())["info"]["args"]
    assert {name: args[name] for name in ARGS} == ARGS
    assert kept is None or args["note"] == kept
    assert len(json.dumps(args)) < 2000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "x.pth"]


def test_odd_text_in_args_is_harmless(tmp_path):
    args = namespace(ARGS | {"note": "| \ud800\n# heading"})
    path = write_pth(tmp_path / "x.pth", STATE, args=args, epoch=1)
    assert main(["convert", str(path), str(tmp_path / "folder")]) == 0
    assert main(["convert", str(tmp_path / "folder"), str(tmp_path / "back.pth")]) == 0
    assert "\n# heading" not in (tmp_path / "back.md").read_text()


def test_a_zip_bomb(tmp_path, refusal):
    path = write_pth(tmp_path / "x.pth", STATE, args=namespace())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("any/data/bomb", bytes(50_000_000))
    assert "compressed" in refusal(path)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (3, "not a description of ours"),
        ({"format": "micron_jax 9"}, "format 'micron_jax 9'"),
        ({"format": "micron_jax 1", "model": {"width": "512"}}, "model.width='512': expected int"),
        ({"format": "micron_jax 1", "model": {"img_size": 2**23}}, "img_size=8388608: must lie in"),
        ({"format": "micron_jax 1", "model": {"depth": 10**9}}, "depth=1000000000: must lie in"),
        ({"format": "micron_jax 1", "model": {"widht": 1}}, "did you mean width?"),
    ],
)
def test_wrong_descriptions_are_refused(described, message, tmp_path, refusal):
    """In a folder and in a `.pth` of ours alike."""
    path = write_pth(tmp_path / "x.pth", STATE, args=namespace(), micron_jax=described)
    assert message in refusal(path)
    files.save(WEIGHTS, tmp_path / "folder")
    (tmp_path / "folder" / "config.json").write_text(json.dumps(described))
    assert message in refusal(tmp_path / "folder")


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "null", "[]", '{"format": "micron_jax 1"}', "\ud800"]
)
def test_invalid_config_json_is_named(text, tmp_path, refusal):
    files.save(WEIGHTS, tmp_path / "folder")
    (tmp_path / "folder" / "config.json").write_text(text, errors="surrogatepass")
    assert "config.json: " in refusal(tmp_path / "folder")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (PATCHES, with_nan, "holds 1 numbers that are NaN"),
        ("center", with_infinity, "holds 1 numbers that are NaN"),
        (PATCHES, np.transpose, "has shape (32, 192), transposed, its config.json asks for"),
        (PATCHES, lambda x: x.astype(np.float64), "is float64, not float32"),
        (PATCHES, lambda x: None, "lacks params/encoder/patch_embed/kernel"),
        ("params/encoder/block_1/norm1/bias", lambda x: np.ones(32), "unknown to its config.json"),
        ("params", lambda x: np.ones(32), "holds params, unknown to its config.json"),
    ],
)
def test_folders_of_wrong_weights(name, change, message, tmp_path, refusal):
    files.save(WEIGHTS, tmp_path / "folder")
    file = tmp_path / "folder" / "model.safetensors"
    tensors = safetensors.numpy.load_file(file)
    tensors[name] = change(tensors.get(name))
    arrays = {n: np.ascontiguousarray(x) for n, x in tensors.items() if x is not None}
    safetensors.numpy.save_file(arrays, file)
    settings = tmp_path / "folder" / "config.json"  # without checksums, as of an earlier version
    settings.write_text(json.dumps(WEIGHTS.described()))
    line = refusal(tmp_path / "folder")
    assert name in line
    assert message in line
    metadata = {files.SETTINGS: json.dumps(WEIGHTS.described())}
    safetensors.numpy.save_file(arrays, tmp_path / "x.safetensors", metadata)
    line = refusal(tmp_path / "x.safetensors")
    assert name in line
    assert message.replace("its config.json", "its own description") in line


def header(change):
    """A change of the parsed header, its length kept true."""

    def damage(raw):
        length = struct.unpack("<Q", raw[:8])[0]
        described = json.loads(raw[8 : 8 + length])
        change(described)
        text = json.dumps(described).encode()
        return struct.pack("<Q", len(text)) + text + raw[8 + length :]

    return damage


def offsets(begin, end):
    return header(lambda entries: entries["center"].update(data_offsets=[begin, end]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[:7],
        lambda raw: raw[:-1],
        lambda raw: raw + b"x",
        lambda raw: struct.pack("<Q", 2**63) + raw[8:],
        lambda raw: struct.pack("<Q", len(raw)) + raw[8:],
        lambda raw: struct.pack("<Q", 10) + raw[8:],
        lambda raw: struct.pack("<Q", 0) + raw[8:],
        lambda raw: raw[:8] + b"\xff" * 8 + raw[16:],
        offsets(0, 2**62),
        offsets(-4, 4),
        offsets(8, 4),
        header(lambda entries: entries["center"].update(dtype="F8_E4M3")),
        header(lambda entries: entries["center"].update(dtype="OBJECT")),
        header(lambda entries: entries["center"].update(shape=[2**40, 2**40])),
        header(lambda entries: entries.update(more={"a": 1})),
    ],
)
def test_safetensors_with_a_wrong_header_are_refused(damage, tmp_path, refusal):
    files.save(WEIGHTS, tmp_path / "folder")
    file = tmp_path / "folder" / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    assert "model.safetensors: damaged" in refusal(tmp_path / "folder")
    files.save(WEIGHTS, tmp_path / "x.safetensors")
    file = tmp_path / "x.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    assert "x.safetensors: damaged" in refusal(file)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (None, "its metadata hold no settings of ours; name a folder that"),
        ("{", "its settings cannot be read"),
        ("[" * 100_000, "its settings cannot be read"),
        ('{"format": "micron_jax 9"}', "format 'micron_jax 9'"),
        (json.dumps(WEIGHTS.described()), "more, which its own description asks for"),
    ],
)
def test_wrong_single_files_are_refused(settings, message, tmp_path, refusal):
    arrays = WEIGHTS.flat() if settings is None else {"center": WEIGHTS.center}
    metadata = settings and {files.SETTINGS: settings}
    safetensors.numpy.save_file(arrays, tmp_path / "x.safetensors", metadata)
    assert message in refusal(tmp_path / "x.safetensors")


def test_a_file_out_of_a_folder_is_refused(tmp_path, refusal):
    files.save(WEIGHTS, tmp_path / "folder")
    assert "name the folder" in refusal(tmp_path / "folder" / "model.safetensors")
