"""Fine-tuning and its evaluation: samples, folds, features, training, figures, a classifier."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from micron_jax.checkpoints import classifier
from micron_jax.datasets import protocols
from micron_jax.datasets.census import compare
from micron_jax.datasets.face_pairs import Opened, open_protocol, read_pairs
from micron_jax.datasets.protocols import Protocol
from micron_jax.errors import UserError
from micron_jax.evaluation import predictions
from micron_jax.evaluation.prediction import Prediction
from micron_jax.evaluation.report import write_report
from micron_jax.evaluation.run_files import Hardest, Run, protocol_record, write_run
from micron_jax.evaluation.summary import summarize
from micron_jax.finetuning import (
    baselines,
    features,
    final_classifier,
    fold_files,
    fold_scheduler,
    outputs,
)
from micron_jax.finetuning.backbone import Backbone, no_backbone, read_backbone
from micron_jax.finetuning.config import FREE, FinetuneConfig
from micron_jax.finetuning.fold_arrays import SharedArrays, fold_arrays
from micron_jax.finetuning.fold_files import FoldResult
from micron_jax.finetuning.fold_training import FoldTraining, steps_per_epoch
from micron_jax.finetuning.folds import Fold, Labeled, everyone, shared_ids, split
from micron_jax.training.hosts import StopSignals
from micron_jax.training.workdir import claim_workdir

_bar = functools.partial(tqdm, mininterval=1.0, leave=False)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Everything that training needs.

    Attributes:
      config, workdir, protocol: as chosen.
      started: time of the start, ISO 8601.
      sheets: set -> {"file", "sha256"} of its sheet.
      labeled: the samples, with class indices.
      folds: of indices into `labeled`.
      backbone: the network as training starts.
      pairs: {"onset", "apex"}, uint8 [n, S, S, 3].
      features: of the backbone, float32 [n, V, T, F].
    """

    config: FinetuneConfig
    workdir: Path
    protocol: Protocol
    started: str
    sheets: dict[str, dict]
    labeled: Labeled
    folds: list[Fold]
    backbone: Backbone
    pairs: dict[str, np.ndarray]
    features: np.ndarray

    @property
    def seeds(self) -> range:
        return range(self.config.seed, self.config.seed + self.config.seeds)

    @property
    def training(self) -> FoldTraining:
        c = self.config
        return FoldTraining(
            model=self.backbone.model,
            classifier=c.classifier,
            tuning=c.tuning,
            augment=c.augment,
            classes=len(self.protocol.classes),
            steps_per_epoch=steps_per_epoch(self.folds, c.tuning.batch_size),
            inner=c.split.selection == "inner",
            watch_test=c.report_leaky,
        )

    def shared(self) -> SharedArrays:
        """Returns the arrays of all folds, on the device."""
        labels = jnp.array([label for _, label in self.labeled], jnp.int32)
        samples = {"features": self.features} if self.training.frozen else self.pairs
        return SharedArrays(self.backbone.params, jax.tree.map(jnp.asarray, samples), labels)


@dataclasses.dataclass(frozen=True)
class TrainedFolds:
    """Finished folds.

    Attributes:
      results: (seed, number of the fold) -> its result, seed by seed.
      total: number of all folds, of all seeds.
      signal: number of the signal that stopped training; 0: all folds are finished.
    """

    results: dict[tuple[int, int], FoldResult]
    total: int
    signal: int


@dataclasses.dataclass(frozen=True)
class Finetuned:
    """Results of fine-tuning.

    Attributes:
      finished, total: number of finished folds, and of all folds, of all seeds.
      signal: number of the signal that stopped it; 0: it is done.
      predictions: of all folds and seeds; empty while folds are missing.
      summary: figures of the predictions, see `evaluation.summary.summarize`; None without them.
      leaky: {"label", "uf1", "uar"} with `config.report_leaky`.
      report: the HTML page; None without predictions.
      classifier: folder of the classifier for use, which `micron_jax.load` reads; or None.
    """

    finished: int
    total: int
    signal: int = 0
    predictions: list[Prediction] = dataclasses.field(default_factory=list)
    summary: dict[str, Any] | None = None
    leaky: dict[str, Any] | None = None
    report: Path | None = None
    classifier: Path | None = None


