"""The classifier for use: it learns from the samples of all folds, by the schedule of the folds.

No subject is left to test it on. Its evidence is the figures of the folds' classifiers, each
trained without the subjects that it was tested on.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from micron_jax import functions
from micron_jax.checkpoints import files
from micron_jax.checkpoints.classifier import Classifier, Pairs
from micron_jax.checkpoints.weights import Weights
from micron_jax.finetuning.folds import everyone
from micron_jax.finetuning.prepare import Prepared

_BATCH = 16  # pairs
_STATED = ("samples", "subjects", "uf1", "uar", "accuracy", "intervals")


def train(
    prepared: Prepared, *, stopped: Callable[[], bool], on_epoch: Callable[[], None]
) -> dict | None:
    """Trains one classifier, by the first seed.

    Args:
      stopped: asked after every epoch; if true, training is given up.

    Returns:
      {"head", "backbone", "mean", "deviation"} of numpy arrays; None: it was stopped.
    """
    p, c = prepared, prepared.config
    fold = everyone(p.labeled, p.protocol, p.folds, c.split, seed=c.seed)
    training = dataclasses.replace(p.training([fold]), watch_test=False)
    arrays, shared = p.arrays([fold], seeds=1)[0], jax.device_put(p.shared())
    epoch = jax.jit(training.epoch, donate_argnums=0)
    state = jax.jit(training.init)(arrays, shared)
    for number in range(c.tuning.epochs):
        state, metrics = epoch(state, number, arrays, shared)
        jax.block_until_ready(metrics)
        on_epoch()
        if stopped():
            return None
    params = training.result(state, shared) | {"mean": arrays.mean, "deviation": arrays.deviation}
    return jax.tree.map(np.asarray, params)


def save(
    prepared: Prepared,
    params: dict,
    summary: Mapping[str, Any],
    calibration: Mapping[str, Any],
    path: Path,
) -> None:
    """Writes an interchange folder with the network and the classifier on it.

    Args:
      summary: of the folds' predictions, from `evaluation.summary.summarize`.
      calibration: of the folds' probabilities, from `outputs.calibrate`. The temperature of all
        folds divides the weights of the last layer.

    Raises:
      UserError: it cannot be written.
    """
    config, backbone = prepared.config, prepared.backbone
    size = prepared.pairs["onset"].shape[1]
    temperature, last = calibration["temperature"], params["head"]["classes"]
    scaled = jax.tree.map(lambda weights: (weights / temperature).astype(np.float32), last)
    head = params["head"] | {"classes": scaled}
    errors = {name: calibration[name]["ece"] for name in ("before", "after")}
    classifier = Classifier(
        config.classifier,
        prepared.protocol.classes,
        Pairs(size, config.data.crop, config.data.registered),
        {name: params[name] for name in ("mean", "deviation")} | {"head": head},
        _evidence(summary, config.split.kind)
        | {
            "calibration": {"temperature": temperature, "ece": errors},
            "no_class": _unmoved(prepared, params["backbone"]),
        },
    )
    # Of a checkpoint's network the features need neither decoder nor projection head.
    model = dataclasses.replace(backbone.model, projection_dim=0)
    info = {"source": f"fine-tuned for {prepared.protocol.name} from {backbone.source}"}
    weights = Weights(model, params["backbone"], {}, np.zeros((1, 0), np.float32), info)
    files.save(weights, path, classifier)


def _unmoved(prepared: Prepared, params: dict) -> int:
    """The number of samples in which nothing moved: in use, the classifier gives them no class."""
    onset, apex = prepared.pairs["onset"], prepared.pairs["apex"]
    model, faces = prepared.backbone.model, prepared.config.data.crop == "face"
    nothing_moved = jax.jit(functools.partial(functions.nothing_moved, model, faces=faces))
    begins = range(0, len(onset), _BATCH)
    parts = (np.s_[begin : begin + _BATCH] for begin in begins)
    return sum(int(nothing_moved(params, onset[part], apex[part]).sum()) for part in parts)


def _evidence(summary: Mapping[str, Any], split: str) -> dict[str, Any]:
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
