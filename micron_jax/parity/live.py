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
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import jax
import numpy as np

from micron_jax.checkpoints import files
from micron_jax.checkpoints.release import state_dict
from micron_jax.checkpoints.release_architecture import class_arguments, release_args
from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import Notice, UserError
from micron_jax.parity import layer_outputs
from micron_jax.parity.inputs import check_views
from micron_jax.parity.recorded import BOUNDS, Check, Recording, check, checksum, vectors

_DEPTH = (
    "loss", "image", "patch_embed", "cls_token", "tokens", "block", "norm", "features",
    "crop_tokens", "last_attention", "dma", "heat", "decoder/embed", "decoder/block",
    "decoder/norm", "decoder/pred", "decoder/image", "decoder/loss", "projection", "head",
    "dino",
)  # fmt: skip
_TORCH_PROCESS = Path(__file__).with_name("torch_process.py")
_UNUSABLE, _NOT_TAKEN = 3, 4  # its exit statuses
_MOST = 100_000  # of epochs and the like


def check_checkout(checkout: Path) -> None:
    """Raises a `UserError` unless a folder is a checkout of the release."""
    if not (checkout / "models" / "mae.py").is_file():
        raise UserError(
            f"{checkout}: no models/mae.py in it, so not a checkout of the release: git clone "
            "https://github.com/uark-cviu/Micron-BERT and name that folder"
        )


def record(weights: Weights, checkpoint: Path | None, checkout: Path, views: dict) -> Recording:
    """Runs the release's own code in another process.

    The release's `get_model` reads the checkpoint and builds the model. Where it does not take a
    user's file, which `weights` come from all the same, it gets them in a file as it writes them.

    Args:
      weights: of the checkpoint; of a model without `differences`.
      checkpoint: a `.pth`; None: `weights` are not from one.
      checkout: the folder of the release that holds `models/mae.py`.
      views: see `inputs.make_views`.

    Raises:
      UserError: no checkout, no torch, no timm, or the checkout is another than the public one.
    """
    check_checkout(checkout)
    numbers = release_numbers(weights)
    given = {name: numbers[name] for name in layer_outputs.RELEASE_NUMBERS}
    settings = {"arguments": class_arguments(weights) | given, **numbers}
    crops = [views[kind][:, i] for kind in ("global", "local") for i in range(2)]
    images = {name: views[name] for name in ("rep", "ref", "cur")}
    images |= {f"crop{i}": crop for i, crop in enumerate(crops)}
    images = {name: np.moveaxis(view, -1, 1) for name, view in images.items()}
    with tempfile.TemporaryDirectory() as scratch:
        image, request, answer, own = (
            Path(scratch, name) for name in ("image.png", "request.npz", "answer.npz", "own.pth")
        )
        cv2.imwrite(str(image), cv2.cvtColor(views["image"], cv2.COLOR_RGB2BGR))
        np.savez(request, settings=json.dumps(settings | {"image": str(image)}), **images)
        process = checkpoint and _run(checkout, checkpoint, request, answer)
        if process is None or process.returncode == _NOT_TAKEN:
            if process:
                warnings.warn(Notice(_given_anew(checkpoint, process)), stacklevel=2)
            files.save(weights, own)
            process = _run(checkout, own, request, answer)
        if process.returncode == _NOT_TAKEN:
            why = _last_line(process.stdout)
            raise UserError(
                f"{checkout}: it does not take the checkpoint, as the public release does ({why}): "
                "patched?"
            )
        if process.returncode == _UNUSABLE:
            raise UserError(f"{checkout}: {_last_line(process.stdout)}")
        if process.returncode:
            last = _last_line(process.stderr)
            raise UserError(f"{checkout}: the release ended with {process.returncode} ({last})")
        with np.load(answer) as file:
            results = dict(file)
    checksums, unknown = json.loads(str(results.pop("weights"))), str(results.pop("unknown"))
    if checkpoint and unknown:
        config = weights.config
        warnings.warn(
            Notice(
                f"{checkpoint}: the release builds no {unknown!r}; its class is made, of the sizes "
                f"and the {config.heads} and {config.decoder_heads} heads that micron_jax reads: "
                "other numbers of heads are not seen"
            ),
            stacklevel=2,
        )
    return Recording(str(checkout), results, views, checksums, numbers)