def finetune(
    config: FinetuneConfig, workdir: Path, *, notify: Callable[[str], None] = lambda line: None
) -> Finetuned:
    """Trains every fold under every seed, writes predictions, curves and the report.

    Last it trains one classifier on everyone, for use, and writes it into the workdir; see
    `finetuning.final_classifier`. Baselines and shuffled labels make none.

    Started again with the same workdir, it keeps the folds that are done. SIGTERM and SIGINT stop
    it after the epoch.

    Args:
      config: all settings.
      workdir: for predictions, curves, report and classifier.
      notify: called with each line on the samples and the start of training.

    Raises:
      UserError: the config does not fit the data sets, the checkpoint or the workdir.
    """
    prepared = prepare(config, workdir, notify=notify)
    trained = train_folds(prepared)
    if trained.signal:
        return Finetuned(len(trained.results), trained.total, trained.signal)
    return add_classifier(prepared, report(prepared, trained))


def prepare(
    config: FinetuneConfig, workdir: Path, *, notify: Callable[[str], None] = lambda line: None
) -> Prepared:
    """Reads samples and backbone, splits the samples, claims the workdir, computes features.

    Raises:
      UserError: see `finetune`; then nothing is written.
    """
    started = outputs.now()
    protocol = protocols.find(config.protocol)
    opened = open_protocol(config.data.data_dir, protocol)
    labeled = _labeled(config, protocol, opened)
    folds = split(labeled, protocol, config.split, seed=config.seed)
    backbone = _backbone(config)
    size = config.data.size or backbone.model.img_size
    if size % backbone.model.patch_size:
        raise UserError(
            f"config.data.size={size}: no multiple of the patch size {backbone.model.patch_size}"
        )

    fields = dataclasses.asdict(config)
    claim_workdir(workdir, fields, free=FREE)
    census = compare(protocol, opened.samples)
    write_run(workdir, Run(protocol=protocol_record(protocol, census)))
    origin = {
        "weights": backbone.sha256,
        "sheets": {name: sheet["sha256"] for name, sheet in opened.sheets.items()},
        "clips": [f"{sample.dataset} {sample.clip} {label}" for sample, label in labeled],
        "pairs": [size, config.data.crop, config.data.registered],
    }
    drawn = {"folds": [fold.test for fold in folds]} if config.split.draws_groups else {}
    fold_files.claim_origin(workdir, origin | drawn)
    for line in _facts(config, backbone, opened, labeled, folds, census.differences):
        notify(line)

    pairs = features.cached(
        workdir, "pairs", origin, lambda: _read_pairs(config, opened, labeled, size)
    )
    key = origin | {"config": fields, "model": dataclasses.asdict(backbone.model)}
    arrays = features.cached(
        workdir, "features", key, lambda: {"features": _features(config, backbone, pairs)}
    )
    return Prepared(
        config=config,
        workdir=workdir,
        protocol=protocol,
        started=started,
        sheets=opened.sheets,
        labeled=labeled,
        folds=folds,
        backbone=backbone,
        pairs=pairs,
        features=arrays["features"],
    )


