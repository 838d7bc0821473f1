"""The classifier for use: it learns from the samples of all folds, by the schedule of the folds.

No subject is left to test it on. Its evidence is the figures of the folds' classifiers, each
trained without the subjects that it was tested on.
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
from micron_jax.finetuning.backbone import Backbone
from micron_jax.finetuning.fold_arrays import SharedArrays, fold_arrays
from micron_jax.finetuning.fold_training import FoldTraining, steps_per_epoch
from micron_jax.finetuning.folds import Fold

_STATED = ("samples", "subjects", "uf1", "uar", "accuracy", "intervals")


def train(
    training: FoldTraining,
    fold: Fold,
    seed: int,
    features: np.ndarray,
    shared: SharedArrays,
    *,
    stopped: Callable[[], bool] = lambda: False,
    on_epoch: Callable[[], None] = lambda: None,
) -> dict | None:
    """Trains one classifier.

    Args:
      training: of the folds.
      fold: from `folds.everyone`.
      seed: of everything that is drawn.
      features: of the backbone as it starts, float32 [n, V, T, F].
      shared: as for the folds.
      stopped: asked after every epoch; if true, training is given up.
      on_epoch: called after every epoch.

    Returns:
      {"head", "backbone", "mean", "deviation"} of numpy arrays; None: it was stopped.
    """
    steps = steps_per_epoch([fold], training.tuning.batch_size)
    training = dataclasses.replace(training, steps_per_epoch=steps, watch_test=False)
    arrays = fold_arrays(
        [fold],
        [seed],
        features,
        shared.labels,
        classes=training.classes,
        weighting=training.tuning.class_weights,
    )[0]
    epoch = jax.jit(training.epoch, donate_argnums=0)
    shared = jax.device_put(shared)
    state = jax.jit(training.init)(arrays, shared)
    for number in range(training.tuning.epochs):
        state, metrics = epoch(state, number, arrays, shared)
        jax.block_until_ready(metrics)
        on_epoch()
        if stopped():
            return None
    params = training.result(state, shared) | {"mean": arrays.mean, "deviation": arrays.deviation}
    return jax.tree.map(np.asarray, params)


def evidence_of(summary: Mapping[str, Any], split: str) -> dict[str, Any]:
    """Returns the evidence for a classifier, from `summary.summarize`; see `Classifier`."""
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
    params: dict,
    backbone: Backbone,
    training: FoldTraining,
    classes: tuple[str, ...],
    pairs: Pairs,
    evidence: Mapping[str, Any],
    path: Path,
) -> None:
    """Writes an interchange folder with the network and the classifier on it.

    Args:
      params: from `train`.
      backbone: as training started.
      training: of the folds.
      classes: names.
      pairs: the form of the pairs.
      evidence: from `evidence_of`.
      path: of the folder.

    Raises:
      UserError: it cannot be written.
    """
    own = {name: params[name] for name in ("head", "mean", "deviation")}
    # Of a checkpoint's network the features need neither decoder nor projection head.
    model = dataclasses.replace(backbone.model, projection_dim=0)
    info = {"source": f"fine-tuned for {evidence['protocol']} from {backbone.source}"}
    weights = Weights(model, params["backbone"], {}, np.zeros((1, 0), np.float32), info)
    files.save(weights, path, Classifier(training.classifier, classes, pairs, own, evidence))
