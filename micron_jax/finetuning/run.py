"""Fine-tuning and its evaluation, top to bottom: samples, folds, features, runs, figures, and the
classifier that is kept."""

import dataclasses
import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from tqdm import tqdm

from micron_jax.checkpoints import classifier
from micron_jax.datasets import protocols
from micron_jax.datasets.face_pairs import open_protocol, read_pairs
from micron_jax.errors import UserError
from micron_jax.evaluation.report import write_report
from micron_jax.evaluation.summary import summarize
from micron_jax.files import write_whole
from micron_jax.finetuning import (
    baselines,
    features,
    final_classifier,
    fold_scheduler,
    fold_training,
    outputs,
    partition,
)
from micron_jax.finetuning.backbone import Start, starting_point
from micron_jax.finetuning.config import FREE, FinetuneConfig
from micron_jax.models.config import ModelConfig
from micron_jax.training.hosts import StopSignals
from micron_jax.training.workdir import claim_workdir


def finetune(config: FinetuneConfig, workdir: Path) -> int:
    """Trains every fold under every seed, and writes predictions, curves and the report.

    Last it trains one classifier on everyone and keeps it in the workdir, for use; see
    `finetuning.final_classifier`. Baselines and shuffled labels make none.

    Started again with the same workdir, it keeps the folds that are done.

    Returns:
      0 when done; 128 + the signal's number when a signal stopped it.

    Raises:
      UserError: the config does not fit the data sets, the checkpoint or the workdir.
    """
    started = outputs.now()
    logging.set_verbosity(logging.ERROR)  # orbax tells of every file it reads
    protocol = protocols.find(config.protocol)
    opened = open_protocol(config.data.data_dir, protocol)
    labeled = protocols.apply(protocol, opened.samples)
    if config.shuffle_labels:
        order = np.random.default_rng(config.seed).permutation(len(labeled))
        labeled = [(sample, labeled[i][1]) for (sample, _), i in zip(labeled, order, strict=True)]
    parts = partition.partition(labeled, protocol, config.split, seed=config.seed)
    start = _start(config)
    if start.params:
        config.classifier.check_fits(start.model)
        config.tuning.check_fits(start.model.depth)
    size = config.data.size or start.model.img_size
    if size % start.model.patch_size:
        raise UserError(
            f"config.data.size={size}: no multiple of the patch size {start.model.patch_size}"
        )

    claim_workdir(workdir, dataclasses.asdict(config), free=FREE)
    differences = outputs.write_protocol(workdir, protocol, opened.samples)
    origin = {
        "weights": start.sha256,
        "sheets": {name: sheet["sha256"] for name, sheet in opened.sheets.items()},
        "clips": [f"{sample.dataset} {sample.clip} {label}" for sample, label in labeled],
        "pairs": [size, config.data.crop, config.data.registered],
    }
    _same_origin(workdir, origin)
    _tell(config, start, opened, labeled, parts, differences)

    numbers = {id(sample): number for number, sample in enumerate(opened.samples)}
    bar = functools.partial(tqdm, mininterval=1.0, leave=False)
    pairs = features.cached(
        workdir,
        "pairs",
        origin,
        lambda: dict(
            zip(
                ("onset", "apex"),
                read_pairs(
                    opened,
                    [numbers[id(sample)] for sample, _ in labeled],
                    size=size,
                    crop=config.data.crop,
                    registered=config.data.registered,
                    progress=functools.partial(bar, desc="pairs", unit=" pairs"),
                ),
                strict=True,
            )
        ),
    )
    frozen = config.tuning.trainable == "head"
    found = features.cached(
        workdir,
        "features",
        origin | {"config": dataclasses.asdict(config), "model": dataclasses.asdict(start.model)},
        lambda: {"features": _features(config, start, pairs, copies=frozen, bar=bar)},
    )["features"]

    labels = np.array([label for _, label in labeled], np.int32)
    setting = fold_training.Setting(
        model=start.model,
        classifier=config.classifier,
        tuning=config.tuning,
        augment=config.augment,
        classes=len(protocol.classes),
        steps_per_epoch=fold_training.steps_per_epoch(parts, config.tuning.batch_size),
        inner=config.split.selection == "inner",
        watch_test=config.report_leaky,
    )
    seeds = range(config.seed, config.seed + config.seeds)
    runs = fold_training.make_runs(parts, seeds, found, labels, setting)
    program = fold_training.side_by_side(fold_training.make_program(setting))
    samples = {"features": jnp.asarray(found)} if frozen else jax.tree.map(jnp.asarray, pairs)
    shared = start.params, samples, jnp.asarray(labels)

    names = [(seed, fold) for seed in seeds for fold in range(len(parts))]
    results = {name: fold_scheduler.read(fold_scheduler.path_of(workdir, *name)) for name in names}
    todo = [number for number, name in enumerate(names) if results[name] is None]
    at_once = config.folds_at_once
    if at_once == "auto":
        at_once = (
            _kept(workdir, lambda: fold_scheduler.fitting(program, runs, *shared)) if todo else 1
        )
    with (
        StopSignals() as stop,
        bar(total=len(todo) * config.tuning.epochs, desc="epochs of folds", unit="") as progress,
    ):
        for number, result in fold_scheduler.train_runs(
            program,
            runs,
            todo,
            *shared,
            epochs=config.tuning.epochs,
            at_once=at_once,
            stopped=lambda: bool(stop.agreed()),
            tick=lambda count, _: progress.update(count),
        ):
            seed, fold = names[number]
            if not np.isfinite(result.probabilities).all():
                raise UserError(
                    f"fold {parts[fold].name}, seed {seed}: training diverged; lower "
                    f"config.tuning.learning_rate={config.tuning.learning_rate}"
                )
            results[names[number]] = result
            fold_scheduler.save(fold_scheduler.path_of(workdir, *names[number]), result)
    if left := sum(result is None for result in results.values()):
        print(
            f"stopped: {len(names) - left} of {len(names)} folds are kept, and the same command "
            "goes on",
            file=sys.stderr,
        )
        return 128 + stop.agreed()

    rows = outputs.write_predictions(workdir, results, parts, labeled, protocol.classes)
    outputs.write_curves(workdir, results, parts)
    if config.report_leaky:
        leaky = outputs.leaky_scores(results, parts, labeled, protocol.classes)
        outputs.write_json(workdir / "leaky.json", leaky)
    _hardest(config, workdir, start, rows, labeled, pairs)
    checkpoint = {"source": start.source, "sha256": start.sha256}
    outputs.write_json(
        workdir / "provenance.json", outputs.provenance(checkpoint, opened.sheets, started)
    )
    summary = summarize(rows, protocol)
    report = write_report(workdir, summary)
    kept = workdir / classifier.KEPT
    if start.params and not config.shuffle_labels and not kept.exists():
        with (
            StopSignals() as stop,
            bar(total=config.tuning.epochs, desc="the classifier to keep", unit="") as progress,
        ):
            trained = final_classifier.train(
                setting,
                partition.everyone(labeled, protocol, parts, config.split, seed=config.seed),
                config.seed,
                found,
                *shared,
                stopped=lambda: bool(stop.agreed()),
                tick=progress.update,
            )
        if trained is None:
            print("stopped: the folds are done, and the same command goes on", file=sys.stderr)
            return 128 + stop.agreed()
        pairs_ = classifier.Pairs(size, config.data.crop, config.data.registered)
        evidence = final_classifier.evidence_of(summary, config.split.kind)
        final_classifier.save(trained, start, setting, protocol.classes, pairs_, evidence, kept)
    for name in ("uf1", "uar"):
        low, high = summary["intervals"][name] if summary["intervals"] else (0.0, 1.0)
        print(f"{name.upper()} {summary[name]:.3f} (95 % over subjects: {low:.3f} to {high:.3f})")
    if config.report_leaky:
        print(f"{leaky['label']}: UF1 {leaky['uf1']:.3f}, UAR {leaky['uar']:.3f}")
    if kept.exists():
        print(f"classifier, trained on everyone: {kept}")
    print(f"report: {report}")
    return 0


