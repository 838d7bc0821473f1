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
            warmup_teacher_temp=0.03, teacher_temp=0.05, warmup_teacher_temp_epochs=3, epochs=20)
sizes = dict(patch_size=8, embed_dim=64, depth=2, num_heads=4, decoder_embed_dim=32,
             decoder_depth=1, decoder_num_heads=2)
norm = functools.partial(torch.nn.LayerNorm, eps=1e-6)
model = mae.MaskedAutoencoderViT(**said, **sizes, norm_layer=norm)
with torch.no_grad():
    for parameter in model.parameters():  # biases begin at 0 and gains at 1: they would test little
        if parameter.requires_grad and parameter.ndim == 1:
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.dino_loss_fn.center.add_(0.01 * torch.randn(1, 128))
heads = int(sys.argv[5])  # what is written; it has four
args = argparse.Namespace(model_name="mae_tiny", num_heads=heads, decoder_num_heads=2, **said)
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
    script(MAKE, checkout, PARITY, path, request.param, 4)
    return path


def compared(arguments, capsys, status=0, warning=""):
    """The checks of `compare` by name, which are shown too: `pytest -s` prints the figures."""
    out = Path(arguments[0]).parent / "out.json"
    command = ["compare", "--checkpoint", *map(str, arguments), "--json", str(out)]
    assert main(command) == status
    printed = capsys.readouterr()
    assert warning in printed.err
    with capsys.disabled():
        print("\n" + printed.out)
    return {check["name"]: check for check in json.loads(out.read_text())["checks"]}


def test_a_checkpoint_of_its_own_class(released, checkout, tmp_path, capsys):
    assert main(["convert", str(released), str(tmp_path / "folder")]) == 0
    path = shutil.copy(released, tmp_path)
    arguments = [path, "--release", checkout, "--record", tmp_path / "r.npz"]
    warning = "builds no 'mae_tiny'; its class is made, of the sizes and the 4 and 2 heads"
    checks = compared(arguments, capsys, warning=warning)
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
        features = np.asarray(micron_jax.load(tmp_path / "ours").features(pictures[:-1]))
        assert features.shape == released["features"].shape
        error = np.abs(features - released["features"]).max() / np.abs(released["features"]).max()
    print(f"features beside get_model's: {error:.1e}")
    assert error < 1e-5


# A size that `get_model` builds, and that is computed in seconds.
MAE_TINY = """

def mae_tiny(**kwargs):
    return MaskedAutoencoderViT(
        patch_size=8, embed_dim=64, depth=2, num_heads=4, decoder_embed_dim=32, decoder_depth=1,
        decoder_num_heads=2, mlp_ratio=4, norm_layer=partial(nn.LayerNorm, eps=1e-6), **kwargs)
"""


@pytest.fixture
def patched(checkout, tmp_path):
    """(text, other) -> a copy of the checkout with `mae_tiny`, and a piece of a file exchanged."""

    def patched(text="", other="", file="models/mae.py"):
        folder = tmp_path / "patched"
        shutil.copytree(checkout, folder, ignore=shutil.ignore_patterns(".git"))
        with (folder / "models" / "mae.py").open("a") as mae:
            mae.write(MAE_TINY)
        code = (folder / file).read_text()
        assert text in code
        (folder / file).write_text(code.replace(text, other) if text else code)
        return folder

    return patched


def test_get_model_builds_what_the_checkout_names(released, patched, tmp_path, capsys):
    path, folder = shutil.copy(released, tmp_path), patched()
    checks = compared([path, "--release", folder, "--record", tmp_path / "r.npz"], capsys)
    assert {"image", "features", "dino/views", "dino/center", "dino/average"} <= checks.keys()
    assert all(check["ok"] for check in checks.values())
    # Of heads, only the name of the architecture tells.
    script(MAKE, folder, PARITY, tmp_path / "other.pth", "full", 2)
    assert (
        main(["compare", "--checkpoint", str(tmp_path / "other.pth"), "--release", str(folder)])
        == 2
    )
    assert "last_attention has shape (2, 4, 65, 65), not (2, 2, " in capsys.readouterr().err


