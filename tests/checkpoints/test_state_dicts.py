"""State dicts as training scripts leave them: the same network, whatever is wrapped around it."""

import dataclasses
import json
import warnings
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from helpers import tiny
from helpers.drawn_weights import draw_weights
from helpers.pickles import Code, build, call, code, name, tensor, write_pth
from helpers.refusals import refusal

import micron_jax
from micron_jax.checkpoints import files, load, release
from micron_jax.checkpoints.state_dicts import bare
from micron_jax.checkpoints.tensor_file import open_tensors
from micron_jax.cli import main
from micron_jax.errors import Notice, UserError
from micron_jax.models.classifier import ClassifierConfig, PairFeatures

ARGS = {"num_heads": 2, "decoder_num_heads": 2, "diag_att": False}
WEIGHTS = draw_weights(tiny.RELEASE)
STATE = release.state_dict(WEIGHTS)
OTHER = {name: x + 1 for name, x in STATE.items()}
FRAMES = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)


@pytest.fixture
def read(tmp_path):
    """(checkpoint, given) -> what is read of it, and the notices."""

    def read(checkpoint, given=None):
        tensors, records = {}, {}

        def coded(value):
            if isinstance(value, np.ndarray):
                key = tensors.setdefault(id(value), str(len(tensors)))
                records[key] = np.ascontiguousarray(value).tobytes()
                kinds = {"float16": "Half", "bfloat16": "BFloat16", "float64": "Double"}
                strides = tuple(np.cumprod((1, *value.shape[::-1]))[-2::-1].tolist())
                kind = f"{kinds.get(str(value.dtype), 'Float')}Storage"
                return tensor(value.shape, strides, key=key, count=value.size, kind=kind)
            if isinstance(value, dict):
                return {key: coded(entry) for key, entry in value.items()}
            return value

        path = tmp_path / "x.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("any/data.pkl", b"\x80\x02" + code(coded(checkpoint)) + b".")
            for key, raw in records.items():
                archive.writestr(f"any/data/{key}", raw)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            weights = load.read(path, given=given)
        assert all(issubclass(one.category, Notice) for one in caught)
        return weights, [str(one.message).removeprefix(f"{path}: ") for one in caught]

    return read


def renamed(change):
    return {change(name): x for name, x in STATE.items()}


def within(name):
    """A name of a network of which parts are wrapped."""
    name = name.replace("student.backbone.", "student.module.backbone._orig_mod.")
    name = name.replace("teacher.backbone.", "teacher._fsdp_wrapped_module.backbone.")
    return name.replace("blocks.0.", "blocks.0._checkpoint_wrapped_module.")


def new_weight_norm(name):
    name = name.replace("last_layer.weight_g", "last_layer.parametrizations.weight.original0")
    return name.replace("last_layer.weight_v", "last_layer.parametrizations.weight.original1")


def part(*prefixes):
    return {name: x for name, x in STATE.items() if name.startswith(prefixes)}


def without(*prefixes):
    return {name: x for name, x in STATE.items() if not name.startswith(prefixes)}


PREFIXES = (
    "", "module.", "_orig_mod.", "module._orig_mod.", "_fsdp_wrapped_module.", "model.", "net.",
    "encoder.", "mae.net._orig_mod.model.", "student.",
)  # fmt: skip
CHOSEN = "took the network in 'model/student', not that in 'model/teacher'"
WRAPPED = {
    "within": {"model": renamed(within), "args": ARGS},
    "weight norm": {"model": renamed(new_weight_norm), "args": ARGS},
    "weight norm, compiled": {
        "model": renamed(lambda name: f"module._orig_mod.{new_weight_norm(name)}"),
        "args": ARGS,
    },
    "dropped twins": {"model": without("student.backbone."), "args": ARGS},
    "dropped originals": {"model": without("backbone."), "args": ARGS},
    "a distillation's student": {
        "model": renamed(lambda name: f"student.{name}")
        | {f"teacher.{n}": x for n, x in OTHER.items()},
        "args": ARGS,
    },
    "lightning": {
        "epoch": 1,
        "pytorch-lightning_version": "2.0.0",
        "state_dict": renamed(lambda name: f"model.{name}"),
        "hyper_parameters": ARGS,
    },
    "lightning, args within": {
        "state_dict": renamed(lambda name: f"net.module.{name}"),
        "hyper_parameters": {"lr": 0.1, "args": build(call("argparse", "Namespace"), ARGS)},
    },
    "beside": {"model": STATE, **ARGS},
    "of a class": {"model": STATE, "config": build(call("my", "Config"), ARGS)},
    "text": {"model": STATE, "args": ARGS | {"diag_att": "False"}},
} | {
    key: {key: STATE, "args": ARGS}
    for key in ("state_dict", "net", "model_state_dict", "module", "ema", "weights")
}