def _start(config: FinetuneConfig) -> Start:
    if config.baseline:
        size = config.data.size or config.model.get("img_size", 224)
        model = ModelConfig(img_size=size, patch_size=1, depth=1)
        return Start(model, {}, f"no network: {config.baseline}", "")
    return starting_point(config.checkpoint, config.model, seed=config.seed)


def _same_origin(workdir: Path, origin: dict) -> None:
    """Folds that are kept must be of the weights and samples that the rest will be of."""
    path = workdir / fold_scheduler.FOLDER / "origin"
    digest = hashlib.sha256(repr(origin).encode()).hexdigest()
    if path.is_file() and path.read_text() != digest:
        raise UserError(
            f"{workdir}: checkpoint or data set are not what its first folds were trained from; "
            "use a new --workdir"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, digest.encode())


def _kept(workdir: Path, count: Callable[[], int]) -> int:
    """How many folds train at once: as when the run began, or a fold's last bits would differ."""
    path = workdir / fold_scheduler.FOLDER / "at_once"
    if not path.is_file():
        write_whole(path, str(count()).encode())
    return int(path.read_text())


def _tell(config, start, opened, labeled, parts, differences) -> None:
    subjects = len({protocols.subject_of(sample) for sample, _ in labeled})
    seeds = f", {config.seeds} seeds" if config.seeds > 1 else ""
    print(
        f"{config.protocol}: {len(labeled)} samples of {subjects} subjects, {len(parts)} folds"
        f"{seeds}; from {start.source}",
        flush=True,
    )
    for name, rows in opened.skipped.items():
        for row in rows:
            print(f"not in the set: {name} row {row['row']}, {row['clip']}: {row['reason']}")
    for line in differences:
        print(f"not as published: {line}")
    if shared := partition.shared_ids(labeled):
        print(f"subjects {', '.join(shared)} stand in several sets: taken for different people")
    if config.shuffle_labels:
        print("control: the labels are shuffled, all figures should be at chance")


def _features(config: FinetuneConfig, start: Start, pairs, *, copies: bool, bar) -> np.ndarray:
    if config.baseline:
        found = baselines.features(config.baseline, **pairs, cells=config.classifier.cells)
        return found[:, None]
    return features.extract(
        start.model,
        config.classifier,
        start.params,
        **pairs,
        augment=config.augment,
        copies=config.augment.copies if copies else 0,
        seed=config.seed,
        progress=functools.partial(bar, desc="features", unit=" batches"),
    )


def _hardest(config: FinetuneConfig, workdir: Path, start: Start, rows, labeled, pairs) -> None:
    place = {(s.dataset, s.subject, s.clip): i for i, (s, _) in enumerate(labeled)}
    worst = outputs.hardest_first(rows, config.hardest)
    if not worst or not start.params:
        return
    onset, apex = (pairs[name][[place[row.key] for row in worst]] for name in ("onset", "apex"))
    heat = features.heat_maps(start.model, start.params, onset, apex)
    outputs.write_hardest(workdir, worst, onset, apex, heat)
