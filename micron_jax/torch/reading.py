"""Converted folders and `.safetensors` files into PyTorch modules, without jax."""

import json
from pathlib import Path

import safetensors
import torch

from micron_jax.checkpoints import checksums, shards
from micron_jax.checks import choose
from micron_jax.config import build
from micron_jax.errors import UserError, naming
from micron_jax.models.config import ModelConfig
from micron_jax.torch.micron_bert import MicronBert

FORMAT, SETTINGS = "micron_jax 1", "micron_jax"
_PACKAGED = Path(__file__).parents[1] / "weights"
_OF_A_MACHINE = ("attention", "blocks", "remat")
_RENAMED = {"in": "in_"}  # a keyword of Python, in which torch.export writes graphs
_OPTIONAL = ("decoder", "dma", "head")  # parts that a checkpoint may lack


def load(checkpoint: str | Path, *, weights: str = "student") -> MicronBert:
    """Loads what `micron-jax convert` wrote, or `micron-tiny`; float32, in evaluation mode.

    Args:
      checkpoint: a folder with `config.json` and `model.safetensors` (or several, with an index),
        or one `.safetensors` of ours. Runs and a `.pth` are converted first: `micron-jax convert`.
      weights: `student`, or `teacher`, its moving average, where training was with DINO.

    Raises:
      UserError: there is no such file, it is damaged or of another kind, or has no teacher.
    """
    choose("", {"weights": weights}, weights=("student", "teacher"))
    path = Path(checkpoint)
    if not path.exists() and (_PACKAGED / str(checkpoint) / "config.json").exists():
        path = _PACKAGED / str(checkpoint)
    with naming(path):
        described, tensors = _read(path)
        return from_tensors(_config(described), tensors, weights=weights)


def from_tensors(config: ModelConfig, tensors: dict, *, weights: str = "student") -> MicronBert:
    """A network of the tensors of our files, by their names there; see `load`.

    Raises:
      UserError: they are not those of the config.
    """
    model, state = MicronBert(config), _state(tensors, weights)
    parts = {name.split(".")[0] for name in state}
    for part in _OPTIONAL:
        if hasattr(model, part) and part not in parts:
            delattr(model, part)
    _check(model.state_dict(), state)
    model.load_state_dict(state)
    return model.eval()


def _read(path: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """The settings, and all tensors by their names in our files."""
    if path.is_dir() and (path / "config.json").is_file():
        files, text = shards.files_of(path), (path / "config.json").read_text("utf-8")
    elif path.is_file() and path.suffix.lower() == ".safetensors":
        files, text = [path], None
    else:
        raise UserError(
            "no converted folder and no .safetensors; convert it first: micron-jax convert SRC DST"
        )
    tensors = {}
    try:
        for file in files:
            with safetensors.safe_open(file, "pt") as opened:
                text = text or (opened.metadata() or {}).get(SETTINGS, "")
                tensors |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        described = json.loads(text)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UserError(f"damaged, or not of ours ({error}); convert again") from error
    sums = described.get(checksums.ENTRY, {}).get("tensors", {})
    stored = getattr(torch, str(described.get("dtype", "float32")), None)
    for name, tensor in tensors.items():
        if sums and tensor.dtype != stored:  # somebody else has rounded what was written
            continue
        data = tensor.contiguous().view(-1).view(torch.uint8).numpy()
        if sums and checksums.of_bytes(data) != sums.get(name):
            raise UserError(f"{name} does not hold the numbers that were written; copy it again")
    return described, tensors


def _config(described: dict) -> ModelConfig:
    if described.get("format") != FORMAT:
        raise UserError(f"format {described.get('format')!r}, not {FORMAT!r}")
    settings = {k: v for k, v in described["model"].items() if k not in _OF_A_MACHINE}
    return build(ModelConfig, settings, section="model")


def _state(tensors: dict, weights: str) -> dict[str, torch.Tensor]:
    """Tensors under the names of the modules, in PyTorch's order of axes."""
    roots = ["params/", "teacher/"] if weights == "teacher" else ["params/"]
    if not any(name.startswith(roots[-1]) for name in tensors):
        raise UserError("it has no teacher: it was trained without DINO; take weights='student'")
    state = {}
    for root in roots:
        for path, tensor in tensors.items():
            if path.startswith(root) and "/aux_cls/" not in path:
                parts = path.removeprefix(root).split("/")
                *parents, last = (_RENAMED.get(part, part) for part in parts)
                name = ".".join([*parents, {"kernel": "weight", "scale": "weight"}.get(last, last)])
                state[name] = _in_order(tensor.float(), last)
    return state


def _in_order(tensor, kind: str):
    """Kernels [in, out] and [down, across, in, out] have the outputs first in PyTorch."""
    if kind != "kernel":
        return tensor
    return tensor.T if tensor.ndim == 2 else tensor.permute(3, 2, 0, 1)


def _check(needed: dict, state: dict) -> None:
    for name, tensor in needed.items():
        if name not in state:
            raise UserError(f"lacks {name}, which its settings ask for; convert again")
        if state[name].shape != tensor.shape:
            shapes = f"{tuple(state[name].shape)}, not {tuple(tensor.shape)}"
            raise UserError(f"{name} has shape {shapes} as its settings ask for; convert again")
    if unknown := [name for name in state if name not in needed]:
        raise UserError(f"holds {unknown[0]}, unknown to its settings; convert again")