V, B, D = "models/vision_transformer.py", "micron_bert.py", "models/dino.py"


@pytest.mark.parametrize(
    ("text", "other", "file", "first"),
    [
        ("0.485", "0.5", B, "image"),
        ("0.225", "0.23", B, "image"),
        (") / 255", ")", B, "image"),
        ("image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)", "pass", B, "image"),
        ("teacher_temp=args.teacher_temp", "teacher_temp=0.07", B, "dino/temperature"),
        ("local_crops_number=args.local_crops_number", "local_crops_number=3", B, "dino/views"),
        ("@torch.no_grad()\n    def extract_features(self, x):\n        x = self.backbone(x)",
         "def extract_features(self, x):\n        x = self.backbone.prepare_tokens(x)",
         "models/mae.py", "features"),
        ("return features, diag", "return -features, diag", "models/mae.py", "heat/output"),
        ("center_momentum=0.9,", "center_momentum=0.99,", "models/mae.py", "dino/center"),
        ("param_k.data.mul_(m)", "param_k.data.mul_(0.9 * m)", "models/mae.py", "dino/average"),
        ("momentum_teacher, 1, ", "momentum_teacher, 0.99, ", "models/mae.py", "dino/average"),
        ("self.student.parameters(), self.teacher.parameters()",
         "self.student.head.parameters(), self.teacher.head.parameters()",
         "models/mae.py", "dino/average"),
        ("teacher_out.detach()", "teacher_out", "models/mae.py", "gradient/teacher"),
        ('"nhwpqc->nchpwq"', '"nhwpqc->ncwqhp"', "models/mae.py", "decoder/image"),
        ("target.var(dim=-1, keepdim=True)", "target.var(dim=-1, keepdim=True, unbiased=False)",
         "models/mae.py", "decoder/loss_norm_pix"),
        ("1 / (diag_attentions.max())", "1 / diag_attentions.amax((1, 2, 3), keepdim=True)",
         "models/mae.py", "heat/release"),
        ("self.att_loss = att_loss",
         "self.register_buffer('extra', torch.ones(3), persistent=False)",
         "models/mae.py", "only there: extra"),
        ("act_layer=nn.GELU", "act_layer=partial(nn.GELU, approximate='tanh')", V, "block_0"),
        ("_out = _out[:, 0]", "_out = _out[:, -1]", D, "projection/student"),
    ],
)  # fmt: skip
def test_one_change_of_the_release_is_seen(
    text, other, file, first, released, patched, tmp_path, capsys
):
    if "full" not in str(released.parent):
        pytest.skip("the diagonal alone has no map")
    path = shutil.copy(released, tmp_path)
    checks = compared([path, "--release", patched(text, other, file)], capsys, status=1)
    assert next(name for name, check in checks.items() if not check["ok"]) == first


def test_a_checkpoint_that_get_model_does_not_take_is_given_anew(patched, tmp_path, capsys):
    folder = patched()
    script(MAKE, folder, PARITY, tmp_path / "own.pth", "full", 4)
    import torch

    checkpoint = torch.load(tmp_path / "own.pth", weights_only=False)
    del checkpoint["args"].aux_cls
    torch.save(checkpoint, tmp_path / "own.pth")
    warning = "own.pth: the release's get_model does not take this file (AttributeError: "
    compared([tmp_path / "own.pth", "--release", folder], capsys, warning=warning)


@pytest.mark.parametrize(
    ("text", "other", "message"),
    [
        (
            "self.att_loss = att_loss",
            "self.extra = nn.Linear(2, 2)",
            "does not take the checkpoint",
        ),
        ("diag_att=False,\n        # DINO", "# DINO", "does not take the checkpoint"),
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
