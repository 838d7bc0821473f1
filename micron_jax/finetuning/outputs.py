"""Contents of the files of a fine-tuning: predictions, curves, figures and their provenance."""

import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import micron_jax
from micron_jax.evaluation import calibration, metrics
from micron_jax.evaluation.action_units import UnitPredictions
from micron_jax.evaluation.prediction import Prediction
from micron_jax.evaluation.run_files import Hardest
from micron_jax.evaluation.significance import Bootstrap, compare
from micron_jax.finetuning import features
from micron_jax.finetuning.fold_files import FoldResult
from micron_jax.finetuning.prepare import Prepared, now

LEAKY = (
    "LEAKY, not a result: each fold's epoch was picked by the labels of its own test clips, as "
    "much of the literature does, so that the figure has seen the answers that it is tested on"
)

CALIBRATED = (
    "one temperature a fold, fitted on the test clips of the other folds; no predicted class "
    "changes"
)
ONE_FOLD = "one fold, no other to fit a temperature on: its probabilities stay as they are"

# (seed, number of the fold) -> its result.
FoldResults = Mapping[tuple[int, int], FoldResult]


def calibrate(
    prepared: Prepared, results: FoldResults
) -> tuple[dict[tuple[int, int], np.ndarray], dict[str, Any]]:
    """Calibrates the probabilities of each fold by the test samples of the other folds.

    Returns:
      (probabilities, record): (seed, number of the fold) -> [test samples, C], and the contents of
      `calibration.json`: {"label", "temperature": of all folds, for the classifier that is kept,
      "folds": {name: temperature}, "before", "after": see `calibration.reliability`}.
    """
    raw: dict[int, list[np.ndarray]] = {}
    truth: dict[int, list[np.ndarray]] = {}
    labels = {
        number: np.array([prepared.labeled[i][1] for i in fold.test], int)
        for number, fold in enumerate(prepared.folds)
    }
    for (_, number), result in results.items():
        raw.setdefault(number, []).append(result.probabilities)
        truth.setdefault(number, []).append(labels[number])
    p = {number: np.concatenate(parts) for number, parts in raw.items()}
    y = {number: np.concatenate(parts) for number, parts in truth.items()}
    temperatures = calibration.cross_fitted(p, y)
    values = {
        (seed, number): calibration.tempered(result.probabilities, temperatures[number])
        for (seed, number), result in results.items()
    }
    everything, answers = np.concatenate(list(p.values())), np.concatenate(list(y.values()))
    after = np.concatenate([calibration.tempered(p[n], temperatures[n]) for n in p])
    record = {
        "label": CALIBRATED if len(p) > 1 else ONE_FOLD,
        "temperature": calibration.fit_temperature(everything, answers),
        "folds": {prepared.folds[number].name: t for number, t in temperatures.items()},
        "before": calibration.reliability(everything, answers),
        "after": calibration.reliability(after, answers),
    }
    return values, record


def predictions(
    prepared: Prepared, probabilities: Mapping[tuple[int, int], np.ndarray]
) -> list[Prediction]:
    """Returns the predictions of (seed, number of the fold) -> probabilities [test samples, C]."""
    rows, classes = [], prepared.protocol.classes
    for (seed, number), values in probabilities.items():
        fold = prepared.folds[number]
        for index, p in zip(fold.test, values, strict=True):
            sample, label = prepared.labeled[index]
            rows.append(
                Prediction(
                    clip=sample.clip,
                    subject=sample.subject,
                    label=classes[label],
                    prediction=classes[int(p.argmax())],
                    set=prepared.set_of(sample),
                    seed=seed,
                    fold=fold.name,
                    probabilities=dict(zip(classes, map(float, p), strict=True)),
                )
            )
    return rows


def unit_predictions(prepared: Prepared, results: FoldResults) -> UnitPredictions:
    """Returns the predictions of action units of all folds and seeds."""
    keys, places, probabilities = [], [], []
    for (seed, number), result in results.items():
        fold = prepared.folds[number]
        samples = [prepared.labeled[index][0] for index in fold.test]
        keys += [(s.clip, s.subject, prepared.set_of(s), seed, fold.name) for s in samples]
        places += fold.test
        probabilities.append(result.probabilities)
    labels = prepared.units.targets[places] > 0.5
    return UnitPredictions(prepared.units.names, keys, labels, np.concatenate(probabilities))


def curves(
    prepared: Prepared, results: FoldResults
) -> dict[tuple[str, str, int], dict[str, float]]:
    """Returns the curves of all folds, (seed, fold, epoch) -> {name: value}; epochs from 1."""
    return {
        (str(seed), prepared.folds[number].name, epoch + 1): {
            name: values[epoch] for name, values in result.curves.items()
        }
        for (seed, number), result in results.items()
        for epoch in range(prepared.config.tuning.epochs)
    }


