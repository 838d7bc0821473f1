"""Checkpoints of the PyTorch release's own model, saved in several ways, beside its features.

See `tests/parity/test_beside_release.py` for what it wants.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from micron_jax.checkpoints import load
from micron_jax.models.micron_bert import bound
from micron_jax.parity import live

pytestmark = pytest.mark.release

SAVE = """
import argparse, functools, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
import torch_process
torch, mae = torch_process.prepare(sys.argv[1])
torch.manual_seed(0)
said = dict(has_decoder=True, aux_cls=False, img_size=64, att_loss=False, enable_dino=True,
            diag_att=True, out_dim=128, local_crops_number=8, warmup_teacher_temp=0.04,
            teacher_temp=0.04, warmup_teacher_temp_epochs=0, epochs=200)
model = mae.mae_vit_small_patch8(**said).eval()
args = argparse.Namespace(model_name="mae_vit_small_patch8", num_heads=8, **said)
state = model.state_dict()
compiled = torch.compile(torch.nn.DataParallel(model)).state_dict()
torch.save({"model": state, "args": args}, sys.argv[3] + "/args.pth")
torch.save(state, sys.argv[3] + "/bare.pth")
torch.save(model, sys.argv[3] + "/object.pth")
torch.save({"state_dict": compiled}, sys.argv[3] + "/compiled.ckpt")
torch.save({"model": state, "args": args}, sys.argv[3] + "/old.pth",
           _use_new_zipfile_serialization=False)
image = torch.randn(1, 3, 64, 64)
features = model.extract_features(image).numpy()
np.savez(sys.argv[3] + "/io.npz", image=image.numpy(), features=features)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    checkout = os.environ.get("MICRON_RELEASE")
    if not checkout:
        pytest.skip("NOT COMPARED WITH THE RELEASE: MICRON_RELEASE is missing")
    folder = tmp_path_factory.mktemp("saved")
    places = str(Path(checkout).absolute()), str(Path(live.__file__).parent), str(folder)
    process = subprocess.run([sys.executable, "-c", SAVE, *places], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.mark.parametrize("name", ["args.pth", "bare.pth", "object.pth", "compiled.ckpt", "old.pth"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_features_are_the_release_s(saved, name):
    weights = load.read(saved / name)
    assert (weights.config.heads, weights.config.decoder_heads) == (4, 4)
    with np.load(saved / "io.npz") as file:
        image, features = np.moveaxis(file["image"], 1, -1), file["features"]
    own = bound(weights.config, weights.params).encode(image)[:, 1:]
    error = np.abs(own - features).max() / np.abs(features).max()
    print(f"{name}: {error:.1e}")
    assert error < 1e-5
