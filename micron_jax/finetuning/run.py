"""Fine-tuning and its evaluation: `prepare`, `train_folds`, `report`, `add_classifier`."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax.checkpoints.classifier import KEPT
from micron_jax.errors import UserError
from micron_jax.evaluation import action_units, predictions
from micron_jax.evaluation.prediction import Prediction
from micron_jax.evaluation.report import write_report
from micron_jax.evaluation.run_files import Run, write_run
from micron_jax.evaluation.summary import summarize
from micron_jax.finetuning import final_classifier, fold_files, fold_scheduler, outputs
from micron_jax.finetuning.config import FinetuneConfig
from micron_jax.finetuning.fold_files import FoldResult
from micron_jax.finetuning.prepare import Prepared, prepare, progress_bar
from micron_jax.training.hosts import StopSignals
from micron_jax.training.workdir import sole_run


@dataclasses.dataclass(frozen=True)
class TrainedFolds:
    """Finished folds.

    Attributes:
      results: (seed, number of the fold) -> its result, seed by seed.
      signal: number of the signal that came; 0: none, and all folds are finished.
    """

    results: dict[tuple[int, int], FoldResult]
    signal: int


@dataclasses.dataclass(frozen=True)
class Finetuned:
    """Results of fine-tuning.

    Attributes:
      finished, total: number of finished folds, and of all folds, of all seeds.
      signal: number of the signal that stopped it; 0: it is done.
      predictions: of all folds and seeds; empty while folds are missing.
      summary: figures of the predictions, see `evaluation.summary.summarize`; of action units,
        whose predictions are in `units.csv`, see `evaluation.action_units.summarize_units`; None
        without them.
      leaky: with `config.report_leaky`, see `outputs.leaky_scores`.
      calibration: temperatures and reliability, see `outputs.calibrate`; None without predictions.
      report: the HTML page; None without predictions.
      classifier: folder of the classifier for use, which `micron_jax.load` reads; or None.
    """

    finished: int
    total: int
    signal: int = 0
    predictions: list[Prediction] = dataclasses.field(default_factory=list)
    summary: dict[str, Any] | None = None
    leaky: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    report: Path | None = None
    classifier: Path | None = None


def finetune(
    config: FinetuneConfig, workdir: Path, *, notify: Callable[[str], None] = lambda line: None
) -> Finetuned:
    """Trains every fold under every seed, writes predictions, curves and the report.

    Last it trains one classifier on everyone, for use, and writes it into the workdir. Baselines
    and shuffled labels make none. Started again with the same workdir, it keeps the folds that are
    done. SIGTERM, SIGINT and SIGHUP stop it after the epoch.

    Args:
      workdir: for predictions, curves, report and classifier.
      notify: called with each line on the samples and the backbone.

    Raises:
      UserError: the config does not fit the data sets, the checkpoint or the workdir; another run
        holds the workdir, or it cannot be written.
    """
    with sole_run(workdir):
        prepared = prepare(config, workdir, notify=notify)
        trained = train_folds(prepared)
        if trained.signal:
            return Finetuned(len(trained.results), len(prepared.names), trained.signal)
        return add_classifier(prepared, report(prepared, trained))


def train_folds(prepared: Prepared) -> TrainedFolds:
    """Trains the folds that the workdir does not hold, and writes each as soon as it is done.

    Raises:
      UserError: training diverged.
    """
    config, names = prepared.config, prepared.names
    paths = [fold_files.path_of(prepared.workdir, *name) for name in names]
    results = [fold_files.read(path) for path in paths]
    missing = [number for number, result in enumerate(results) if result is None]
    if not missing:
        return TrainedFolds(dict(zip(names, results, strict=True)), signal=0)
    functions = prepared.training(prepared.folds).side_by_side()
    arrays, shared = prepared.arrays(prepared.folds, config.seeds), prepared.shared()
    at_once = config.folds_at_once
    if at_once == "auto":
        at_once = fold_files.folds_at_once(
            prepared.workdir, lambda: fold_scheduler.fitting(functions, arrays, shared)
        )
    epochs = config.tuning.epochs
    with (
        StopSignals() as stop,
        progress_bar(total=len(missing) * epochs, desc="epochs of folds", unit="") as bar,
    ):
        scheduler = fold_scheduler.FoldScheduler(
            functions,
            arrays,
            shared,
            epochs=epochs,
            at_once=at_once,
            moved={one.move.name: one.samples for one in prepared.moved if one.samples},
            stopped=lambda: bool(stop.agreed()),
            on_epoch=bar.update,
        )
        for number, result in scheduler.train(missing):
            if not np.isfinite(result.probabilities).all():
                seed, fold = names[number]
                raise UserError(
                    f"fold {prepared.folds[fold].name}, seed {seed}: training diverged; lower "
                    f"config.tuning.learning_rate={config.tuning.learning_rate}"
                )
            results[number] = result
            fold_files.save(paths[number], result)
    finished = {name: result for name, result in zip(names, results, strict=True) if result}
    return TrainedFolds(finished, stop.agreed())


def report(prepared: Prepared, trained: TrainedFolds) -> Finetuned:
    """Writes predictions, curves, figures, their provenance and the report of all folds.

    Raises:
      UserError: a file cannot be written.
    """
    workdir, results = prepared.workdir, trained.results
    if prepared.units:
        return _report_units(prepared, trained)
    probabilities, calibration = outputs.calibrate(prepared, results)
    rows = outputs.predictions(prepared, probabilities)
    predictions.write_csv(workdir / predictions.FILE, rows)
    run = Run(
        curves=outputs.curves(prepared, results),
        leaky=outputs.leaky_scores(prepared, results) if prepared.config.report_leaky else None,
        calibration=calibration,
        hardest=outputs.hardest(prepared, rows),
        keyframe_errors=outputs.keyframe_errors(prepared, results) if prepared.moved else None,
        provenance=outputs.provenance(prepared),
    )
    write_run(workdir, run)
    summary = summarize(rows, prepared.protocol)
    page = write_report(workdir, summary)
    return Finetuned(
        len(results),
        len(results),
        predictions=rows,
        summary=summary,
        leaky=run.leaky,
        calibration=calibration,
        report=page,
    )


def _report_units(prepared: Prepared, trained: TrainedFolds) -> Finetuned:
    """Writes predictions, curves, figures and the report of action units."""
    workdir, results = prepared.workdir, trained.results
    table = outputs.unit_predictions(prepared, results)
    action_units.write_units(workdir / action_units.FILE, table)
    write_run(
        workdir,
        Run(curves=outputs.curves(prepared, results), provenance=outputs.provenance(prepared)),
    )
    summary = action_units.summarize_units(table)
    page = action_units.write_units_report(workdir, summary, prepared.units.lines)
    return Finetuned(len(results), len(results), summary=summary, report=page)


def add_classifier(prepared: Prepared, finetuned: Finetuned) -> Finetuned:
    """Trains the classifier for use, unless the workdir has it, and adds its folder to the results.

    Raises:
      UserError: it cannot be written.
    """
    if not prepared.backbone.params or prepared.config.shuffle_labels or prepared.units:
        return finetuned
    path = prepared.workdir / KEPT
    if not path.exists():
        epochs = prepared.config.tuning.epochs
        with (
            StopSignals() as stop,
            progress_bar(total=epochs, desc="the classifier for use", unit="") as bar,
        ):
            params = final_classifier.train(
                prepared, stopped=lambda: bool(stop.agreed()), on_epoch=bar.update
            )
        if params is None:
            return dataclasses.replace(finetuned, signal=stop.agreed())
        summary, calibration = finetuned.summary, finetuned.calibration
        final_classifier.save(prepared, params, summary, calibration, path)
    return dataclasses.replace(finetuned, classifier=path)
