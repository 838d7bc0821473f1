"""Ours beside the PyTorch release itself: its class, its weights, its `get_model`, both ways.

It wants a checkout of the release, which has no license and is not part of this project:

    git clone https://github.com/uark-cviu/Micron-BERT
    pip install '.[torch]' && pip install --no-deps timm==0.4.12
    MICRON_RELEASE=$PWD/Micron-BERT pytest -m release
"""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.drawn_weights import draw_weights

import micron_jax
from micron_jax.checkpoints import files
from micron_jax.cli import main
from micron_jax.models.config import SIZES, ModelConfig
from micron_jax.parity import inputs, live

pytestmark = pytest.mark.release

# 64 px, yet with the projection head that the release always has.
TINY = dict(
    img_size=64, patch_size=8, width=64, depth=2, heads=4,
    decoder_width=32, decoder_depth=1, decoder_heads=2, projection_dim=128,
)  # fmt: skip
MAKE = """
import argparse, functools, sys
sys.path.insert(0, sys.argv[2])
import torch_process
torch, mae = torch_process.prepare(sys.argv[1])
torch.manual_seed(0)
said = dict(has_decoder=True, aux_cls=False, img_size=64, att_loss=False, enable_dino=True,
            diag_att=sys.argv[4] == "diag", out_dim=128, local_crops_number=8,
            warmup_teacher_temp=0.04, teacher_temp=0.04, warmup_teacher_temp_epochs=0, epochs=200)
sizes = dict(patch_size=8, embed_dim=64, depth=2, num_heads=4, decoder_embed_dim=32,
             decoder_depth=1, decoder_num_heads=2)
norm = functools.partial(torch.nn.LayerNorm, eps=1e-6)
model = mae.MaskedAutoencoderViT(**said, **sizes, norm_layer=norm)
with torch.no_grad():
    for parameter in model.parameters():  # biases begin at 0 and gains at 1: they would test little
        if parameter.requires_grad and parameter.ndim == 1:
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.dino_loss_fn.center.add_(0.01 * torch.randn(1, 128))
args = argparse.Namespace(model_name="mae_tiny", num_heads=4, decoder_num_heads=2, **said)
torch.save({"model": model.state_dict(), "args": args, "epoch": 3}, sys.argv[3])
"""
GET_MODEL = """
import sys
sys.path.insert(0, sys.argv[2])
import torch_process
torch, mae = torch_process.prepare(sys.argv[1])
exec(sys.argv[5])  # the release's own function, as it stands in micron_bert.py
import numpy as np
model, args = get_model(sys.argv[3])
image = torch.from_numpy(np.load(sys.argv[4])["image"])
np.savez(sys.argv[4], features=model.eval().extract_features(image).numpy(), size=args.img_size)
"""


@pytest.fixture(scope="module")
def checkout() -> Path:
    path = os.environ.get("MICRON_RELEASE")
    missing = [name for name in ("torch", "timm") if importlib.util.find_spec(name) is None]
    if not path or missing:
        pytest.skip(
            f"NOT COMPARED WITH THE RELEASE: {', '.join(missing) or 'MICRON_RELEASE'} is missing. "
            "git clone https://github.com/uark-cviu/Micron-BERT; pip install '.[torch]'; "
            "pip install --no-deps timm==0.4.12; MICRON_RELEASE=$PWD/Micron-BERT pytest -m release"
        )
    return Path(path).absolute()


def script(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


PARITY = Path(live.__file__).parent


@pytest.fixture(scope="module", params=["full", "diag"])
def released(checkout, tmp_path_factory, request) -> Path:
    path = tmp_path_factory.mktemp("theirs") / "release.pth"
    script(MAKE, checkout, PARITY, path, request.param)
    return path


def compared(arguments, capsys, status=0):
    """The checks of `compare` by name, which are shown too: `pytest -s` prints the figures."""
    out = Path(arguments[0]).parent / "out.json"
    command = ["compare", "--checkpoint", *map(str, arguments), "--json", str(out)]
    assert main(command) == status
    with capsys.disabled():
        print("\n" + capsys.readouterr().out)
    return {check["name"]: check for check in json.loads(out.read_text())["checks"]}


def test_a_checkpoint_of_its_own_class(released, checkout, tmp_path, capsys):
    assert main(["convert", str(released), str(tmp_path / "folder")]) == 0
    path = shutil.copy(released, tmp_path)
    checks = compared([path, "--release", checkout, "--record", tmp_path / "r.npz"], capsys)
    assert {"projection/teacher", "gradient/head", "loss/agreement"} <= checks.keys()
    assert all(check["ok"] for check in checks.values())
    again = compared([tmp_path / "folder", "--recording", tmp_path / "r.npz"], capsys)
    assert again == checks
    # and back: the same tensors, which the release loads with strict=True
    assert main(["convert", str(tmp_path / "folder"), str(tmp_path / "back.pth")]) == 0
    import torch

    restored = torch.load(tmp_path / "back.pth", weights_only=True)["model"]
    before = torch.load(released, weights_only=False)["model"]
    assert restored.keys() == before.keys()
    assert all(torch.equal(restored[name], before[name]) for name in before)


def test_own_weights_and_images(checkout, tmp_path, capsys):
    files.save(draw_weights(ModelConfig(**TINY)), tmp_path / "ours")
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 256, (50, 40, 3)).astype(np.uint8))
    images = ["--input", tmp_path / "0.png", tmp_path / "1.png", tmp_path / "2.png"]
    checks = compared([tmp_path / "ours", "--release", checkout, *images], capsys)
    assert all(check["ok"] for check in checks.values())


