"""The arrays of a network, its settings, and the checks of both."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from micron_jax.config import build
from micron_jax.errors import UserError, naming
from micron_jax.models.config import ModelConfig
from micron_jax.training.state import init_params

FORMAT = "micron_jax 1"

# No network is meant to be larger: a file that asks for more would only fill the memory.
_MOST_POSITIONS = 2**30  # numbers in the table of positions
_MOST_BLOCKS = 1000


@dataclasses.dataclass(frozen=True)
class Weights:
    """The arrays of a network, on the host.

    Attributes:
      params: parameters by part (encoder, dma, and what there is of decoder and head).
      teacher: the teacher's encoder and head, or empty.
      center: of the teacher's outputs, [1, K], or empty.
      info: where it comes from; anything JSON can hold.
    """

    config: ModelConfig
    params: dict
    teacher: dict
    center: np.ndarray
    info: dict

    @classmethod
    def from_flat(cls, config: ModelConfig, arrays: Mapping, info: dict) -> "Weights":
        """The inverse of `flat`."""
        tree = {"teacher": {}, "center": np.zeros((1, 0), np.float32)}
        return cls(config, info=info, **tree | unflatten_dict(arrays, sep="/"))

    def flat(self) -> dict[str, np.ndarray]:
        """All arrays by path: `params/encoder/cls`, `teacher/head/fc1/bias`, `center`."""
        tree = {"params": self.params, "teacher": self.teacher, "center": self.center}
        return {path: x for path, x in flatten_dict(tree, sep="/").items() if np.size(x)}

    def chosen(self, which: str) -> "Weights":
        """The same with the encoder and head of the `student` (as they are) or of the `teacher`.

        The teacher has no micro-attention and no decoder, so those stay the student's.

        Raises:
          UserError: there is no teacher, or no such choice.
        """
        if which == "student":
            return self
        if which != "teacher":
            raise UserError(f"weights={which!r}: choose student or teacher")
        if not self.teacher:
            raise UserError(
                "weights='teacher': this checkpoint holds no teacher, which only training with "
                "DINO makes; leave it out"
            )
        info = self.info | {"weights": "teacher"}
        return dataclasses.replace(self, params=self.params | self.teacher, info=info)

    def described(self) -> dict:
        """Format, settings and origin, as files hold them beside the arrays."""
        return {"format": FORMAT, "model": dataclasses.asdict(self.config), "info": self.info}


def read_description(where: str | Path, described: object) -> tuple[ModelConfig, dict]:
    """Config and info of what `Weights.described` returned and a file carried.

    Raises:
      UserError: it is of another format, or describes no model.
    """
    with naming(where):
        try:
            if described["format"] != FORMAT:
                raise UserError(f"format {described['format']!r}, not {FORMAT!r}")
            config = build(ModelConfig, described["model"], section="model")
            return config, dict(described.get("info", {}))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"not a description of ours ({error!r})") from error


@functools.cache
def shapes_of(config: ModelConfig, *, decoder: bool = True, aux_cls: bool = False) -> dict:
    """Paths as in `Weights.flat` -> `ShapeDtypeStruct`, of all arrays of this model.

    Raises:
      UserError: the model is larger than any that is meant.
    """
    positions = config.grid**2 * max(config.width, config.decoder_width)
    if positions > _MOST_POSITIONS or max(config.depth, config.decoder_depth) > _MOST_BLOCKS:
        raise UserError(
            f"describes a model of {config.depth} + {config.decoder_depth} blocks and "
            f"{config.grid}x{config.grid} patches, larger than any: damaged, or not ours"
        )
    params = jax.eval_shape(functools.partial(init_params, config), jax.random.key(0))
    tree = {"params": {part: v for part, v in params.items() if decoder or part != "decoder"}}
    if aux_cls:
        kernel = jax.ShapeDtypeStruct((config.width, 1), np.float32)
        bias = jax.ShapeDtypeStruct((1,), np.float32)
        tree["params"]["aux_cls"] = {"kernel": kernel, "bias": bias}
    if config.projection_dim:
        tree["teacher"] = {part: params[part] for part in ("encoder", "head")}
        tree["center"] = jax.ShapeDtypeStruct((1, config.projection_dim), np.float32)
    return flatten_dict(tree, sep="/")


def encode_arrays(arrays: Mapping, metadata: dict[str, str] | None = None) -> bytes:
    """A `.safetensors` of arrays by name; the same arrays give the same bytes."""
    arrays = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    return safetensors.numpy.save(arrays, metadata)


def check_arrays(
    where: str | Path, arrays: Mapping, shapes: Mapping, *, asker: str, mend: str
) -> None:
    """Checks that a file holds the arrays of a network, all float32 and finite, and no others.

    Args:
      arrays, shapes: name -> array, and name -> `ShapeDtypeStruct` that it must have.
      where, asker, mend: in messages the file, what asks for these shapes, and the end.

    Raises:
      UserError: one is missing, unknown, of another shape or dtype, NaN or infinite.
    """
    if missing := [name for name in shapes if name not in arrays]:
        raise UserError(f"{where}: lacks {_some(missing)}, which {asker} asks for; {mend}")
    if unknown := [name for name in arrays if name not in shapes]:
        raise UserError(f"{where}: holds {_some(unknown)}, unknown to {asker}; {mend}")
    for name, array in arrays.items():
        if (shape := array.shape) != (needed := shapes[name].shape):
            transposed = ", transposed" if shape == needed[::-1] else ""
            raise UserError(
                f"{where}: {name} has shape {shape}{transposed}, {asker} asks for {needed}; {mend}"
            )
        if array.dtype != np.float32:
            raise UserError(f"{where}: {name} is {array.dtype}, not float32; {mend}")
        if count := np.count_nonzero(~np.isfinite(array)):
            raise UserError(
                f"{where}: {name} holds {count} numbers that are NaN or infinite: the training "
                "that made it diverged, or the file is damaged; take an earlier checkpoint"
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
