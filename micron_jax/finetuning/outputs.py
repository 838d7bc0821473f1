"""Contents of the files of a fine-tuning: predictions, curves, figures and their provenance."""

import datetime
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import micron_jax
from micron_jax.evaluation import metrics
from micron_jax.evaluation.prediction import Prediction
from micron_jax.finetuning.fold_files import FoldResult
from micron_jax.finetuning.folds import Fold, Labeled

LEAKY = (
    "LEAKY, not a result: each fold's epoch was picked on its own test subject, as much of the "
    "literature does; for comparison with such papers only"
)

# (seed, number of the fold) -> its result.
FoldResults = Mapping[tuple[int, int], FoldResult]


def predictions(
    results: FoldResults, folds: Sequence[Fold], labeled: Labeled, classes: Sequence[str]
) -> list[Prediction]:
    """Returns the predictions of all folds and seeds."""
    rows = []
    for (seed, number), result in results.items():
        for index, p in zip(folds[number].test, result.probabilities, strict=True):
            sample, label = labeled[index]
            rows.append(
                Prediction(
                    clip=sample.clip,
                    subject=sample.subject,
                    label=classes[label],
                    prediction=classes[int(p.argmax())],
                    set=sample.dataset,
                    seed=seed,
                    fold=folds[number].name,
                    probabilities=dict(zip(classes, map(float, p), strict=True)),
                )
            )
    return rows


def curves(
    results: FoldResults, folds: Sequence[Fold]
) -> dict[tuple[str, str, int], dict[str, float]]:
    """Returns the curves of all folds, (seed, fold, epoch) -> {name: value}; epochs from 1."""
    return {
        (str(seed), folds[number].name, epoch + 1): {
            name: values[epoch] for name, values in result.curves.items()
        }
        for (seed, number), result in results.items()
        for epoch in range(len(next(iter(result.curves.values()))))
    }


def leaky_scores(
    results: FoldResults, folds: Sequence[Fold], labeled: Labeled, classes: Sequence[str]
) -> dict[str, Any]:
    """Returns the scores of epochs that are picked on test subjects: {"label", "uf1", "uar"}.

    The first epoch with the fold's best test accuracy is taken; several seeds are averaged.
    """
    confusions: dict[int, np.ndarray] = {}
    for (seed, number), result in results.items():
        labels = np.array([labeled[i][1] for i in folds[number].test])
        predicted = result.test_curve.argmax(-1)  # [epochs, test samples]
        best = predicted[int((predicted == labels).mean(axis=1).argmax())]
        confusion = metrics.confusion_matrix(labels, best, len(classes))
        confusions[seed] = confusions.get(seed, 0) + confusion
    scores = [metrics.scores(confusion) for confusion in confusions.values()]
    return {
        "label": LEAKY,
        "uf1": float(np.mean([s.uf1 for s in scores])),
        "uar": float(np.mean([s.uar for s in scores])),
    }


def hardest(rows: Sequence[Prediction], count: int) -> list[Prediction]:
    """Returns the first seed's predictions that gave the true class the least, worst first."""
    first = [row for row in rows if row.seed == rows[0].seed]
    return sorted(first, key=lambda row: row.probabilities[row.label])[:count]


def provenance(checkpoint: Mapping, sheets: Mapping, started: str) -> dict[str, Any]:
    """Returns versions, device, checkpoint, sheets, command and times, as JSON holds them."""
    device = jax.devices()[0]
    return {
        "micron_jax": micron_jax.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "git": _commit(),
        "device": f"{jax.device_count()} x {device.device_kind}",
        "checkpoint": dict(checkpoint),
        "sheets": dict(sheets),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": started,
        "finished": now(),
    }


def now() -> str:
    """The time, UTC, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _commit() -> str | None:
    """The commit of the checkout of this package, `-dirty` if it has changed; None: no checkout."""
    here = Path(micron_jax.__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty", "--match="],
            capture_output=True, text=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