def release_numbers(weights: Weights) -> dict[str, float]:
    """The numbers of a training that the checkpoint's `args` tell, and those of the schedules.

    Raises:
      UserError: one is no number.
    """
    args = release_args(weights)
    numbers = {name: args[name] for name in layer_outputs.RELEASE_NUMBERS}
    check_numbers("the checkpoint's args", numbers)
    return numbers | layer_outputs.AVERAGE_NUMBERS


def check_numbers(where: str, numbers: dict) -> None:
    """Raises a `UserError` unless these are numbers of a training, each of its kind."""
    usual = layer_outputs.RELEASE_NUMBERS | layer_outputs.AVERAGE_NUMBERS
    for name, value in numbers.items():
        kinds = (int,) if type(usual.get(name)) is int else (int, float)
        if name not in usual or type(value) not in kinds or not 0 <= value < _MOST:
            raise UserError(f"{where}: {name}={value!r}; a number such as {usual.get(name)} goes")


def _run(checkout: Path, *paths: Path) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-P",
        str(_TORCH_PROCESS),
        *(str(p.absolute()) for p in (checkout, *paths)),
    ]
    return subprocess.run(
        command, cwd=paths[1].parent, capture_output=True, text=True, errors="replace"
    )


def _last_line(text: str) -> str:
    return (text.splitlines() or ["no message"])[-1][:300]


def _given_anew(checkpoint: Path, process: subprocess.CompletedProcess) -> str:
    return (
        f"{checkpoint}: the release's get_model does not take this file "
        f"({_last_line(process.stdout)}); it gets the same weights in a file of its own layout"
    )


def compare(weights: Weights, recording: Recording) -> Iterator[Check]:
    """Compares micron_jax with a recording, in order of depth: layers, losses, gradients.

    A gradient is compared over all weights of a layer together: the true gradient of some, such as
    a key's bias, is zero, and what is left of it is the rounding of the two sides. Arrays that
    only the release has come last, and fail.

    Raises:
      UserError: the weights are not those of the recording, or a layer has another shape there.
    """
    here = {name: checksum(array) for name, array in state_dict(weights).items()}
    there = recording.checksums
    if differing := [name for name in here if here[name] != there.get(name)]:
        raise UserError(
            f"{recording.source}: holds other weights than the checkpoint (first {differing[0]}, "
            f"{len(differing)} of {len(here)} in all): compare with the checkpoint it was made from"
        )
    check_views(recording, weights.config)
    check_numbers(recording.source, recording.numbers)
    weights = dataclasses.replace(weights, config=weights.config.computed_in("float32"))
    remaining = dict(recording.results)
    # Where the device has faster products than float32's, they are not what is compared.
    with jax.default_matmul_precision("highest"):
        for layers in (
            layer_outputs.outputs(weights, recording.views),
            layer_outputs.training(weights, recording.views, recording.numbers)
            | layer_outputs.schedules(weights, recording.numbers),
        ):
            yield from _compare_layers(layers, recording)
            remaining = {n: x for n, x in remaining.items() if n not in layers}
    yield from _only_there(recording, remaining, [name for name in there if name not in here])


def _only_there(recording: Recording, results: dict, weights: list[str]) -> Iterator[Check]:
    """Checks that fail: results, and the names of weights and buffers, of the release alone."""
    results = {n: x for n, x in results.items() if not n.startswith("gradient/") or np.any(x != 0)}
    zeros = {name: np.zeros(values.shape) for name, values in results.items()}
    yield from _compare_layers(zeros, recording)
    if weights:
        others = f" and {len(weights) - 1} more" if len(weights) > 1 else ""
        yield Check(f"only there: {weights[0]}{others}", 1.0, BOUNDS["output"], cosine=0.0)


def _compare_layers(layers: dict, recording: Recording) -> Iterator[Check]:
    groups: dict[str, list] = {}
    for name, values in layers.items():
        reference = recording.results.get(name)
        if reference is None and name.startswith("gradient/"):
            if not values.any():
                continue  # frozen on both sides
            reference = np.zeros_like(values)
        if reference is None and recording.is_former and name in layer_outputs.LATER:
            continue
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
