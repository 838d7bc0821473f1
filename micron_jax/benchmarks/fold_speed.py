"""Speed of folds side by side against the same folds one by one, on the same device.

Heads on a frozen backbone, on drawn features in the numbers of a benchmark (CASME II's by default).
Both ways run the same compiled functions, and compile before the time is taken. One by one is a
fold after the other, as training scripts of the field go about it.
"""

import dataclasses
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.finetuning.augment import AugmentConfig
from micron_jax.finetuning.fold_arrays import SharedArrays, stack_folds
from micron_jax.finetuning.fold_scheduler import FoldScheduler
from micron_jax.finetuning.fold_training import FoldTraining, steps_per_epoch
from micron_jax.finetuning.folds import Fold
from micron_jax.finetuning.optimizer import TuningConfig
from micron_jax.models.classifier import ClassifierConfig
from micron_jax.models.config import ModelConfig


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Sizes of the drawn benchmark: a fold a subject; the features are `width` wide."""

    samples: int = 246
    subjects: int = 26
    classes: int = 5
    width: int = 512
    epochs: int = 20
    batch_size: int = 32


def measure(numbers: Numbers, *, repeats: int, seed: int = 0) -> dict:
    """Trains all folds both ways, alternately, `repeats` times, after a round that is not counted.

    Returns:
      {"ours", "theirs": {"samples_per_second", "seconds"} (side by side, one by one: medians),
      "ratio": the median of the rounds' ratios of seconds, "ratios", "identical": whether both
      predict the same class for every test sample, "error": the largest difference of a
      probability, "device", and the numbers}.
    """
    rng = np.random.default_rng(seed)
    subjects = np.arange(numbers.samples) % numbers.subjects
    labels = rng.integers(numbers.classes, size=numbers.samples).astype(np.int32)
    features = rng.normal(size=(numbers.samples, 1, 1, numbers.width)).astype(np.float32)
    features[np.arange(numbers.samples), 0, 0, labels] += 3
    folds = [
        Fold(str(n), tuple(np.flatnonzero(subjects != n)), (), tuple(np.flatnonzero(subjects == n)))
        for n in range(numbers.subjects)
    ]
    tuning = TuningConfig(epochs=numbers.epochs, batch_size=numbers.batch_size)
    training = FoldTraining(
        model=ModelConfig(depth=1),
        classifier=ClassifierConfig(),
        tuning=tuning,
        augment=AugmentConfig(),
        classes=numbers.classes,
        steps_per_epoch=steps_per_epoch(folds, tuning.batch_size),
    )
    arrays = stack_folds(folds, [seed], features, labels, classes=numbers.classes)
    functions = training.side_by_side()
    shared = SharedArrays({}, {"features": jnp.asarray(features)}, jnp.asarray(labels))

    def train(at_once: int) -> tuple[float, np.ndarray]:
        """Seconds, and the probabilities of all test samples."""
        begin = time.perf_counter()
        scheduler = FoldScheduler(functions, arrays, shared, epochs=tuning.epochs, at_once=at_once)
        results = dict(scheduler.train(range(len(folds))))
        seconds = time.perf_counter() - begin
        return seconds, np.concatenate([results[n].probabilities for n in range(len(folds))])

    rounds = [(train(len(folds)), train(1)) for _ in range(repeats + 1)][1:]
    (_, together), (_, apart) = rounds[0]
    ratios = [one_by_one[0] / side_by_side[0] for side_by_side, one_by_one in rounds]
    samples = len(folds) * tuning.epochs * training.steps_per_epoch * tuning.batch_size
    sides = {}
    for side, name in enumerate(("ours", "theirs")):
        seconds = statistics.median(both[side][0] for both in rounds)
        sides[name] = {"samples_per_second": samples / seconds, "seconds": seconds}
    return sides | {
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "identical": bool((together.argmax(-1) == apart.argmax(-1)).all()),
        "error": float(np.abs(together - apart).max()),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "numbers": dataclasses.asdict(numbers),
    }
