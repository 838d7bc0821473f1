"""A checkpoint run through a checkout of the PyTorch release and through ours, layer by layer.

The release runs in a process of its own (`torch_process.py`) and answers with arrays: what each
layer gave, the losses, the gradients, and a checksum of every weight. Answer and request together
are a recording, which is compared again later without the release.
"""

import dataclasses
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from micron_jax.checkpoints import release
from micron_jax.checkpoints.release_architecture import (
    RELEASE_MODEL,
    class_arguments,
    is_release_size,
)
from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError
from micron_jax.files import write_whole
from micron_jax.parity import layer_outputs
from micron_jax.parity.recorded import BOUNDS, Check
from micron_jax.video.clip_files import number_in

FORMAT = "micron_jax live 1"
_DEPTH = (
    "loss", "patch_embed", "cls_token", "tokens", "block", "norm", "last_attention", "dma", "heat",
    "decoder/embed", "decoder/block", "decoder/norm", "decoder/pred", "projection", "head",
)  # fmt: skip
_PROCESS = Path(__file__).with_name("torch_process.py")


@dataclasses.dataclass(frozen=True)
class Layer(Check):
    """A check of one layer: `largest` is max |ours - theirs|, `cosine` that of the whole arrays."""

    largest: float
    cosine: float


def check_checkout(checkout: Path) -> None:
    """Raises:
    UserError: the folder is no checkout of the release.
    """
    if not (checkout / "models" / "mae.py").is_file():
        raise UserError(
            f"{checkout}: no models/mae.py in it, so not a checkout of the release: git clone "
            "https://github.com/uark-cviu/Micron-BERT and name that folder"
        )


def record(weights: Weights, checkpoint: Path, checkout: Path, views: dict) -> dict:
    """Runs the release's own code in another process.

    Args:
      weights: of the checkpoint, as ours reads it; of a model without `differences`.
      checkpoint: a `.pth`, which torch reads.
      checkout: the folder of the release that holds `models/mae.py`.
      views: see `frames.make_views`.

    Returns:
      The recording: arrays by name.

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
    given = {name: views[name] for name in ("rep", "ref", "cur")}
    given |= {f"crop{i}": crop for i, crop in enumerate(crops)}
    given = {name: np.moveaxis(view, -1, 1) for name, view in given.items()}
    with tempfile.TemporaryDirectory() as scratch:
        request, answer = Path(scratch, "request.npz"), Path(scratch, "answer.npz")
        np.savez(request, settings=json.dumps(settings), **given)
        paths = [str(path.absolute()) for path in (checkout, checkpoint, request, answer)]
        done = subprocess.run(
            [sys.executable, "-P", str(_PROCESS), *paths],
            cwd=scratch,
            capture_output=True,
            text=True,
        )
        if done.returncode == 3:
            raise UserError(f"{checkout}: {done.stdout.splitlines()[-1]}")
        if done.returncode:
            last = (done.stderr.splitlines() or ["no message"])[-1]
            raise UserError(f"{checkout}: the release ended with {done.returncode} ({last[:300]})")
        with np.load(answer) as found:
            result = {f"theirs/{name}": found[name] for name in found.files if name != "weights"}
            result["weights"] = found["weights"]
    return {"format": np.array(FORMAT)} | result | {f"views/{n}": v for n, v in views.items()}


def save(recording: dict, path: Path) -> None:
    """Writes a recording, whole or not at all.

    Raises:
      UserError: it cannot be written.
    """
    out = io.BytesIO()
    np.savez(out, **recording)
    try:
        write_whole(path, out.getvalue())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def read(path: Path) -> dict | None:
    """A recording that `save` wrote, or None where it is another file.

    Raises:
      UserError: it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if "format" not in file or str(file["format"]) != FORMAT:
                return None
            recording = {name: file[name] for name in file.files}
            json.loads(str(recording["weights"]))
            return recording
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    # TypeError: a lone array, which is no archive.
    except (
        OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error
    ) as error:  # fmt: skip
        raise UserError(f"{path}: not a readable .npz recording; copy it again") from error


