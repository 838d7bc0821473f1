"""The files of an export: the program, and a description of it as JSON beside it."""

import hashlib
import json
from pathlib import Path

import jax

from micron_jax import __version__
from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.origin import public
from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError
from micron_jax.export import jax_program
from micron_jax.export.computation import computation
from micron_jax.files import check_new, write_new

FORMAT = "micron_jax export 1"
_OF_OTHERS = (".json", ".pth", ".pt", ".ckpt", ".safetensors", ".npz", ".npy", ".pb", ".tflite")


def write(
    weights: Weights,
    classifier: Classifier | None,
    target: Path,
    *,
    what: str = "features",
    platforms: tuple[str, ...] = ("cpu", "cuda", "tpu"),
) -> dict:
    """Writes a computation of a network, weights and normalization inside, whole or not at all.

    Args:
      target: a new file, `NAME.jax`, which `jax.export.deserialize` reads; `NAME.json` beside it
        tells its inputs, outputs, their units and its origin.
      what: see `computation`.
      platforms: see `jax_program.encode`.

    Returns:
      The content of the JSON.

    Raises:
      UserError: such a computation or platform does not exist, or a file cannot be written.
    """
    beside = target.with_name(f"{target.stem}.json")
    if target.suffix.lower() in _OF_OTHERS:
        raise UserError(f"{target}: {target.suffix} files are not exported; name it NEW.jax")
    check_new([target, beside])
    chosen = computation(weights, classifier, what)
    program = jax_program.encode(chosen, platforms)
    described = {
        "format": FORMAT,
        "file": target.name,
        "sha256": hashlib.sha256(program).hexdigest(),
        "kind": "jax.export",
        "use": "jax.export.deserialize(bytearray(open(file, 'rb').read())).call(*inputs)",
        "needs": f"jax >= {jax.__version__} and flatbuffers",
        "platforms": list(platforms),
        **chosen.described(),
        "dtype": weights.config.dtype,
        "version": __version__,
        "info": public(weights.info),
    }
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    write_new(target, {target.name: program, beside.name: text.encode()})
    return described