def same(weights):
    assert weights.config == tiny.RELEASE
    here, there = WEIGHTS.flat(), weights.flat()
    assert here.keys() == there.keys()
    for path, array in here.items():
        np.testing.assert_array_equal(there[path], array, err_msg=path)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_words_before_all_names(prefix, read):
    weights, notices = read(
        {"model": {prefix + name: x for name, x in STATE.items()}, "args": ARGS}
    )
    same(weights)
    assert notices == []


@pytest.mark.parametrize("kind", WRAPPED)
def test_wrappers(kind, read):
    weights, notices = read(WRAPPED[kind])
    same(weights)
    assert notices[:1] == ([CHOSEN] if kind == "a distillation's student" else [])


def test_a_bare_state_dict_wants_what_no_shape_tells(read, tmp_path, capsys):
    same(read(STATE, ARGS)[0])
    with pytest.raises(
        UserError, match=r"its encoder, of width 32 and depth 1, .* give num_heads$"
    ):
        read(STATE)
    path = str(tmp_path / "x.pth")
    line = refusal(["convert", path, str(tmp_path / "out")], capsys)
    assert line.endswith("give num_heads (--heads N)")
    heads = ["--heads", "2", "--decoder-heads", "2"]
    assert main(["convert", *heads, path, str(tmp_path / "out")]) == 0
    assert "warning: " + path + ": nothing in it says diag_att; False" in capsys.readouterr().err
    same(load.read(tmp_path / "out"))
    for i, flag in enumerate((["--diag-att"], ["--diag-att", "True"], ["--diag-att=true"])):
        assert main(["convert", *heads, *flag, path, str(tmp_path / f"diagonal{i}")]) == 0
        assert capsys.readouterr().err == ""
        assert load.read(tmp_path / f"diagonal{i}").config.dma_diagonal
    argv = ["convert", "--heads", "2", "--diag-att", "false", path, str(tmp_path / "one")]
    assert main(argv) == 0
    told = capsys.readouterr().err.splitlines()
    assert told == [
        f"micron-jax: warning: {path}: decoder_num_heads=2 is taken, as for the encoder"
    ]
    same(load.read(tmp_path / "one"))
    model = micron_jax.load(path, args=ARGS)
    np.testing.assert_array_equal(
        model.features(FRAMES), micron_jax.load(tmp_path / "out").features(FRAMES)
    )


def test_given_settings_precede_those_of_the_file(read):
    weights, notices = read({"model": STATE, "args": ARGS}, {"num_heads": 4, "diag_att": True})
    assert (weights.config.heads, weights.config.dma_diagonal) == (4, True)
    assert notices == [
        "num_heads=4 is taken, though its args say 2",
        "diag_att=True is taken, though its args differ",
    ]
    assert weights.info["notices"] == notices


def test_several_networks(read):
    weights, notices = read({"model": STATE, "ema": OTHER, "args": ARGS})
    same(weights)
    assert notices == ["took the network in 'model', not that in 'ema'"]
    same(read({"model": OTHER, "model_ema": STATE, "args": ARGS}, {"state": "model_ema"})[0])
    both = {f"net.{name}": x for name, x in STATE.items()}
    both |= {f"ema_net.{name}": x for name, x in OTHER.items()}
    same(read({"state_dict": both, "args": ARGS})[0])
    same(read({"model": STATE, "best": OTHER, "args": ARGS})[0])
    with pytest.raises(UserError, match="holds several networks, in 'a', 'b': choose one by state"):
        read({"a": STATE, "b": OTHER, "args": ARGS})
    same(read({"a": OTHER, "b": {"net": STATE}, "args": ARGS}, {"state": "b/net"})[0])
    with pytest.raises(UserError, match="holds no network in 'c'; it holds one in 'a'"):
        read({"a": STATE, "args": ARGS}, {"state": "c"})