def train_folds(prepared: Prepared) -> TrainedFolds:
    """Trains the folds that the workdir does not hold, and writes each as soon as it is done.

    Raises:
      UserError: training diverged.
    """
    config, workdir, folds = prepared.config, prepared.workdir, prepared.folds
    training, shared = prepared.training, prepared.shared()
    arrays = fold_arrays(
        folds,
        prepared.seeds,
        prepared.features,
        shared.labels,
        classes=training.classes,
        weighting=config.tuning.class_weights,
    )
    functions = training.side_by_side()
    names = [(seed, fold) for seed in prepared.seeds for fold in range(len(folds))]
    paths = [fold_files.path_of(workdir, *name) for name in names]
    results = [fold_files.read(path) for path in paths]
    missing = [number for number, result in enumerate(results) if result is None]
    at_once = config.folds_at_once
    if at_once == "auto" and missing:
        at_once = fold_files.folds_at_once(
            workdir, lambda: fold_scheduler.fitting(functions, arrays, shared)
        )
    epochs = config.tuning.epochs
    with StopSignals() as stop, _bar(total=len(missing) * epochs, desc="epochs of folds") as bar:
        for number, result in fold_scheduler.train_folds(
            functions,
            arrays,
            missing,
            shared,
            epochs=epochs,
            at_once=at_once if missing else 1,
            stopped=lambda: bool(stop.agreed()),
            on_epoch=bar.update,
        ):
            if not np.isfinite(result.probabilities).all():
                seed, fold = names[number]
                raise UserError(
                    f"fold {folds[fold].name}, seed {seed}: training diverged; lower "
                    f"config.tuning.learning_rate={config.tuning.learning_rate}"
                )
            results[number] = result
            fold_files.save(paths[number], result)
    finished = {name: result for name, result in zip(names, results, strict=True) if result}
    signal = stop.agreed() if len(finished) < len(names) else 0
    return TrainedFolds(finished, len(names), signal)


def report(prepared: Prepared, trained: TrainedFolds) -> Finetuned:
    """Writes predictions, curves, figures, their provenance and the report.

    Args:
      prepared: from `prepare`.
      trained: all folds, from `train_folds`.

    Raises:
      UserError: a file cannot be written.
    """
    config, workdir, protocol = prepared.config, prepared.workdir, prepared.protocol
    results, folds, labeled = trained.results, prepared.folds, prepared.labeled
    rows = outputs.predictions(results, folds, labeled, protocol.classes)
    predictions.write_csv(workdir / predictions.FILE, rows)
    leaky = None
    if config.report_leaky:
        leaky = outputs.leaky_scores(results, folds, labeled, protocol.classes)
    checkpoint = {"source": prepared.backbone.source, "sha256": prepared.backbone.sha256}
    run = Run(
        curves=outputs.curves(results, folds),
        leaky=leaky,
        hardest=_hardest(prepared, rows),
        provenance=outputs.provenance(checkpoint, prepared.sheets, prepared.started),
    )
    write_run(workdir, run)
    summary = summarize(rows, protocol)
    page = write_report(workdir, summary)
    return Finetuned(
        len(results), trained.total, predictions=rows, summary=summary, leaky=leaky, report=page
    )


def add_classifier(prepared: Prepared, finetuned: Finetuned) -> Finetuned:
    """Trains the classifier for use, unless the workdir has it, and returns its folder as well.

    Raises:
      UserError: it cannot be written.
    """
    config, backbone = prepared.config, prepared.backbone
    if not backbone.params or config.shuffle_labels:
        return finetuned
    path = prepared.workdir / classifier.KEPT
    if path.exists():
        return dataclasses.replace(finetuned, classifier=path)
    fold = everyone(
        prepared.labeled, prepared.protocol, prepared.folds, config.split, seed=config.seed
    )
    with StopSignals() as stop, _bar(total=config.tuning.epochs, desc="the classifier") as bar:
        params = final_classifier.train(
            prepared.training,
            fold,
            config.seed,
            prepared.features,
            prepared.shared(),
            stopped=lambda: bool(stop.agreed()),
            on_epoch=bar.update,
        )
    if params is None:
        return dataclasses.replace(finetuned, signal=stop.agreed())
    size = prepared.pairs["onset"].shape[1]
    final_classifier.save(
        params,
        backbone,
        prepared.training,
        prepared.protocol.classes,
        classifier.Pairs(size, config.data.crop, config.data.registered),
        final_classifier.evidence_of(finetuned.summary, config.split.kind),
        path,
    )
    return dataclasses.replace(finetuned, classifier=path)


