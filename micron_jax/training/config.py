"""A recipe: all settings of a pretraining, in sections, each checked."""

import dataclasses

from micron_jax import config as configs
from micron_jax.data.views import ViewsConfig
from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.optimizer import OptimizerConfig
from micron_jax.training.sharding import MeshConfig


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The corpus and how pairs are drawn from it.

    Attributes:
      data_dir: where `micron-jax data build frames` put it.
      delta_min, delta_max: distance δ of a pair, frames at 30 fps, both included (ours).
      workers: reader processes; 0 reads in threads of this one.
      threads: that read ahead, a batch each.
      validation_clips: share of the clips that is held out (ours), chosen by seed and name; of
        fewer clips than make one, none is.
    """

    data_dir: str
    delta_min: int = 5
    delta_max: int = 11
    workers: int = 0
    threads: int = 4
    validation_clips: float = 0.05

    def __post_init__(self):
        if not 0 <= self.validation_clips < 1:
            raise UserError(
                f"data.validation_clips={self.validation_clips}: must be at least 0, less than 1"
            )


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """All settings of a pretraining.

    Attributes:
      data, model, views, objective, optimizer, mesh: sections, see their classes.
      seed: of everything random.
      batch_size: pairs a step, over all devices.
      accumulate: parts that the batch goes through in, one after another, to save memory.
      epochs: passes over all pairs of the corpus; a part of one will do.
      log_every, picture_every, checkpoint_every, validate_every: in steps. Only what is validated
        can be the best checkpoint: `validate_every` should divide `checkpoint_every`.
      validation_batches: that a validation takes, of `batch_size` pairs spread over the clips.
      keep: checkpoints that are kept, the last ones; the best is kept besides.
      on_divergence: at a loss that is not finite, or a spike: `stop`, or `rewind` to the last
        checkpoint and go on behind the batches since then.
      spike: a loss this many times the median of the last 100 is a spike; 0 knows no spikes.
      rewinds: how often a run may, before it stops.
      on_save_error: when a checkpoint cannot be written (disk full, read-only): `continue`, with a
        warning, to the next; or `stop`. Several processes always stop.
      profile_steps: (first, last) step that jax's profiler records; (0, 0) is none.
    """

    data: DataConfig
    model: ModelConfig
    views: ViewsConfig
    objective: ObjectiveConfig
    optimizer: OptimizerConfig
    mesh: MeshConfig
    seed: int = 0
    batch_size: int = 256
    accumulate: int = 1
    epochs: float = 200.0
    log_every: int = 50
    picture_every: int = 1000
    checkpoint_every: int = 1000
    validate_every: int = 1000
    validation_batches: int = 8
    keep: int = 3
    on_divergence: str = "stop"
    spike: float = 10.0
    rewinds: int = 3
    on_save_error: str = "continue"
    profile_steps: tuple[int, int] = (0, 0)

    def __post_init__(self):
        for field in (
            "batch_size", "accumulate", "log_every", "picture_every",
            "checkpoint_every", "validate_every", "validation_batches", "keep",
        ):  # fmt: skip
            if getattr(self, field) < 1:
                raise UserError(f"config.{field}={getattr(self, field)}: must be at least 1")
        if self.epochs <= 0:
            raise UserError(f"config.epochs={self.epochs}: must be more than 0")
        for field, choices in (
            ("on_divergence", ("stop", "rewind")),
            ("on_save_error", ("continue", "stop")),
        ):
            if getattr(self, field) not in choices:
                raise UserError(
                    f"config.{field}={getattr(self, field)!r}: choose one of {', '.join(choices)}"
                )
        if self.spike and self.spike <= 1:
            raise UserError(f"config.spike={self.spike}: must be more than 1, or 0 for none")
        needs = {"dino": ("global_crops", 2), "mse": ("local_crops", 1)}
        if self.objective.agreement in needs:
            field, least = needs[self.objective.agreement]
            if getattr(self.views, field) < least:
                raise UserError(
                    f"config.views.{field}={getattr(self.views, field)}: "
                    f"objective.agreement={self.objective.agreement!r} needs {least}"
                )
        if (self.objective.agreement == "dino") != (self.model.projection_dim > 0):
            raise UserError(
                f"config.model.projection_dim={self.model.projection_dim}: the projection head "
                "belongs to objective.agreement='dino', and only to that"
            )
        if self.objective.agreement == "dino" and self.views.global_crops != 2:
            raise UserError(f"config.views.global_crops={self.views.global_crops}: dino takes 2")
        if self.batch_size % (self.accumulate * self.views.pair_every):
            raise UserError(
                f"config.views.pair_every={self.views.pair_every}: does not divide the "
                f"{self.batch_size // self.accumulate} pairs that go through at a time"
            )
        parts = (self.model.band, self.views.motion_crops, self.objective.motion_weight)
        if any(parts) and not all(parts):
            raise UserError(
                f"config.model.band={parts[0]}, config.views.motion_crops={parts[1]}, "
                f"config.objective.motion_weight={parts[2]}: learning from known motion needs all "
                "three, and without it all are empty or 0"
            )
        if self.views.motion_crops and (
            self.model.patch_size % 4 or self.views.motion_size % self.model.patch_size
        ):
            raise UserError(
                f"config.model.patch_size={self.model.patch_size}: known motion needs a multiple "
                f"of 4 that divides views.motion_size={self.views.motion_size}"
            )
        shown = self.views.motion_size // self.model.patch_size
        if self.views.motion_crops and shown != self.model.motion_window:
            raise UserError(
                f"config.model.motion_window={self.model.motion_window}: views.motion_size="
                f"{self.views.motion_size} shows {shown} patches; they must agree"
            )
        if self.views.local_crops and self.views.local_size % self.model.patch_size:
            raise UserError(
                f"config.views.local_size={self.views.local_size}: "
                f"not a multiple of model.patch_size={self.model.patch_size}"
            )

    def total_steps(self, steps_per_epoch: int) -> int:
        """Of the whole run, one at least."""
        return max(round(self.epochs * steps_per_epoch), 1)


# What may change when a run goes on: it reaches the parameters by rounding alone, or by what is
# done about a loss that has diverged.
FREE = {
    "log_every", "picture_every", "checkpoint_every", "validate_every", "validation_batches",
    "keep", "on_divergence", "spike", "rewinds", "on_save_error", "profile_steps", "accumulate",
    "data.data_dir", "data.workers", "data.threads", "mesh.data", "mesh.fsdp", "model.remat",
    "model.blocks",
}  # fmt: skip


def parse(values: dict) -> PretrainConfig:
    """The config from nested dicts; `model.size` stands for the fields of that size.

    Raises:
      UserError: an unknown or missing field, a bad value.
    """
    model = dict(values.get("model", {}))
    size = model.pop("size", None)
    if size is not None:
        named = dataclasses.asdict(ModelConfig.of_size(size))
        model = named | model
    return configs.build(PretrainConfig, values | {"model": model})