@pytest.mark.parametrize("bare", [False, True])
def test_an_encoder_alone(bare, read, tmp_path):
    state = {
        name.removeprefix("backbone.") if bare else name: x for name, x in part("backbone.").items()
    }
    weights, notices = read({"model": state, "args": ARGS})
    assert {*weights.params} == {"encoder"}
    assert notices[0].startswith("holds an encoder without micro-attention")
    files.save(weights, tmp_path / "folder")
    model = micron_jax.load(tmp_path / "folder")
    files.save(WEIGHTS, tmp_path / "whole")
    whole = micron_jax.load(tmp_path / "whole")
    np.testing.assert_array_equal(model.features(FRAMES), whole.features(FRAMES))
    assert model.map_kinds == ("cosine",)
    heat = model.motion_map(FRAMES, FRAMES[:, ::-1])
    np.testing.assert_array_equal(heat, whole.motion_map(FRAMES, FRAMES[:, ::-1], kind="cosine"))
    assert model.reconstruct(FRAMES, FRAMES) is None
    with pytest.raises(ValueError, match="choose one of cosine"):
        model.motion_map(FRAMES, FRAMES, kind="symmetric")
    bound = PairFeatures(weights.config, ClassifierConfig(features="cosine"))
    bound = bound.bind({"params": {"backbone": weights.params}})
    assert bound.motion_map(FRAMES / 255.0, FRAMES / 255.0).shape == (1, 16)


def test_no_teacher_and_no_student(read, tmp_path):
    weights, notices = read({"model": without("teacher.", "dino_loss_fn."), "args": ARGS})
    assert (weights.teacher, notices) == ({}, ["holds no teacher"])
    files.save(weights, tmp_path / "folder")
    with pytest.raises(UserError, match="this checkpoint holds no teacher"):
        load.read(tmp_path / "folder", weights="teacher")
    weights, notices = read({"model": without("student."), "args": ARGS})
    assert weights.teacher == {}
    assert notices == [
        "left out a teacher, as there is no head of the student (student.head) beside it"
    ]


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.float16, "80 of 80 arrays are float16: read as float32, which keeps their values"),
        (ml_dtypes.bfloat16, "80 of 80 arrays are bfloat16: read as float32, which keeps"),
        (np.float64, "80 of 80 arrays are float64: read as float32, which rounds them"),
    ],
)
def test_other_floats_are_told(dtype, words, read):
    weights, notices = read({"model": {n: x.astype(dtype) for n, x in STATE.items()}, "args": ARGS})
    assert len(notices) == 1
    assert notices[0].startswith(words)
    wanted = WEIGHTS.params["encoder"]["patch_embed"]["kernel"].astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(weights.params["encoder"]["patch_embed"]["kernel"], wanted)


def test_what_is_no_part_of_the_network_is_told(read):
    extra = {"head.weight": np.ones((3, 32), np.float32), "n_averaged": np.ones((), np.float32)}
    weights, notices = read({"model": STATE | extra | {"att._extra_state": 3}, "args": ARGS})
    same(weights)
    assert notices == [
        "left out what is no tensor: att._extra_state",
        "left out what is no part of the network: head.weight, n_averaged",
    ]
    extra = {"fc.weight": np.ones((3, 32), np.float32), "fc.bias": np.ones(3, np.float32)}
    weights, notices = read({"model": STATE | extra, "args": ARGS})
    same(weights)
    assert notices == ["left out a classifier that the release has not: fc.weight, fc.bias"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"att.extra.weight": np.ones(3, np.float32)}, "holds att.extra.weight, unknown to"),
        ({"backbone.blocks.0.ls1.gamma": np.ones(3, np.float32)}, "holds backbone.blocks.0.ls1"),
        ({"module.att.proj.bias": np.ones(32, np.float32)}, "att.proj.bias twice"),
        ({"att.proj.bias": call("torch._utils", "_rebuild_qtensor", 1)}, "_qtensor>, no plain"),
        ({"backbone.pos_embed": call("my", "Shard"), "student.backbone.pos_embed": 1}, "my.Shard>"),
        ({"x\x1b[2J": np.ones(3, np.float32)}, r"an array named x\\x1b\[2J, as no module"),
    ],
)
def test_what_changes_the_network_is_refused(change, message, read):
    with pytest.raises(UserError, match=message):
        read({"model": STATE | change, "args": ARGS})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (ARGS | {"num_heads": call("numpy", "int64", 2)}, "num_heads=<numpy.int64>, which is no"),
        (ARGS | {"diag_att": "yes"}, "diag_att='yes', neither True nor False: give diag_att"),
    ],
)
def test_settings_that_cannot_be_read(args, message, read):
    with pytest.raises(UserError, match=message):
        read({"model": STATE, "args": args})


