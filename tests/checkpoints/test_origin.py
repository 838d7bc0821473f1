"""What files and cards tell of the origin of weights, and what they do not."""

import json
from argparse import Namespace

import numpy as np
import pytest
from helpers import tiny
from helpers.drawn_weights import draw_weights

from micron_jax.checkpoints import files, pth
from micron_jax.checkpoints.origin import LEFT_OUT, plain, public
from micron_jax.checkpoints.pickle_objects import Placeholder

PRIVATE = {
    "output_dir": "/home/alice/runs/x",
    "data_path": "~/data/casme",
    "resume": "./old/alice.pth",
    "root": "C:\\Users\\alice",
    "share": "\\\\server\\alice",
    "dist_url": "tcp://10.0.0.1:23456",
    "hostname": "alice-laptop",
    "wandb_key": "0123456789abcdef",
    "api_token": "alice",
    "user": "alice",
    "author": "alice@example.org",
}
KEPT = {
    "lr": 0.1,
    "model_name": "mae_vit_small_patch8",
    "note": "µ | first try",
    "betas": [0.9, 0.95],
    "dma_key": "rep",
    "opt": None,
    "source": "lab/micron@main",
}


def test_private_settings_are_left_out():
    settings = public(PRIVATE | KEPT)
    assert {settings[name] for name in PRIVATE} == {LEFT_OUT}
    assert {name: settings[name] for name in KEPT} == KEPT | {"source": "micron@main"}
    assert public("fine-tuned for casme2_5 from /home/al/runs/x (pretraining, step 10)") == (
        "fine-tuned for casme2_5 from x (pretraining, step 10)"
    )
    assert public(["data/al/corpus", {"a": "/x"}]) == ["corpus", {"a": LEFT_OUT}]


@pytest.mark.parametrize("name", ["folder", "x.pth", "x.safetensors"])
def test_no_file_holds_them(name, tmp_path):
    weights = draw_weights(tiny.PAPER, info={"source": "x", "args": PRIVATE | KEPT})
    files.save(weights, tmp_path / name)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"alice" not in path.read_bytes(), path
            assert b"0123456789abcdef" not in path.read_bytes()
            assert b"first try" in path.read_bytes() or path.name == "model.safetensors"
    if name == "x.pth":
        args = dict(pth.read(tmp_path / name)["args"])
        assert args["lr"] == 0.1
        assert "output_dir" not in args


def test_settings_become_json():
    deep: list = []
    for _ in range(1000):
        deep = [deep]
    settings = {
        "namespace": Namespace(a=1, b=Namespace(c=(1, 2))),
        "array": np.broadcast_to(np.float32(0), (2**20,) * 3),
        "placeholder": Placeholder("pathlib.PosixPath"),
        "large": 10**6000,
        "nan": float("nan"),
        "text": "x" * 10**6 + "\ud800",
        "deep": deep,
        "many": list(range(10**6)),
        3: True,
    }
    got = plain(settings)
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert got["namespace"] == {"a": 1, "b": {"c": [1, 2]}}
    assert got["array"] == "<ndarray>"
    assert got["placeholder"] == "<pathlib.PosixPath>"
    assert (got["large"], got["nan"], got["many"], got["3"]) == ("<int>", "nan", "<list>", True)
    assert len(json.dumps(got)) < 3000
    assert plain({"half": "\ud800"}) == {"half": "\\ud800"}
