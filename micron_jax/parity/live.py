"""A checkpoint in a checkout of the PyTorch release, beside micron_jax, layer by layer.

The release runs in a process of its own (`torch_process.py`) and answers with arrays: the output
of each layer, the losses, the gradients, and a checksum of each weight.
"""

import dataclasses
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from micron_jax.checkpoints.release import state_dict
from micron_jax.checkpoints.release_architecture import (
    RELEASE_MODEL,
    class_arguments,
    is_release_size,
)
from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError
from micron_jax.parity import layer_outputs
from micron_jax.parity.recorded import Check, Recording, check, checksum, vectors

_DEPTH = (
    "loss", "patch_embed", "cls_token", "tokens", "block", "norm", "last_attention", "dma", "heat",
    "decoder/embed", "decoder/block", "decoder/norm", "decoder/pred", "projection", "head",
)  # fmt: skip
_TORCH_PROCESS = Path(__file__).with_name("torch_process.py")


def check_checkout(checkout: Path) -> None:
    """Raises a `UserError` unless a folder is a checkout of the release."""
    if not (checkout / "models" / "mae.py").is_file():
        raise UserError(
            f"{checkout}: no models/mae.py in it, so not a checkout of the release: git clone "
            "https://github.com/uark-cviu/Micron-BERT and name that folder"
        )


def record(weights: Weights, checkpoint: Path, checkout: Path, views: dict) -> Recording:
    """Runs the release's own code in another process.

    Args:
      weights: of the checkpoint; of a model without `differences`.
      checkpoint: a `.pth`, which torch reads.
      checkout: the folder of the release that holds `models/mae.py`.
      views: see `inputs.make_views`.

    Raises:
      UserError: no checkout, no torch, no timm, or the checkout is another than the public one.
    """
    check_checkout(checkout)
    settings = {
        "model_name": RELEASE_MODEL if is_release_size(weights.config) else "MaskedAutoencoderViT",
        "arguments": class_arguments(weights),
        "local_crops": views["local"].shape[1],
    }
    crops = [views[kind][:, i] for kind in ("global", "local") for i in range(2)]
    images = {name: views[name] for name in ("rep", "ref", "cur")}
    images |= {f"crop{i}": crop for i, crop in enumerate(crops)}
    images = {name: np.moveaxis(view, -1, 1) for name, view in images.items()}
    with tempfile.TemporaryDirectory() as scratch:
        request, answer = Path(scratch, "request.npz"), Path(scratch, "answer.npz")
        np.savez(request, settings=json.dumps(settings), **images)
        paths = [str(path.absolute()) for path in (checkout, checkpoint, request, answer)]
        command = [sys.executable, "-P", str(_TORCH_PROCESS), *paths]
        process = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if process.returncode == 3:
            raise UserError(f"{checkout}: {process.stdout.splitlines()[-1]}")
        if process.returncode:
            last = (process.stderr.splitlines() or ["no message"])[-1][:300]
            raise UserError(f"{checkout}: the release ended with {process.returncode} ({last})")
        with np.load(answer) as file:
            results = dict(file)
    checksums = json.loads(str(results.pop("weights")))
    return Recording(str(checkout), results, views, checksums)


def compare(weights: Weights, recording: Recording) -> Iterator[Check]:
    """Compares micron_jax with a recording, in order of depth: layers, losses, gradients.

    A gradient is compared over all weights of a layer together: the true gradient of some, such as
    a key's bias, is zero, and what is left of it is the rounding of the two sides.

    Raises:
      UserError: the weights are not those of the recording, or a layer has another shape there.
    """
    here = {name: checksum(array) for name, array in state_dict(weights).items()}
    there = recording.checksums
    if differing := [name for name in {**there, **here} if here.get(name) != there.get(name)]:
        raise UserError(
            f"{recording.source}: holds other weights than the checkpoint (first {differing[0]}, "
            f"{len(differing)} of {len(here)} in all): compare with the checkpoint it was made from"
        )
    weights = dataclasses.replace(weights, config=weights.config.computed_in("float32"))
    # Where the device has faster products than float32's, they are not what is compared.
    with jax.default_matmul_precision("highest"):
        yield from _compare_layers(layer_outputs.outputs(weights, recording.views), recording)
        yield from _compare_layers(layer_outputs.training(weights, recording.views), recording)


def _compare_layers(layers: dict, recording: Recording) -> Iterator[Check]:
    groups: dict[str, list] = {}
    for name, values in layers.items():
        reference = recording.results.get(name)
        if reference is None and name.startswith("gradient/"):
            if not values.any():
                continue  # frozen on both sides
            reference = np.zeros_like(values)
        if reference is None:
            raise UserError(f"{recording.source}: {name} is missing: a patched release?")
        pair = vectors(recording.source, name, values, reference)
        groups.setdefault(_group(name), []).append(pair)
    for name, pairs in sorted(groups.items(), key=lambda group: _depth(group[0])):
        sides = (np.concatenate(side) for side in zip(*pairs, strict=True))
        yield check(name, *sides, "gradient" if name.startswith("gradient/") else "output")


def _group(name: str) -> str:
    """The layer of a gradient: `gradient/backbone.blocks.0.attn.qkv.bias` -> `gradient/block_0`."""
    if not name.startswith("gradient/"):
        return name
    name = name.removeprefix("gradient/").replace("backbone.", "")
    match = re.match(r"(?:(decoder)_)?blocks\.(\d+)|(decoder)_([a-z]+)|student\.(head)", name)
    parts = [part for part in match.groups() if part] if match else [name.partition(".")[0]]
    if match and match[2]:
        parts[-1] = f"block_{match[2]}"
    return "/".join(["gradient", *({"att": "dma"}.get(part, part) for part in parts)])


def _depth(name: str) -> tuple:
    """A layer's place in the network, for sorting."""
    name = name.replace("gradient/", "")
    place = [*(name.startswith(part) for part in _DEPTH), True].index(True)
    number = re.search(r"\d+(?=\D*$)", name)
    return place, int(number[0]) if number else -1, name
