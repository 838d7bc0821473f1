"""All settings of a pretraining, in sections, each checked."""

import dataclasses
import math

from micron_jax import config as configs
from micron_jax.checks import at_least, choose, require
from micron_jax.data.pairs import DELTA_SECONDS
from micron_jax.data.views import ViewsConfig
from micron_jax.errors import UserError, naming
from micron_jax.files import refuse_bucket
from micron_jax.models.config import ModelConfig
from micron_jax.synthetic.insertion import PATCH
from micron_jax.training.losses import ObjectiveConfig
from micron_jax.training.optimizer import OptimizerConfig
from micron_jax.training.sharding import MeshConfig


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The corpus and how pairs are drawn from it.

    Attributes:
      data_dir: folder that `micron-jax data build frames` wrote the corpus to.
      delta_seconds: smallest and largest distance δ of a pair, seconds, both included (ours); the
        default is 5 to 11 frames at 30 frames per second.
      workers, threads: reader processes (0 reads in threads of this process), and threads that
        read ahead, a batch each.
      validation_clips: share of the clips held out, rounded (ours); see `pairs.hold_out`.
    """

    data_dir: str
    delta_seconds: tuple[float, float] = DELTA_SECONDS
    workers: int = 0
    threads: int = 4
    validation_clips: float = 0.05

    def __post_init__(self):
        with naming("config.data.data_dir"):
            refuse_bucket(self.data_dir)
        valid = 0 <= self.validation_clips < 1
        mend = "must be at least 0 and less than 1"
        require(valid, "config.data", self, "validation_clips", mend)
        low, high = self.delta_seconds
        mend = "must be (smallest, largest) in seconds, more than 0"
        require(0 < low <= high < math.inf, "config.data", self, "delta_seconds", mend)


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """All settings of a pretraining.

    Attributes:
      data, model, views, objective, optimizer, mesh: sections, see their classes.
      seed: of everything random.
      batch_size: pairs a step, over all devices.
      accumulate: parts of a batch that are computed one after another, to save memory.
      epochs: passes over all pairs of the corpus; may be a fraction.
      log_every, picture_every, checkpoint_every, validate_every: in steps. Only a validated state
        can be the best checkpoint: let `validate_every` divide `checkpoint_every`.
      validation_batches: batches of a validation, with `batch_size` pairs spread over the clips.
      keep: number of the last checkpoints that stay; the best one stays besides.
      on_divergence: at a loss that is not finite, or a spike: `stop`, or `rewind` to the last
        checkpoint and go on behind the batches since then.
      spike: a loss this many times the median of the last 100 is a spike (`HealthCheck`); 0 knows
        no spikes.
      rewinds: number of rewinds before the run stops.
      on_save_error: when a checkpoint cannot be written (disk full, read-only): `continue` to the
        next with a warning, or `stop`. Several processes always stop.
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
        at_least(
            "config", self, batch_size=1, accumulate=1, log_every=1, picture_every=1,
            checkpoint_every=1, validate_every=1, validation_batches=1, keep=1,
        )  # fmt: skip
        choose("config", self, on_divergence=("stop", "rewind"), on_save_error=("continue", "stop"))
        require(self.epochs > 0, "config", self, "epochs", "must be more than 0")
        mend = "must be more than 1, or 0 for none"
        require(not self.spike or self.spike > 1, "config", self, "spike", mend)
        self._check_agreement()
        self._check_displacement()
        together = self.batch_size // self.accumulate
        valid = self.batch_size % (self.accumulate * self.views.pair_every) == 0
        mend = f"does not divide the {together} pairs that go through at a time"
        require(valid, "config.views", self.views, "pair_every", mend)

    def _check_agreement(self) -> None:
        agreement, views, model = self.objective.agreement, self.views, self.model
        valid = agreement != "dino" or views.global_crops == 2
        require(valid, "config.views", views, "global_crops", "dino takes 2")
        valid = agreement != "mse" or views.local_crops >= 1
        mend = "objective.agreement='mse' needs 1"
        require(valid, "config.views", views, "local_crops", mend)
        valid = (agreement == "dino") == (model.projection_dim > 0)
        mend = "the projection head belongs to objective.agreement='dino', and only to that"
        require(valid, "config.model", model, "projection_dim", mend)
        valid = not views.local_crops or views.local_size % model.patch_size == 0
        mend = f"not a multiple of model.patch_size={model.patch_size}"
        require(valid, "config.views", views, "local_size", mend)

    def _check_displacement(self) -> None:
        model, weight = self.model, self.objective.displacement_weight
        if bool(model.displacement_width) != bool(weight):
            raise UserError(
                f"config.model.displacement_width={model.displacement_width}, "
                f"config.objective.displacement_weight={weight:g}: to learn displacement, set "
                "both; to leave it out, both are 0"
            )
        valid = not weight or model.patch_size == PATCH
        mend = f"known displacement is of patches of {PATCH} px"
        require(valid, "config.model", model, "patch_size", mend)

    def total_steps(self, steps_per_epoch: int) -> int:
        """Steps of the whole run, at least one."""
        return max(round(self.epochs * steps_per_epoch), 1)


# Fields that may change when a run goes on: they reach the parameters by rounding alone, or by the
# answer to a loss that has diverged.
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
    _refuse_frames(values.get("data", {}))
    model = dict(values.get("model", {}))
    if (size := model.pop("size", None)) is not None:
        model = dataclasses.asdict(ModelConfig.of_size(size)) | model
    return configs.build(PretrainConfig, values | {"model": model})


def _refuse_frames(data: dict) -> None:
    """Refuses δ of the last version, which counted frames at 30 frames per second."""
    for name in ("delta_min", "delta_max"):
        if name in data:
            raise UserError(
                f"config.data.{name}: δ is in seconds now; set config.data.delta_seconds=(A, B), "
                "where A is delta_min / 30 and B is delta_max / 30"
            )
