"""The train state: everything that a run needs to go on."""

import flax
import jax
import jax.numpy as jnp
import optax

from micron_jax.models.config import ModelConfig
from micron_jax.models.micron_bert import MicronBertModule


@flax.struct.dataclass
class TrainState:
    """Everything that a train step reads and writes.

    Attributes:
      params: the student's parameters, by part: encoder, dma, decoder, head.
      teacher: moving average of `params["encoder"]` and `params["head"]`; empty without DINO.
      center: of the teacher's outputs, [1, K]; None without DINO.
    """

    step: jax.Array
    params: dict
    teacher: dict
    center: jax.Array | None
    opt_state: optax.OptState


def init_params(config: ModelConfig, key) -> dict:
    """Random parameters, float32. Call it in `jit`, or in `eval_shape` for the shapes alone."""
    frame = jnp.zeros((1, config.img_size, config.img_size, 3))
    return MicronBertModule(config).init(key, frame, frame)["params"]


def new_state(params: dict, optimizer: optax.GradientTransformation, *, dino: bool) -> TrainState:
    """The state before the first step.

    The teacher starts as a copy of the student, which is DINO's own rule. The release's starts from
    random weights of its own: `initialize_weights` runs over it once more after the copy
    (models/mae.py, lines 384 and 419).
    """
    teacher = {part: params[part] for part in ("encoder", "head")} if dino else {}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        teacher=jax.tree.map(jnp.copy, teacher),
        center=jnp.zeros((1, params["head"]["gain"].shape[0])) if dino else None,
        opt_state=optimizer.init(params),
    )
