"""Backbone of a classifier: the networks of a checkpoint, or random ones."""

import dataclasses
import hashlib

import jax
import numpy as np

from micron_jax.checkpoints import load
from micron_jax.config import build
from micron_jax.errors import UserError
from micron_jax.models.config import SIZES, ModelConfig
from micron_jax.models.param_paths import path_of
from micron_jax.training.state import init_params

RANDOM = "random"  # in place of a checkpoint

# Settings of the use of weights, not of their shapes: a user may choose them again.
_FREE = (
    "attention", "blocks", "remat", "dtype", "dma_query", "dma_key", "dma_scaled", "dma_diagonal",
    "poi",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Backbone:
    """The network below the classifier's head, as training starts.

    Attributes:
      params: {encoder, dma} and, where the model has it, {motion}; empty for a baseline.
      sha256: of the bytes of `params`; empty for a baseline.
    """

    model: ModelConfig
    params: dict
    source: str
    sha256: str


def no_backbone(baseline: str, size: int) -> Backbone:
    """Returns the backbone of a baseline on frames of `size` px: none."""
    model = ModelConfig(img_size=size, patch_size=1, depth=1)
    return Backbone(model, {}, f"no network: {baseline}", "")


def read_backbone(checkpoint: str, model: dict, *, seed: int) -> Backbone:
    """Reads a checkpoint, or draws random weights.

    Args:
      checkpoint: see `micron_jax.load`; `RANDOM` for random weights.
      model: fields of `ModelConfig` (and `size`) that the user gave.

    Raises:
      UserError: it cannot be read, or is of another architecture than the user gave.
    """
    fields = dict(model)
    fields = dict(SIZES.get(fields.pop("size", None), {})) | fields
    if checkpoint != RANDOM:
        weights = load.read(checkpoint)
        config = _agreed(weights.config, fields, checkpoint)
        params = weights.params
        source = f"{checkpoint} ({weights.info.get('source', 'unknown origin')})"
    else:
        config = build(ModelConfig, fields, section="config.model")
        params = jax.jit(init_params, static_argnums=0)(config, jax.random.key(seed))
        source = f"random weights, seed {seed}"
    parts = {"encoder", "dma", "displacement"} & params.keys()
    params = {part: params[part] for part in sorted(parts)}
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
    return Backbone(config, params, source, _digest(params))


def _agreed(config: ModelConfig, fields: dict, checkpoint: str) -> ModelConfig:
    """The checkpoint's config with the user's fields; those not in `_FREE` must be the same."""
    own = dataclasses.asdict(config)
    for name, value in fields.items():
        if name in own and name not in _FREE and own[name] != value:
            raise UserError(
                f"config.model.{name}={value!r}: checkpoint {checkpoint} has {own[name]!r}; "
                "leave the field out, or give another checkpoint"
            )
    return build(ModelConfig, own | fields, section="config.model")


def _digest(params: dict) -> str:
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        digest.update(f"{path_of(path)} {leaf.shape}".encode() + leaf.tobytes())
    return digest.hexdigest()
