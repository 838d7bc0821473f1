"""Folds side by side against the same folds one by one, on the same device: heads on a frozen
backbone, on drawn features in the numbers of a benchmark (CASME II's by default).

Both run the same compiled functions, and nothing of theirs is compiled in what is timed. One by one
is a fold after the other, as training scripts of the field go about it.
"""

import dataclasses
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.finetuning import fold_scheduler, fold_training
from micron_jax.finetuning.augment import AugmentConfig
from micron_jax.finetuning.optimizer import TuningConfig
from micron_jax.finetuning.partition import Part
from micron_jax.models.classifier import ClassifierConfig
from micron_jax.models.config import ModelConfig


@dataclasses.dataclass(frozen=True)
class Numbers:
    """What is trained: a fold a subject; the features are `width` wide."""

    samples: int = 246
    subjects: int = 26
    classes: int = 5
    width: int = 512
    epochs: int = 20
    batch_size: int = 32


def measure(numbers: Numbers, *, repeats: int, seed: int = 0) -> dict:
    """Trains all folds both ways, in turn, `repeats` times, after a turn that is not counted.

    Returns:
      {"ours", "theirs": {"samples_per_second", "seconds"} (side by side, one by one: medians),
      "ratio": the median of the turns' ratios of seconds, "ratios", "identical": whether both
      predict the same class for every test sample, "error": the largest difference of a
      probability, "device", and the numbers}.
    """
    rng = np.random.default_rng(seed)
    subjects = np.arange(numbers.samples) % numbers.subjects
    labels = rng.integers(numbers.classes, size=numbers.samples).astype(np.int32)
    features = rng.normal(size=(numbers.samples, 1, 1, numbers.width)).astype(np.float32)
    features[np.arange(numbers.samples), 0, 0, labels] += 3
    parts = [
        Part(str(n), tuple(np.flatnonzero(subjects != n)), (), tuple(np.flatnonzero(subjects == n)))
        for n in range(numbers.subjects)
    ]
    tuning = TuningConfig(epochs=numbers.epochs, batch_size=numbers.batch_size)
    steps = fold_training.steps_per_epoch(parts, tuning.batch_size)
    setting = fold_training.Setting(
        model=ModelConfig(depth=1),
        classifier=ClassifierConfig(),
        tuning=tuning,
        augment=AugmentConfig(),
        classes=numbers.classes,
        steps_per_epoch=steps,
        inner=False,
        watch_test=False,
    )
    runs = fold_training.make_runs(parts, [seed], features, labels, setting)
    program = fold_training.side_by_side(fold_training.make_program(setting))
    samples = {"features": jnp.asarray(features)}

    def train(at_once: int) -> tuple[float, np.ndarray]:
        begin = time.perf_counter()
        results = dict(
            fold_scheduler.train_runs(
                program, runs, range(len(parts)), {}, samples, jnp.asarray(labels),
                epochs=tuning.epochs, at_once=at_once,
            )
        )  # fmt: skip
        seconds = time.perf_counter() - begin
        return seconds, np.concatenate([results[n].probabilities for n in range(len(parts))])

    turns = [(train(len(parts)), train(1)) for _ in range(repeats + 1)][1:]
    (_, ours), (_, theirs) = turns[0]
    ratios = [one_by_one[0] / together[0] for together, one_by_one in turns]
    seen = len(parts) * tuning.epochs * steps * tuning.batch_size
    sides = {}
    for side, name in enumerate(("ours", "theirs")):
        seconds = statistics.median(turn[side][0] for turn in turns)
        sides[name] = {"samples_per_second": seen / seconds, "seconds": seconds}
    return sides | {
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "identical": bool((ours.argmax(-1) == theirs.argmax(-1)).all()),
        "error": float(np.abs(ours - theirs).max()),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "numbers": dataclasses.asdict(numbers),
    }
