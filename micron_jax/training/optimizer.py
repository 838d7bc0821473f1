"""AdamW with warm-up and cosine decay, and rules that decay or freeze parameters."""

import dataclasses

import jax
import optax

from micron_jax.checks import choose
from micron_jax.models.param_paths import match, path_of

# The release's `get_params_groups` (models/dino.py, line 706) decays arrays of more than one axis
# that are no biases; its CLS token has three axes. Positions and the gain of the weight-normed
# layer have `requires_grad=False`.
UPDATE_RULES = (
    (r"(^|/)positions$", "frozen"),
    (r"^head/gain$", "frozen"),
    (r"/(bias|scale|metric)$", "plain"),
    (r"/(kernel|cls)$", "decayed"),
    (r"^head/directions$", "decayed"),
)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW.

    Attributes:
      learning_rate: at `base_batch_size` samples a step; it grows in proportion to the batch.
      base_batch_size: see `learning_rate`; 0 leaves that as it is.
      warmup_epochs: epochs of linear warm-up from 0.
      schedule: after the warm-up: `cosine` to 0 at the last step, or `constant`.
      weight_decay: decoupled, of the matrices.
      b1, b2, eps: Adam's.
      clip_norm: largest norm of the whole gradient; 0 does not clip.
    """

    learning_rate: float = 1.5e-4
    base_batch_size: int = 256
    warmup_epochs: float = 0.0
    schedule: str = "cosine"
    weight_decay: float = 0.05
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    clip_norm: float = 0.0

    def __post_init__(self):
        choose("config.optimizer", self, schedule=("cosine", "constant"))


def learning_rate(
    config: OptimizerConfig, *, batch_size: int, steps_per_epoch: int, total_steps: int
) -> optax.Schedule:
    """The schedule: step -> learning rate."""
    scale = batch_size / config.base_batch_size if config.base_batch_size else 1.0
    peak = config.learning_rate * scale
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total_steps)
    after = optax.constant_schedule(peak)
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(total_steps - warmup, 1))
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup])


def make_optimizer(config: OptimizerConfig, schedule) -> optax.GradientTransformation:
    """AdamW that follows `UPDATE_RULES`; `schedule` is step -> learning rate, or a constant."""

    def adamw(decay):
        return optax.adamw(schedule, config.b1, config.b2, config.eps, weight_decay=decay)

    def labels(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: match(UPDATE_RULES, path_of(path)), params
        )

    frozen, plain, decayed = optax.set_to_zero(), adamw(0.0), adamw(config.weight_decay)
    optimizer = optax.multi_transform(dict(decayed=decayed, plain=plain, frozen=frozen), labels)
    if config.clip_norm:
        optimizer = optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
    return optimizer