def test_get_model_of_the_release(checkout, tmp_path):
    config = ModelConfig(**SIZES["small"], projection_dim=128)
    files.save(draw_weights(config), tmp_path / "ours")
    assert main(["convert", str(tmp_path / "ours"), str(tmp_path / "ours.pth")]) == 0
    pictures = inputs.draw_images(224)
    image = inputs.make_views(pictures, config)["cur"]
    np.savez(tmp_path / "io.npz", image=np.moveaxis(image, -1, 1))
    tree = ast.parse((checkout / "micron_bert.py").read_text())
    (function,) = [x for x in tree.body if getattr(x, "name", None) == "get_model"]
    paths = checkout, PARITY, tmp_path / "ours.pth", tmp_path / "io.npz"
    script(GET_MODEL, *paths, ast.unparse(function))
    with np.load(tmp_path / "io.npz") as released:
        assert released["size"] == 224
        features = np.asarray(micron_jax.load(tmp_path / "ours").features(pictures[:1]))
        error = np.abs(features - released["features"]).max() / np.abs(released["features"]).max()
    print(f"features beside get_model's: {error:.1e}")
    assert error < 1e-5


@pytest.fixture
def patched(checkout, tmp_path):
    """(text, other) -> a copy of the checkout with a piece of models/mae.py exchanged."""

    def patched(text, other):
        shutil.copytree(checkout, tmp_path / "patched", ignore=shutil.ignore_patterns(".git"))
        path = tmp_path / "patched" / "models" / "mae.py"
        code = path.read_text()
        assert text in code
        path.write_text(code.replace(text, other))
        return tmp_path / "patched"

    return patched


@pytest.mark.parametrize(
    ("text", "other", "message"),
    [
        (
            "self.att_loss = att_loss",
            "self.extra = nn.Linear(2, 2)",
            "does not take the checkpoint",
        ),
        ("diag_att=False,\n        # DINO", "# DINO", "is not the public release's"),
        ("return x, att, None", "return x, att", "fails as the public release does not"),
    ],
)
def test_a_patched_release(patched, text, other, message, tmp_path, capsys):
    files.save(draw_weights(ModelConfig(**TINY)), tmp_path / "ours")
    arguments = ["--checkpoint", tmp_path / "ours", "--release", patched(text, other)]
    assert main(["compare", *map(str, arguments)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert message in line
    assert "patched" in line


def test_a_release_that_computes_otherwise(patched, tmp_path, capsys):
    files.save(draw_weights(ModelConfig(**TINY)), tmp_path / "ours")
    other = patched("x = x + self.decoder_pos_embed[:, 1:, :]", "pass")
    checks = compared([tmp_path / "ours", "--release", other], capsys, status=1)
    outputs = [n for n, c in checks.items() if not c["ok"] and not n.startswith("gradient")]
    assert outputs[0] == "decoder/block_0"
    assert "dma/output" not in outputs


def test_a_release_that_changes_the_weights(patched, tmp_path, capsys):
    files.save(draw_weights(ModelConfig(**TINY)), tmp_path / "ours")
    own = "def float(self):\n        self.att.to_v.bias.data += 1\n        return self\n\n    "
    other = patched("def forward_encoder_(", own + "def forward_encoder_(")
    assert main(["compare", "--checkpoint", str(tmp_path / "ours"), "--release", str(other)]) == 2
    assert "first att.to_v.bias, 1 of" in capsys.readouterr().err
