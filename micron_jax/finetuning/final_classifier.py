"""The classifier that is kept: it learns from everyone that a fold may look at, as the folds do.

Nobody is left to test it on. What is said of it is what the folds' classifiers, each trained
without the subjects that it was tested on, were found to do: the best there is to say, and a little
less than it may do, as it saw a subject more.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from micron_jax.checkpoints import files
from micron_jax.checkpoints.classifier import Classifier, Pairs
from micron_jax.checkpoints.weights import Weights
from micron_jax.finetuning import fold_training
from micron_jax.finetuning.backbone import Start
from micron_jax.finetuning.partition import Part
from micron_jax.models.config import ModelConfig

_STATED = ("samples", "subjects", "uf1", "uar", "accuracy", "intervals")


def train(
    setting: fold_training.Setting,
    part: Part,
    seed: int,
    found: np.ndarray,
    backbone: dict,
    samples: dict,
    labels,
    *,
    stopped: Callable[[], bool] = lambda: False,
    tick: Callable[[], None] = lambda: None,
) -> dict | None:
    """Trains one classifier.

    Args:
      setting: of the folds.
      part: what to learn from; see `partition.everyone`.
      seed: of all that is drawn.
      found: features of the backbone as it starts; see `loso.make_runs`.
      backbone, samples, labels: see `loso.Program`.
      stopped: asked after every epoch; training is then given up.
      tick: called after every epoch.

    Returns:
      {"head", "backbone", "mean", "deviation"} of numpy arrays; None: it was stopped.
    """
    steps = fold_training.steps_per_epoch([part], setting.tuning.batch_size)
    setting = dataclasses.replace(setting, steps_per_epoch=steps, watch_test=False)
    runs = fold_training.make_runs([part], [seed], found, labels, setting)
    run = jax.tree.map(lambda a: a[0], runs)
    program = fold_training.make_program(setting)
    epoch = jax.jit(program.epoch, donate_argnums=0)
    backbone, samples, labels = jax.device_put((backbone, samples, labels))
    state = jax.jit(program.init)(run, backbone, samples)
    for number in range(setting.tuning.epochs):
        state, metrics = epoch(state, number, run, backbone, samples, labels)
        jax.block_until_ready(metrics)
        tick()
        if stopped():
            return None
    params = program.result(state, backbone) | {"mean": run.mean, "deviation": run.deviation}
    return jax.tree.map(np.asarray, params)


def evidence_of(summary: Mapping[str, Any], split: str) -> dict[str, Any]:
    """Of `summary.summarize` what is stated of a classifier; see `checkpoints.classifier`."""
    per_class = {
        name: {column: row[column] for column in ("samples", "f1", "recall", "precision")}
        for name, row in summary["per_class"].items()
    }
    return {
        "protocol": summary["protocol"]["name"],
        "split": split,
        "seeds": summary["seeds"]["count"],
        **{name: summary[name] for name in _STATED},
        "per_class": per_class,
    }


def save(
    trained: dict,
    start: Start,
    setting: fold_training.Setting,
    classes: tuple[str, ...],
    pairs: Pairs,
    evidence: Mapping[str, Any],
    path: Path,
) -> None:
    """Writes an interchange folder with the network and the classifier on it.

    Args:
      trained: from `train`.
      start: what it began with.
      setting: of the folds.
      classes: names.
      pairs: what it learned from.
      evidence: from `evidence_of`.
      path: of the folder.

    Raises:
      UserError: it cannot be written.
    """
    params = {name: trained[name] for name in ("head", "mean", "deviation")}
    # Of a checkpoint's network the features need neither decoder nor projection head.
    model: ModelConfig = dataclasses.replace(start.model, projection_dim=0)
    info = {"source": f"fine-tuned for {evidence['protocol']} from {start.source}"}
    weights = Weights(model, trained["backbone"], {}, np.zeros((1, 0), np.float32), info)
    classifier = Classifier(setting.classifier, classes, pairs, params, evidence)
    files.save(weights, path, classifier)
