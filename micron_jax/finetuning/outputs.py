"""What fine-tuning leaves in its workdir, for `evaluate`, the report and the reader."""

import csv
import dataclasses
import datetime
import io
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

import micron_jax
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.census import compare
from micron_jax.datasets.protocols import Protocol
from micron_jax.evaluation import metrics, predictions
from micron_jax.evaluation.prediction import Prediction
from micron_jax.files import write_whole
from micron_jax.finetuning.fold_scheduler import Result
from micron_jax.finetuning.partition import Part

LEAKY = (
    "LEAKY, not a result: each fold's epoch was picked on its own test subject, as much of the "
    "literature does; for comparison with such papers only"
)

# (seed, number of the fold) -> what that run gave.
Results = Mapping[tuple[int, int], Result]


def write_predictions(
    workdir: Path,
    results: Results,
    parts: Sequence[Part],
    labeled: Sequence[tuple[Sample, int]],
    classes: Sequence[str],
) -> list[Prediction]:
    """Writes `predictions.csv`, all folds and seeds, and returns its rows."""
    rows = []
    for (seed, fold), result in results.items():
        for index, p in zip(parts[fold].test, result.probabilities, strict=True):
            sample, label = labeled[index]
            rows.append(
                Prediction(
                    clip=sample.clip,
                    subject=sample.subject,
                    label=classes[label],
                    prediction=classes[int(p.argmax())],
                    set=sample.dataset,
                    seed=seed,
                    fold=parts[fold].name,
                    probabilities=dict(zip(classes, map(float, p), strict=True)),
                )
            )
    predictions.write_csv(workdir / predictions.FILE, rows)
    return rows


def write_protocol(workdir: Path, protocol: Protocol, samples: Sequence[Sample]) -> list[str]:
    """Writes `protocol.json`; returns where this copy differs from the published counts."""
    result = compare(protocol, samples)
    content = {
        "name": protocol.name,
        "classes": list(protocol.classes),
        "expected": {name: dataclasses.asdict(part) for name, part in protocol.expected.items()},
        "found": {name: dataclasses.asdict(part) for name, part in result.counts.items()},
        "differences": result.differences,
    }
    write_json(workdir / "protocol.json", content)
    return result.differences


def write_curves(workdir: Path, results: Results, parts: Sequence[Part]) -> None:
    """Writes `curves.csv`, a row an epoch of each fold."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    found = next(iter(results.values())).curves
    first = ["train_loss", "train_accuracy"]
    names = [*first, *(name for name in found if name not in first)]
    writer.writerow(["seed", "fold", "epoch", *names])
    for (seed, fold), result in results.items():
        columns = [result.curves[name] for name in names]
        for epoch, values in enumerate(zip(*columns, strict=True), 1):
            writer.writerow([seed, parts[fold].name, epoch, *(f"{v:.6g}" for v in values)])
    write_whole(workdir / "curves.csv", text.getvalue().encode())


def leaky_scores(
    results: Results,
    parts: Sequence[Part],
    labeled: Sequence[tuple[Sample, int]],
    classes: Sequence[str],
) -> dict:
    """What picking each fold's epoch on its test subject gives: {"label", "uf1", "uar"}.

    The first epoch with the fold's best test accuracy is taken; several seeds are averaged.
    """
    of_seed: dict[int, np.ndarray] = {}
    for (seed, fold), result in results.items():
        labels = np.array([labeled[i][1] for i in parts[fold].test])
        predicted = result.watched.argmax(-1)  # [epochs, test samples]
        chosen = predicted[int((predicted == labels).mean(axis=1).argmax())]
        confusion = metrics.confusion_matrix(labels, chosen, len(classes))
        of_seed[seed] = of_seed.get(seed, 0) + confusion
    scores = [metrics.scores(confusion) for confusion in of_seed.values()]
    return {
        "label": LEAKY,
        "uf1": float(np.mean([s.uf1 for s in scores])),
        "uar": float(np.mean([s.uar for s in scores])),
    }


def hardest_first(rows: Sequence[Prediction], count: int) -> list[Prediction]:
    """Of the first seed's predictions those that gave the true class the least."""
    first = [row for row in rows if row.seed == rows[0].seed]
    return sorted(first, key=lambda row: row.probabilities[row.label])[:count]


def write_hardest(
    workdir: Path, rows: Sequence[Prediction], onset: np.ndarray, apex: np.ndarray, heat
) -> None:
    """Writes `hardest.npz`: frames uint8 [n, H, W, 3], heat float32 [n, g, g], and who they are."""
    data = io.BytesIO()
    words = {
        n: np.array([getattr(row, n) for row in rows]) for n in ("clip", "label", "prediction")
    }
    np.savez_compressed(data, onset=onset, apex=apex, heat=heat, **words)
    write_whole(workdir / "hardest.npz", data.getvalue())


def provenance(checkpoint: Mapping, sheets: Mapping, started: str) -> dict:
    """What made these numbers, to the version; for `provenance.json`."""
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


def write_json(path: Path, value) -> None:
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _commit() -> str | None:
    """The commit of the checkout that this package runs from; None: it is none, or changed."""
    here = Path(micron_jax.__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty", "--match="],
            capture_output=True, text=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
