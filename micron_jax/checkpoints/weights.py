"""The arrays of a network, its settings, and the checks of both."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from micron_jax.checkpoints.origin import public
from micron_jax.checks import require
from micron_jax.config import build, check_fields, up_to_date
from micron_jax.errors import UserError, naming
from micron_jax.models.config import ModelConfig
from micron_jax.training.state import init_params

FORMAT = "micron_jax 1"

# No network is meant to be larger: a file that asks for more would only fill the memory.
_MOST_PARTS = 64  # of a list
_MOST = dict(
    img_size=2**14, patch_size=2**10, width=2**15, depth=1000, heads=2**12, mlp_ratio=2**7,
    decoder_width=2**15, decoder_depth=1000, decoder_heads=2**12, projection_dim=2**20,
    projection_hidden=2**16, projection_bottleneck=2**16, displacement_width=2**12,
)  # fmt: skip
_OF_A_MACHINE = ("attention", "blocks", "remat")
_OPTIONAL = (  # parts that a checkpoint may lack, each as a whole
    "params/decoder/", "params/aux_cls/", "params/dma/", "params/head/", "teacher/", "center",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Weights:
    """The arrays of a network, on the host.

    Attributes:
      params: parameters by part (encoder, dma, and what there is of decoder and head).
      teacher: the teacher's encoder and head, or empty.
      center: of the teacher's outputs, [1, K], or empty.
      info: where it comes from; anything JSON can hold. Files hold what is `public` of it.
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
        model = dataclasses.asdict(self.config)
        return {"format": FORMAT, "model": model, "info": public(self.info)}


def read_description(where: str | Path, described: object) -> tuple[ModelConfig, dict]:
    """Config and info of what `Weights.described` returned and a file carried.

    Raises:
      UserError: it is of another format, or describes no model.
    """
    with naming(where):
        try:
            if described["format"] != FORMAT:
                raise UserError(f"format {described['format']!r}, not {FORMAT!r}")
            config = read_config(described["model"], section="model")
            return config, dict(described.get("info", {}))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"not a description of ours ({error!r})") from error


def read_config(settings: dict, *, section: str) -> ModelConfig:
    """The architecture that a file describes.

    How a machine computes it (`attention`, `blocks`, `remat`) is no part of a checkpoint: a file
    made on a GPU is read on a CPU, so these settings have their defaults here.

    Raises:
      UserError: the settings describe no network, or one larger than any that is meant.
    """
    settings = up_to_date(settings)
    check_fields(ModelConfig, settings, section=section)
    for name, value in settings.items():
        if isinstance(value, list | tuple) and len(value) > _MOST_PARTS:
            raise UserError(f"{section}.{name} has {len(value):,} parts, more than any network")
    own = {name: value for name, value in settings.items() if name not in _OF_A_MACHINE}
    try:
        config = build(ModelConfig, own, section=section)
    except OverflowError as error:
        raise UserError(f"{section}: {error}") from error
    for field, most in _MOST.items():
        value = getattr(config, field)
        parts = value if isinstance(value, tuple) else [value]
        valid = all(0 <= part <= most for part in parts)  # NaN is not
        require(valid, section, config, field, f"must lie in 0..{most}, as no network is larger")
    return config


@functools.cache
def shapes_of(config: ModelConfig, *, decoder: bool = True, aux_cls: bool = False) -> dict:
    """Paths as in `Weights.flat` -> `ShapeDtypeStruct`, of all arrays of this model, sorted.

    Raises:
      UserError: its settings contradict each other.
    """
    # Of a small network, for blocks are alike and a large table of positions takes long to make.
    least = {f: min(getattr(config, f), 1) for f in ("depth", "decoder_depth")}
    small = dataclasses.replace(config, img_size=2 * config.patch_size, **least)
    try:
        params = jax.eval_shape(functools.partial(init_params, small), jax.random.key(0))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"describes no possible network ({error})") from error
    tree = {"params": {part: v for part, v in params.items() if decoder or part != "decoder"}}
    if aux_cls:
        kernel = jax.ShapeDtypeStruct((config.width, 1), np.float32)
        bias = jax.ShapeDtypeStruct((1,), np.float32)
        tree["params"]["aux_cls"] = {"kernel": kernel, "bias": bias}
    if config.projection_dim:
        tree["teacher"] = {part: params[part] for part in ("encoder", "head")}
        tree["center"] = jax.ShapeDtypeStruct((1, config.projection_dim), np.float32)
    shapes = {}
    for path, leaf in flatten_dict(tree, sep="/").items():
        if path.endswith("/positions"):
            shapes[path] = jax.ShapeDtypeStruct((1, 1 + config.grid**2, leaf.shape[2]), leaf.dtype)
        elif "/block_0/" in path:
            depth = config.decoder_depth if "/decoder/" in path else config.depth
            names = (path.replace("/block_0/", f"/block_{i}/") for i in range(depth))
            shapes |= dict.fromkeys(names, leaf)
        else:
            shapes[path] = leaf
    return dict(sorted(shapes.items()))


def shapes_among(config: ModelConfig, given: Mapping, *, whole: bool = False) -> dict:
    """`shapes_of` the parts that a file has, and of those that every network has.

    Args:
      given: path -> array of the file, or its shape.
      whole: as of earlier versions, which wrote no network without micro-attention, nor without the
        teacher of its projection head.
    """
    shapes = shapes_of(config, aux_cls=True)
    optional = _OPTIONAL[:2] if whole else _OPTIONAL
    absent = tuple(part for part in optional if not any(p.startswith(part) for p in given))
    return {path: shape for path, shape in shapes.items() if not path.startswith(absent)}


def check_shapes(
    where: str | Path, arrays: Mapping, shapes: Mapping, *, asker: str, mend: str
) -> None:
    """Checks that a file holds the arrays of a network, all float32, and no others.

    Args:
      arrays, shapes: name -> array, or its shape, and name -> `ShapeDtypeStruct` that it must have.
      where, asker, mend: in messages the file, what asks for these shapes, and the end.

    Raises:
      UserError: one is missing, unknown, or of another shape or dtype.
    """
    if missing := [name for name in shapes if name not in arrays]:
        raise UserError(f"{where}: lacks {some(missing)}, which {asker} asks for; {mend}")
    if unknown := [name for name in arrays if name not in shapes]:
        raise UserError(f"{where}: holds {some(unknown)}, unknown to {asker}; {mend}")
    for name, array in arrays.items():
        if (shape := array.shape) != (needed := shapes[name].shape):
            transposed = ", transposed" if shape == needed[::-1] else ""
            raise UserError(
                f"{where}: {name} has shape {shape}{transposed}, {asker} asks for {needed}; {mend}"
            )
        if array.dtype != np.float32:
            raise UserError(f"{where}: {name} is {array.dtype}, not float32; {mend}")


def digest(params: Mapping) -> str:
    """SHA-256 of all numbers, to tell weights from others."""
    result = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        result.update(np.ascontiguousarray(leaf))
    return result.hexdigest()


def check_finite(where: str | Path, arrays: Mapping) -> None:
    """Checks that all numbers of a file's arrays are numbers.

    Raises:
      UserError: one is NaN or infinite.
    """
    for name, array in arrays.items():
        if count := np.count_nonzero(~np.isfinite(array)):
            raise UserError(
                f"{where}: {name} holds {count} numbers that are NaN or infinite: the training "
                "that made it diverged, or the file is damaged; take an earlier checkpoint"
            )


def some(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