def leaky_scores(prepared: Prepared, results: FoldResults) -> dict[str, Any]:
    """Returns the scores of epochs that are picked on test clips, beside the honest ones.

    The first epoch with the fold's best test accuracy is taken; several seeds are averaged.

    Returns:
      {"label", "uf1", "uar", "accuracy", "intervals": {metric: [low, high]} or None, "honest": the
      same without label}.
    """
    best = {}
    for (seed, number), result in results.items():
        labels = np.array([prepared.labeled[i][1] for i in prepared.folds[number].test])
        hits = result.test_curve.argmax(-1) == labels  # [epochs, test samples]
        best[seed, number] = result.test_curve[int(hits.mean(axis=1).argmax())]
    leaky, honest = (
        predictions(prepared, best),
        predictions(prepared, {name: result.probabilities for name, result in results.items()}),
    )
    classes = prepared.protocol.classes
    return {"label": LEAKY} | _scores(leaky, classes) | {"honest": _scores(honest, classes)}


def _scores(rows: Sequence[Prediction], classes: Sequence[str]) -> dict[str, Any]:
    confusions = metrics.count(rows, classes)
    bounds = Bootstrap().intervals(confusions)
    intervals = bounds and {name: list(pair) for name, pair in bounds.items()}
    return _means(confusions) | {"intervals": intervals}


def _means(confusions: metrics.Confusions) -> dict[str, float]:
    """Returns each metric's mean over seeds."""
    values = confusions.scores()
    return {name: float(getattr(values, name).mean()) for name in metrics.METRICS}


def keyframe_errors(prepared: Prepared, results: FoldResults) -> dict[str, Any]:
    """Returns the scores under each error of keyframes, of the folds' own classifiers.

    Returns:
      {"unit": `frames` or `seconds`, "clips", "uf1", "uar", "accuracy": without errors, "errors":
      [{"keyframe", "error", "clips_cut": whose frame is beyond the clip's end, "clips_same": whose
      frames stay as they are, and for each metric "uf1": ..., "difference": {"uf1": ...,
      "interval", "p"} to no error, paired over subjects]}. An error that is cut short in
      every clip has neither scores nor difference.
    """
    classes, bootstrap = prepared.protocol.classes, Bootstrap()
    rows, errors = (
        predictions(prepared, {name: result.probabilities for name, result in results.items()}),
        [],
    )
    for moved in prepared.moved:
        entry = {"keyframe": moved.move.keyframe, "error": moved.move.error}
        entry |= {"clips_cut": moved.cut, "clips_same": moved.same}
        if moved.samples:
            probabilities = {
                name: result.moved[moved.move.name] for name, result in results.items()
            }
            table = predictions(prepared, probabilities)
            entry |= _means(metrics.count(table, classes))
            if len({row.person for row in rows}) > 1:
                difference = compare(table, rows, classes, bootstrap=bootstrap)
                entry["difference"] = {name: difference[name] for name in metrics.METRICS}
        errors.append(entry)
    unit = "seconds" if prepared.moved[0].move.seconds else "frames"
    about = {"unit": unit, "clips": len({row.key for row in rows})}
    about |= _means(metrics.count(rows, classes))
    return about | {"errors": errors}


def hardest(prepared: Prepared, rows: Sequence[Prediction]) -> Hardest | None:
    """Returns the clips whose class got the least probability under the first seed, worst first."""
    first = [row for row in rows if row.seed == rows[0].seed]
    worst = sorted(first, key=lambda row: row.probabilities[row.label])[: prepared.config.hardest]
    if not worst or not prepared.backbone.params:
        return None
    samples = (sample for sample, _ in prepared.labeled)
    places = {(prepared.set_of(s), s.subject, s.clip): i for i, s in enumerate(samples)}
    index = [places[row.key] for row in worst]
    onset, apex = prepared.pairs["onset"][index], prepared.pairs["apex"][index]
    maps = features.motion_maps(prepared.backbone, onset, apex)
    texts = {n: tuple(getattr(row, n) for row in worst) for n in ("clip", "label", "prediction")}
    kind = "motion" if prepared.backbone.model.displacement_width else "symmetric"
    return Hardest(onset, apex, maps, **texts, kind=kind)


def provenance(prepared: Prepared) -> dict[str, Any]:
    """Returns versions, device, checkpoint, sheets, command and times, as JSON holds them."""
    device, backbone = jax.devices()[0], prepared.backbone
    return {
        "micron_jax": micron_jax.__version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "git": _commit(),
        "device": f"{jax.device_count()} x {device.device_kind}",
        "checkpoint": {"source": backbone.source, "sha256": backbone.sha256},
        "sheets": dict(prepared.sheets),
        **({"features": prepared.file} if prepared.file else {}),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": prepared.started,
        "finished": now(),
    }


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