def test_a_state_as_safetensors(tmp_path, capsys):
    state = without("student.backbone.")  # such files hold no array twice
    safetensors.numpy.save_file(
        {f"model.{n}": np.ascontiguousarray(x) for n, x in state.items()},
        tmp_path / "x.safetensors",
    )
    heads = ["--heads", "2", "--decoder-heads", "2", "--no-diag-att"]
    path = str(tmp_path / "x.safetensors")
    assert main(["convert", *heads, path, str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err == ""
    same(load.read(tmp_path / "out"))
    header = {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    raw = len(text).to_bytes(8, "little") + text + np.array([1, -2], ml_dtypes.bfloat16).tobytes()
    (tmp_path / "b.safetensors").write_bytes(raw)
    np.testing.assert_array_equal(open_tensors(tmp_path / "b.safetensors").arrays()["w"], [1, -2])


def module(parameters=(), children=(), **attributes):
    """A pickled torch module of another's class."""
    parameters = {
        key: call("torch._utils", "_rebuild_parameter", x, True, None) for key, x in parameters
    }
    fields = {"_parameters": parameters, "_buffers": {}, "_modules": dict(children)}
    return build(Code(name("models.mae", "Part") + b")\x81"), fields | attributes)


def test_a_network_saved_as_an_object(tmp_path):
    """`torch.save(model)`: its modules lie nested, and know their heads."""
    records: dict[str, np.ndarray] = {}

    def nested(prefix):
        inner = {n.removeprefix(prefix): x for n, x in STATE.items() if n.startswith(prefix)}
        own, children = [], {}
        for key, array in inner.items():
            child = key.split(".")[0]
            if child == key:
                records[str(len(records))] = array
                strides = tuple(np.cumprod((1, *array.shape[::-1]))[-2::-1].tolist())
                place = str(len(records) - 1)
                own.append((key, tensor(array.shape, strides, key=place, count=array.size)))
            elif child not in children:
                children[child] = nested(f"{prefix}{child}.")
        attributes = {"num_heads": 2} if prefix.endswith("attn.") else {}
        attributes |= {"diag_att": True} if prefix == "" else {}
        return module(own, children.items(), **attributes)

    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("any/data.pkl", b"\x80\x02" + nested("") + b".")
        for key, array in records.items():
            archive.writestr(f"any/data/{key}", np.ascontiguousarray(array).tobytes())
    weights = load.read(tmp_path / "x.pth")
    assert weights.config == dataclasses.replace(tiny.RELEASE, dma_diagonal=True)
    np.testing.assert_equal(weights.params, WEIGHTS.params)


def test_what_torch_itself_wraps(tmp_path):
    torch = pytest.importorskip("torch")
    inner = torch.nn.ModuleDict({"backbone": torch.nn.Linear(2, 2), "att": torch.nn.Linear(2, 2)})
    compiled = torch.compile(torch.nn.DataParallel(inner))
    assert {bare(name) for name in compiled.state_dict()} == {*inner.state_dict()}
    normed = torch.nn.Module()
    normed.last_layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 3))
    older = torch.nn.Module()
    older.last_layer = torch.nn.utils.weight_norm(torch.nn.Linear(2, 3))
    shapes = {bare(name): x.shape for name, x in normed.state_dict().items()}
    assert shapes == {name: x.shape for name, x in older.state_dict().items()}


def test_scalars_of_a_script_do_not_disturb(tmp_path):
    path = write_pth(tmp_path / "x.pth", STATE, args=ARGS, epoch=call("numpy", "int64", 3))
    weights = load.read(path)
    assert weights.info["epoch"] is None
    same(weights)