def checksum(array: np.ndarray) -> int:
    """Of its bytes in row-major order, as `torch_process.py` takes it."""
    return zlib.crc32(array.tobytes())


def check_same_weights(weights: Weights, checksums: dict[str, int], source: str) -> None:
    """Raises:
    UserError: the two sides do not hold the same float32 numbers under the same names.
    """
    ours = {name: checksum(array) for name, array in release.state_dict(weights).items()}
    differing = [n for n in {**checksums, **ours} if ours.get(n) != checksums.get(n)]
    if differing:
        raise UserError(
            f"{source}: holds other weights than the checkpoint (first {differing[0]}, "
            f"{len(differing)} of {len(ours)} in all): compare with the checkpoint it was made from"
        )


def _under(recording: dict, prefix: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): x for n, x in recording.items() if n.startswith(prefix)}


def _depth(name: str) -> tuple:
    """Sorts by where a layer stands in the network."""
    name = name.replace("gradient/", "")
    place = [*(name.startswith(part) for part in _DEPTH), True].index(True)
    return place, number_in(name), name


def _group(name: str) -> str:
    """Gradients go by layer: `gradient/backbone.blocks.0.attn.qkv.bias` -> `gradient/block_0`."""
    if not name.startswith("gradient/"):
        return name
    name = name.removeprefix("gradient/").replace("backbone.", "")
    found = re.match(r"(?:(decoder)_)?blocks\.(\d+)|(decoder)_([a-z]+)|student\.(head)", name)
    parts = [part for part in found.groups() if part] if found else [name.partition(".")[0]]
    if found and found[2]:
        parts[-1] = f"block_{found[2]}"
    return "/".join(["gradient", *({"att": "dma"}.get(part, part) for part in parts)])


def compare(weights: Weights, recording: dict, source: str) -> Iterator[Layer]:
    """Ours against a recording, in order of depth: layers, losses, gradients.

    A gradient is compared over all weights of a layer together: the true gradient of some, such as
    a key's bias, is zero, and what is left of it is the rounding of the two sides.

    Args:
      source: what messages call the recording.

    Raises:
      UserError: the weights are not those of the recording, or a layer has another shape there.
    """
    check_same_weights(weights, json.loads(str(recording["weights"])), source)
    theirs = _under(recording, "theirs/")
    views = _under(recording, "views/")
    exact = dataclasses.replace(weights.config, dtype="float32", attention="auto")
    weights = dataclasses.replace(weights, config=exact)
    # Where the device has faster products than float32's, they are not what is compared.
    with jax.default_matmul_precision("highest"):
        yield from _layers(layer_outputs.outputs(weights, views), theirs, source)
        yield from _layers(layer_outputs.training(weights, views), theirs, source)


def _layers(ours: dict, theirs: dict, source: str) -> Iterator[Layer]:
    groups: dict[str, list] = {}
    for name, mine in ours.items():
        if name not in theirs and name.startswith("gradient/"):
            if not mine.any():
                continue  # frozen on both sides
            other = np.zeros_like(mine)
        elif name not in theirs or theirs[name].shape != mine.shape:
            shape = theirs[name].shape if name in theirs else "nothing"
            raise UserError(
                f"{source}: {name} gives {shape}, ours {mine.shape}: a patched release?"
            )
        else:
            other = theirs[name]
        pairs = groups.setdefault(_group(name), [])
        pairs.append([np.asarray(x, np.float64).ravel() for x in (mine, other)])
    for name, pairs in sorted(groups.items(), key=lambda group: _depth(group[0])):
        mine, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
        largest = float(np.abs(mine - other).max())
        lengths = np.linalg.norm(mine) * np.linalg.norm(other)
        bound = BOUNDS["gradient" if name.startswith("gradient/") else "output"]
        yield Layer(
            name,
            largest / (float(np.abs(other).max()) or 1.0),
            bound,
            largest,
            float(mine @ other / lengths) if lengths else 1.0,
        )
