"""The arrays of a network in safetensors: written, and read back as what its settings ask for."""

from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import unflatten_dict

from micron_jax.checkpoints.weights import Weights, check_finite, shapes_of
from micron_jax.errors import UserError

# KeyError: a dtype that numpy has not.
DAMAGED = (safetensors.SafetensorError, OSError, ValueError, KeyError)


def encode(weights: Weights, metadata: dict[str, str] | None = None) -> bytes:
    """All arrays by path (`Weights.flat`), float32; the same weights give the same bytes."""
    arrays = {name: np.ascontiguousarray(value) for name, value in weights.flat().items()}
    return safetensors.numpy.save(arrays, metadata)


def read(file: Path, config, info: dict, *, described_in: Path) -> Weights:
    """The network of these settings.

    Args:
      file: what `encode` gave.
      config: `ModelConfig` of the network.
      info: where it comes from.
      described_in: the file that said so, named in complaints.

    Raises:
      UserError: the file is damaged; an array is missing, unknown, NaN, or of another shape or
        dtype than the settings ask for.
    """
    try:
        arrays = safetensors.numpy.load_file(file)
    except DAMAGED as error:
        raise UserError(f"{file}: damaged ({error}); convert again") from error
    try:
        expected = shapes_of(
            config,
            decoder="params/decoder/positions" in arrays,
            aux_cls="params/aux_cls/kernel" in arrays,
        )
    except UserError as error:
        raise UserError(f"{described_in}: {error}") from error
    asker = "its own description" if described_in == file else f"its {described_in.name}"
    for name in sorted(expected.keys() | arrays.keys()):
        if name not in arrays:
            raise UserError(f"{file}: lacks {name}, which {asker} asks for; convert again")
        if name not in expected:
            raise UserError(f"{file}: holds {name}, unknown to {asker}; convert again")
        here, there = arrays[name].shape, expected[name].shape
        if here != there:
            transposed = ", transposed" if here == there[::-1] else ""
            raise UserError(
                f"{file}: {name} has shape {here}{transposed}, {asker} asks for {there}; "
                "convert again"
            )
        if arrays[name].dtype != np.float32:
            raise UserError(f"{file}: {name} is {arrays[name].dtype}, not float32; convert again")
        check_finite(file, name, arrays[name])
    tree = unflatten_dict(arrays, sep="/")
    return Weights(
        config,
        tree["params"],
        tree.get("teacher", {}),
        tree.get("center", np.zeros((1, 0), np.float32)),
        info,
    )