def _labeled(config: FinetuneConfig, protocol: Protocol, opened: Opened) -> Labeled:
    labeled = protocols.apply(protocol, opened.samples)
    if not config.shuffle_labels:
        return labeled
    order = np.random.default_rng(config.seed).permutation(len(labeled))
    return [(sample, labeled[i][1]) for (sample, _), i in zip(labeled, order, strict=True)]


def _backbone(config: FinetuneConfig) -> Backbone:
    if config.baseline:
        size = config.data.size or config.model.get("img_size", 224)
        return no_backbone(config.baseline, size)
    backbone = read_backbone(config.checkpoint, config.model, seed=config.seed)
    config.classifier.check_fits(backbone.model)
    config.tuning.check_fits(backbone.model.depth)
    return backbone


def _facts(
    config: FinetuneConfig,
    backbone: Backbone,
    opened: Opened,
    labeled: Labeled,
    folds: list[Fold],
    differences: list[str],
) -> Iterator[str]:
    """Lines on the samples and the start of training."""
    subjects = len({protocols.subject_of(sample) for sample, _ in labeled})
    seeds = f", {config.seeds} seeds" if config.seeds > 1 else ""
    yield (
        f"{config.protocol}: {len(labeled)} samples of {subjects} subjects, {len(folds)} folds"
        f"{seeds}; from {backbone.source}"
    )
    for name, rows in opened.skipped.items():
        for row in rows:
            yield f"not in the set: {name} row {row['row']}, {row['clip']}: {row['reason']}"
    for line in differences:
        yield f"not as published: {line}"
    if shared := shared_ids(labeled):
        yield f"subjects {', '.join(shared)} stand in several sets: taken for different people"
    if config.shuffle_labels:
        yield "control: the labels are shuffled, all figures should be at chance"


def _read_pairs(
    config: FinetuneConfig, opened: Opened, labeled: Labeled, size: int
) -> dict[str, np.ndarray]:
    numbers = {id(sample): number for number, sample in enumerate(opened.samples)}
    onset, apex = read_pairs(
        opened,
        [numbers[id(sample)] for sample, _ in labeled],
        size=size,
        crop=config.data.crop,
        registered=config.data.registered,
        progress=functools.partial(_bar, desc="pairs", unit=" pairs"),
    )
    return {"onset": onset, "apex": apex}


def _features(
    config: FinetuneConfig, backbone: Backbone, pairs: dict[str, np.ndarray]
) -> np.ndarray:
    """Features of the pairs, float32 [n, V, T, F]."""
    if config.baseline:
        return baselines.features(config.baseline, **pairs, cells=config.classifier.cells)[:, None]
    return features.extract(
        backbone,
        config.classifier,
        **pairs,
        augment=config.augment,
        copies=config.augment.copies if config.tuning.trainable == "head" else 0,
        seed=config.seed,
        progress=functools.partial(_bar, desc="features", unit=" batches"),
    )


def _hardest(prepared: Prepared, rows: list[Prediction]) -> Hardest | None:
    worst = outputs.hardest(rows, prepared.config.hardest)
    if not worst or not prepared.backbone.params:
        return None
    places = {(s.dataset, s.subject, s.clip): i for i, (s, _) in enumerate(prepared.labeled)}
    index = [places[row.key] for row in worst]
    onset, apex = prepared.pairs["onset"][index], prepared.pairs["apex"][index]
    maps = features.motion_maps(prepared.backbone, onset, apex)
    texts = {
        name: tuple(getattr(row, name) for row in worst) for name in ("clip", "label", "prediction")
    }
    return Hardest(onset, apex, maps, **texts)
