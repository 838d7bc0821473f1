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
from micron_jax.export import jax_program, onnx_program
from micron_jax.export.computation import computation
from micron_jax.files import check_new, write_new

FORMAT = "micron_jax export 1"
PLATFORMS = ("cpu", "cuda", "tpu")
_OF_OTHERS = (".json", ".pth", ".pt", ".ckpt", ".safetensors", ".npz", ".npy", ".pb", ".tflite")


def write(
    weights: Weights,
    classifier: Classifier | None,
    target: Path,
    *,
    what: str = "features",
    platforms: tuple[str, ...] | None = None,
) -> dict:
    """Writes a computation of a network, weights and normalization inside, whole or not at all.

    Args:
      target: a new file: `NAME.onnx`, which ONNX Runtime reads, or with any other ending, as
        `NAME.jax`, what `jax.export.deserialize` reads. `NAME.json` beside it tells its inputs,
        outputs, their units and its origin.
      what: see `computation`.
      platforms: of `NAME.jax`, see `jax_program.encode`; None is `PLATFORMS`.

    Returns:
      The content of the JSON.

    Raises:
      UserError: such a computation or platform does not exist, or a file cannot be written.
    """
    beside = target.with_name(f"{target.stem}.json")
    if target.suffix.lower() in _OF_OTHERS:
        raise UserError(
            f"{target}: {target.suffix} files are not exported; name it NEW.jax or NEW.onnx"
        )
    check_new([target, beside])
    chosen = computation(weights, classifier, what)
    described = {
        "format": FORMAT,
        "file": target.name,
        **chosen.described(),
        "dtype": weights.config.dtype,
        "version": __version__,
        "info": public(weights.info),
    }
    if target.suffix.lower() == ".onnx":
        if platforms is not None:
            raise UserError(f"platforms={','.join(platforms)!r}: ONNX has none; name it NEW.jax")
        described |= {"kind": "onnx", "use": "onnxruntime.InferenceSession(file).run(None, inputs)"}
        program = onnx_program.encode(weights, chosen, described)
    else:
        platforms = platforms or PLATFORMS
        program = jax_program.encode(chosen, platforms)
        described |= {
            "kind": "jax.export",
            "use": "jax.export.deserialize(bytearray(open(file, 'rb').read())).call(*inputs)",
            "needs": f"jax >= {jax.__version__} and flatbuffers",
            "platforms": list(platforms),
        }
    described["sha256"] = hashlib.sha256(program).hexdigest()
    text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
    write_new(target, {target.name: program, beside.name: text.encode()})
    return described
