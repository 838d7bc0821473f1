"""Optimizer of fine-tuning: the parameters that learn, each at the rate of its depth."""

import dataclasses
import re
from collections.abc import Sequence

import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from micron_jax.checks import at_least, choose
from micron_jax.errors import UserError
from micron_jax.models.param_paths import match

# Biases, scales of norms and the CLS token do not decay.
DECAYED = ((r"/kernel$", True), (r"/(bias|scale|cls|metric)$", False))


@dataclasses.dataclass(frozen=True)
class TuningConfig:
    """Training of a classifier.

    Attributes:
      epochs: passes over a fold's training samples.
      batch_size: samples a step of one fold.
      trainable: `head` freezes the backbone; `last:K` frees its last K blocks, the final norm, the
        micro-attention and the displacement branch; `all` frees everything but the fixed positions.
        Parts that the features do not read stay as they are.
      learning_rate: of the head, AdamW; linear warm-up, then cosine to 0.
      backbone_rate: that of the backbone over the head's.
      layer_decay: each block below the last learns at this times the rate of the one above it.
      warmup_epochs: of the linear warm-up.
      weight_decay: decoupled, of the matrices.
      clip_norm: largest norm of the gradient; 0 does not clip.
      class_weights: `balanced` (all classes count the same in sum) or `none`.
      focal: γ of the focal loss; 0 is cross-entropy.
      label_smoothing: share of a label that is spread over all classes.
      mixup: α of mixup of the head's inputs (manifold mixup); 0 is none.
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
        section = "config.tuning"
        at_least(section, self, epochs=1, batch_size=1, focal=0, mixup=0, weight_decay=0)
        at_least(section, self, learning_rate=0, label_smoothing=0)
        choose(section, self, class_weights=("balanced", "none"))
        if not re.fullmatch(r"head|all|last:[1-9]\d*", self.trainable):
            raise UserError(
                f"{section}.trainable={self.trainable!r}: choose head, all or last:K (K blocks)"
            )

    @property
    def last(self) -> int:
        """K of `last:K`, else 0."""
        return int(self.trainable.partition(":")[2] or 0)

    def check_fits(self, depth: int) -> None:
        """Checks that the encoder has the blocks that are to learn; UserError if it has fewer."""
        if self.last > depth:
            raise UserError(
                f"config.tuning.trainable={self.trainable!r}: the encoder has {depth} blocks; "
                "give fewer, or all"
            )


def rate_rules(
    config: TuningConfig, depth: int, reads: Sequence[str] = ("encoder", "dma")
) -> list[tuple[str, float]]:
    """Returns ordered (pattern, rate) rules over the paths of a classifier; a rate of 0 is frozen.

    Args:
      config: see its `trainable`, `backbone_rate` and `layer_decay`.
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
    """Returns the parameters that learn and the frozen ones, each {path: array}."""
    flat = flatten_dict(params, sep="/")
    learning = {path: leaf for path, leaf in flat.items() if match(rules, path)}
    return learning, {path: leaf for path, leaf in flat.items() if path not in learning}


def join_params(*parts: dict) -> dict:
    """Nests parameters that `split_params` has split."""
    return unflatten_dict({path: leaf for part in parts for path, leaf in part.items()}, sep="/")


def make_optimizer(
    config: TuningConfig, rules, *, steps_per_epoch: int
) -> optax.GradientTransformation:
    """Returns AdamW over {path: array}, each array at the rate that the rules give its path."""
    total = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total - 1)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0 if warmup else config.learning_rate, config.learning_rate, warmup, total
    )

    scale_by_rules = optax.stateless(
        lambda updates, _: {path: update * match(rules, path) for path, update in updates.items()}
    )
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    return optax.chain(
        clip,
        optax.scale_by_adam(),
        optax.add_decayed_weights(
            config.weight_decay, mask=lambda params: {path: match(DECAYED, path) for path in params}
        ),
        scale_by_rules,
        optax.scale_by_learning_rate(schedule),
    )
