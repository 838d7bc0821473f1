"""Fine-tuning's optimizer: which parameters learn, each at its depth's rate."""

import dataclasses
import re
from collections.abc import Sequence

import jax
import optax

from micron_jax.errors import UserError
from micron_jax.models.param_paths import match, path_of

# Biases, scales of norms and the CLS token are not decayed.
DECAYED = ((r"/kernel$", True), (r"/(bias|scale|cls|metric)$", False))


@dataclasses.dataclass(frozen=True)
class TuningConfig:
    """How a classifier learns.

    Attributes:
      epochs: passes over a fold's training samples.
      batch_size: samples a step of one fold.
      trainable: `head` freezes the backbone; `last:K` frees its last K blocks, the final norm, the
        micro-attention and the motion branch; `all` frees everything but the fixed positions.
        What the features do not read stays as it is.
      learning_rate: of the head, AdamW; linear warm-up, then cosine to 0.
      backbone_rate: that of the backbone over the head's.
      layer_decay: each block below the last learns at this times the rate of the one above it.
      warmup_epochs: of the linear warm-up.
      weight_decay: decoupled, of the matrices.
      clip_norm: largest norm of the gradient; 0 does not clip.
      class_weights: `balanced` (all classes count the same in sum) or `none`.
      focal: γ of the focal loss; 0 is cross-entropy.
      label_smoothing: share of a label that is spread over all classes.
      mixup: α of mixup, on what the head gets (manifold mixup); 0 is none.
    """

    epochs: int = 60
    batch_size: int = 32
    trainable: str = "head"
    learning_rate: float = 1e-3
    backbone_rate: float = 0.1
    layer_decay: float = 0.75
    warmup_epochs: float = 3.0
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    class_weights: str = "balanced"
    focal: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0

    def __post_init__(self):
        for field in ("epochs", "batch_size"):
            if getattr(self, field) < 1:
                raise UserError(f"tuning.{field}={getattr(self, field)}: must be at least 1")
        for field in ("focal", "mixup", "weight_decay", "learning_rate", "label_smoothing"):
            if getattr(self, field) < 0:
                raise UserError(f"tuning.{field}={getattr(self, field)}: must be 0 or more")
        if not re.fullmatch(r"head|all|last:[1-9]\d*", self.trainable):
            raise UserError(
                f"tuning.trainable={self.trainable!r}: choose head, all or last:K (K blocks)"
            )
        if self.class_weights not in ("balanced", "none"):
            raise UserError(
                f"tuning.class_weights={self.class_weights!r}: choose one of balanced, none"
            )

    @property
    def last(self) -> int:
        """K of `last:K`, else 0."""
        return int(self.trainable.partition(":")[2] or 0)

    def check_fits(self, depth: int) -> None:
        """Raises:
        UserError: more blocks are to be freed than there are.
        """
        if self.last > depth:
            raise UserError(
                f"tuning.trainable={self.trainable!r}: the encoder has {depth} blocks; give fewer, "
                "or all"
            )


def rate_rules(
    config: TuningConfig, depth: int, reads: Sequence[str] = ("encoder", "dma")
) -> list[tuple[str, float]]:
    """Ordered pattern -> rate rules over the paths of a classifier; a rate of 0 is frozen.

    Args:
      config: see its `trainable`, `backbone_rate` and `layer_decay`.
      depth: blocks of the encoder.
      reads: parts of the backbone that the features depend on. Others have no gradient, and must
        not be decayed either.
    """
    rules = [(r"^head/", 1.0), (r"/positions$", 0.0)]
    if config.trainable == "head":
        return [*rules, (r"^backbone/", 0.0)]
    rules += [(rf"^backbone/(?!({'|'.join(reads)})/)", 0.0)]
    freed = depth if config.trainable == "all" else config.last
    top = config.backbone_rate
    rules.append((r"^backbone/(dma|motion|encoder/norm)/", top))
    for block in range(depth):
        rate = top * config.layer_decay ** (depth - 1 - block)
        rules.append((rf"^backbone/encoder/block_{block}/", rate if block >= depth - freed else 0))
    below = top * config.layer_decay**depth if config.trainable == "all" else 0.0
    return [*rules, (r"^backbone/encoder/(patch_embed/|cls$)", below)]


def split_params(params: dict, rules) -> tuple[dict, dict]:
    """(those that learn, those that are frozen), each {path: array}; `join_params` undoes it."""
    learning, frozen = {}, {}
    for key_path, leaf in jax.tree_util.tree_leaves_with_path(params):
        path = path_of(key_path)
        (learning if match(rules, path) else frozen)[path] = leaf
    return learning, frozen


def join_params(*parts: dict) -> dict:
    """Nested parameters from flat ones: {`head/classes/bias`: a} -> {"head": {"classes": ...}}."""
    params: dict = {}
    for part in parts:
        for path, leaf in part.items():
            *parents, name = path.split("/")
            place = params
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = leaf
    return params


def make_optimizer(
    config: TuningConfig, rules, *, steps_per_epoch: int
) -> optax.GradientTransformation:
    """AdamW over {path: array}, each at the rate that the rules give its path."""
    total = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total - 1)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0 if warmup else config.learning_rate, config.learning_rate, warmup, total
    )

    def scale_by_rules(updates, state, params=None):
        del params
        return {path: update * match(rules, path) for path, update in updates.items()}, state

    def decayed(params):
        return {path: match(DECAYED, path) for path in params}

    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    return optax.chain(
        clip,
        optax.scale_by_adam(),
        optax.add_decayed_weights(config.weight_decay, mask=decayed),
        optax.GradientTransformation(lambda params: optax.EmptyState(), scale_by_rules),
        optax.scale_by_learning_rate(schedule),
    )
