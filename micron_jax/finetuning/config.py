"""Settings of fine-tuning, in sections, each checked."""

import dataclasses

from micron_jax import config as configs
from micron_jax.checks import at_least, choose
from micron_jax.datasets.face_pairs import PairsConfig
from micron_jax.errors import UserError, naming
from micron_jax.files import refuse_bucket
from micron_jax.finetuning.augment import AugmentConfig
from micron_jax.finetuning.folds import SplitConfig
from micron_jax.finetuning.keyframes import canonical
from micron_jax.finetuning.optimizer import TuningConfig
from micron_jax.models.classifier import ClassifierConfig
from micron_jax.models.config import SIZES, ModelConfig

BASELINES = ("", "frame_difference", "flow", "flow_tvl1", "flow_farneback")


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
    """All settings of fine-tuning and its evaluation.

    Attributes:
      data, classifier, augment, tuning, split: sections, see their classes.
      protocol: the samples that count, and their classes; see `datasets.protocols`.
      target: `emotion`, the protocol's classes; or `units`, the action units that the sheets tell,
        of all clips of the protocol's sets, each unit by itself.
      units_at_least: number of clips that show a unit, below which it is left out.
      checkpoint: a run's workdir, a converted folder or a `.pth`; `random`: random weights.
      model: the architecture, as in a pretraining's config. With a checkpoint it may be left out;
        its fields must then agree, but for `attention`, `dtype`, `poi` and the DMA's form.
      features: in place of frames and network, an `.npz` with features that another program has
        computed: `set`, `clip` and `x` [n, ...]. With `subject` and `label` it needs no built sets
        (`data.data_dir` empty); see `finetuning.given_features`.
      baseline: in place of the network, `frame_difference` (pixels), `flow` (optical flow, by DIS),
        `flow_tvl1` or `flow_farneback`.
      seed, seeds: of everything random; every fold is trained under `seeds` of them from `seed`.
      folds_at_once: folds trained side by side, or `auto`, as many as memory holds.
      report_leaky: report, beside the honest figures, those of the epoch that is best on each
        fold's test subject.
      shuffle_labels: a control: labels are permuted at random; all figures must be at chance.
      keyframe_errors: sizes of errors of onset and apex, in frames (`1,2,4`) or seconds
        (`0.02s,0.05s`), under which the test clips are predicted once more; needs sets that are
        built with all frames. See `finetuning.keyframes`.
      hardest: number of the worst clips whose frames the report shows.
    """

    data: PairsConfig
    classifier: ClassifierConfig
    augment: AugmentConfig
    tuning: TuningConfig
    split: SplitConfig
    model: dict = dataclasses.field(default_factory=dict)
    protocol: str = "casme2_5"
    target: str = "emotion"
    units_at_least: int = 10
    checkpoint: str = ""
    features: str = ""
    baseline: str = ""
    seed: int = 0
    seeds: int = 1
    folds_at_once: int | str = "auto"
    report_leaky: bool = False
    shuffle_labels: bool = False
    keyframe_errors: str | int | float | tuple | list = ""
    hardest: int = 12

    def __post_init__(self):
        configs.check_fields(ModelConfig, self.model, section="config.model")
        at_least("config", self, seeds=1, hardest=0, units_at_least=2)
        choose("config", self, target=("emotion", "units"))
        for field in ("features", "keyframe_errors", "report_leaky"):
            if self.target == "units" and getattr(self, field):
                raise UserError(f"config.{field}: config.target='units' has no such form")
        choose("config", self, baseline=BASELINES)
        object.__setattr__(self, "keyframe_errors", canonical(self.keyframe_errors))
        at_once = self.folds_at_once
        if at_once != "auto" and (isinstance(at_once, str) or at_once < 1):
            raise UserError(f"config.folds_at_once={at_once!r}: a number from 1 up, or auto")
        if self.features and self.baseline:
            raise UserError(f"config.features: baseline {self.baseline!r} computes its own")
        if self.features and self.keyframe_errors:
            raise UserError("config.keyframe_errors: config.features has no frames to move")
        with naming("config.data.data_dir"):
            refuse_bucket(self.data.data_dir)
        if not (self.features or self.data.data_dir):
            raise UserError("config.data.data_dir is missing; set config.data.data_dir=VALUE")
        # In place of the network, of which a head remains.
        instead = f"baseline {self.baseline!r}" if self.baseline else "config.features"
        if (self.baseline or self.features) and self.checkpoint:
            raise UserError(f"config.checkpoint: {instead} has no network")
        if (self.baseline or self.features) and self.tuning.trainable != "head":
            raise UserError(
                f"config.tuning.trainable={self.tuning.trainable!r}: {instead} has a head only"
            )
        if not (self.baseline or self.features or self.checkpoint):
            raise UserError(
                "config.checkpoint is missing; name one (micron-tiny comes with the package), or "
                "say random for random weights"
            )
        if "size" in self.model:
            choose("config.model", self.model, size=SIZES)


# Fields that may change when a run goes on: none of them reaches the results of a fold.
FREE = {"data.data_dir", "folds_at_once", "hardest"}
# Fields that runs of earlier versions lack, and the values that mean what these did.
ADDED = {"features": "", "keyframe_errors": "", "target": "emotion", "units_at_least": 10}


def parse(values: dict) -> FinetuneConfig:
    """Returns the config of nested dicts; UserError: an unknown or missing field, a bad value."""
    return configs.build(FinetuneConfig, values)
