"""Preparation of a fine-tuning: samples, folds and backbone, checked; features, computed once."""

import dataclasses
import datetime
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from micron_jax.datasets import feature_file, protocols
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.census import Comparison, compare, tested
from micron_jax.datasets.face_pairs import Keyframes, Opened, open_protocol, read_pairs
from micron_jax.datasets.feature_file import FeatureFile
from micron_jax.datasets.own.protocol import find_protocol
from micron_jax.datasets.protocols import Protocol
from micron_jax.datasets.subjects import person
from micron_jax.datasets.synthetic_names import marked
from micron_jax.errors import UserError
from micron_jax.evaluation.run_files import Run, protocol_record, write_run
from micron_jax.finetuning import baselines, features, fold_files, keyframes
from micron_jax.finetuning.backbone import Backbone, no_backbone, read_backbone
from micron_jax.finetuning.config import ADDED, FREE, FinetuneConfig
from micron_jax.finetuning.fold_arrays import FoldArrays, SharedArrays, stack_folds
from micron_jax.finetuning.fold_training import FoldTraining, steps_per_epoch
from micron_jax.finetuning.folds import Fold, Labeled, marked_folds, shared_ids, split
from micron_jax.finetuning.given_features import join_features
from micron_jax.finetuning.keyframes import Moved
from micron_jax.finetuning.units import UnitTargets, choose_units, with_units
from micron_jax.training.workdir import claim_workdir

NAMED = 5  # samples that a line names at most

progress_bar = functools.partial(tqdm, leave=False)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Everything that training needs.

    Attributes:
      started: time of the start, ISO 8601.
      sheets: set -> {"file", "sha256"} of its sheet.
      labeled: the samples, with class indices.
      folds: of indices into `labeled`.
      pairs: {"onset", "apex"}, uint8 [n, S, S, 3]; empty if the features come from a file.
      features: of the backbone, float32 [n, V, T, F].
      file: {"file", "sha256", "shape"} of the features, if they come from a file; else None.
      moved: the samples under each error of keyframes.
      units: the action units that are learned, with `config.target='units'`.
      synthetic: names of the sets that `data synth` made.
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
    file: dict | None = None
    moved: list[Moved] = dataclasses.field(default_factory=list)
    units: UnitTargets | None = None
    synthetic: tuple[str, ...] = ()

    def set_of(self, sample: Sample) -> str:
        """The name of a sample's set as tables have it."""
        return marked(sample.dataset) if sample.dataset in self.synthetic else sample.dataset

    @property
    def names(self) -> list[tuple[int, int]]:
        """(seed, number of the fold) of all folds, seed by seed."""
        seeds = range(self.config.seed, self.config.seed + self.config.seeds)
        return [(seed, fold) for seed in seeds for fold in range(len(self.folds))]

    @property
    def labels(self) -> np.ndarray:
        """Class indices, int32 [n]; of action units 0 and 1, float32 [n, U]."""
        if self.units:
            return self.units.targets
        return np.array([label for _, label in self.labeled], np.int32)

    def training(self, folds: Sequence[Fold]) -> FoldTraining:
        """Returns the training of some folds."""
        c = self.config
        return FoldTraining(
            model=self.backbone.model,
            classifier=c.classifier,
            tuning=c.tuning,
            augment=c.augment,
            classes=len(self.units.names if self.units else self.protocol.classes),
            units=self.units is not None,
            steps_per_epoch=steps_per_epoch(folds, c.tuning.batch_size),
            inner=c.split.selection == "inner",
            watch_test=c.report_leaky,
        )

    def arrays(self, folds: Sequence[Fold], seeds: int) -> FoldArrays:
        """Returns the arrays of some folds under so many seeds."""
        return stack_folds(
            folds,
            range(self.config.seed, self.config.seed + seeds),
            self.features,
            self.labels,
            classes=len(self.protocol.classes),
            weighting=self.config.tuning.class_weights,
        )

    def shared(self) -> SharedArrays:
        """Returns the arrays that all folds share, on the device."""
        frozen = self.config.tuning.trainable == "head"
        samples = {"features": self.features} if frozen else self.pairs
        samples = jax.tree.map(jnp.asarray, samples)
        return SharedArrays(self.backbone.params, samples, jnp.asarray(self.labels))


def prepare(
    config: FinetuneConfig, workdir: Path, *, notify: Callable[[str], None] = lambda line: None
) -> Prepared:
    """Reads samples and backbone, splits the samples, claims the workdir, computes features.

    Args:
      notify: called with each line on the samples and the backbone.

    Raises:
      UserError: the config does not fit the data sets, the checkpoint or the workdir.
    """
    started, units, order = now(), None, None
    file = feature_file.read(Path(config.features)) if config.features else None
    if file:
        given = join_features(file, config.protocol, config.data.data_dir)
        protocol, opened, labeled, lines = given.protocol, given.opened, given.labeled, given.lines
    else:
        protocol = find_protocol(config.protocol, config.data.data_dir)
        opened, lines = open_protocol(config.data.data_dir, protocol), []
        labeled = protocols.apply(protocol, opened.samples)
    if config.target == "units":
        labeled, protocol, lines = with_units(opened.samples, protocol)
    if config.shuffle_labels:
        order = np.random.default_rng(config.seed).permutation(len(labeled))
        labeled = [(sample, labeled[i][1]) for (sample, _), i in zip(labeled, order, strict=True)]
    folds = split(labeled, protocol, config.split, seed=config.seed)
    folds = marked_folds(folds, opened.synthetic)
    if config.target == "units":
        units = choose_units(labeled, folds, config.units_at_least, lines, order=order)
        lines = [*units.lines]
    backbone = _backbone(config, file)
    config, choice = _choose_features(config, backbone)
    lines += choice
    if config.keyframe_errors:
        keyframes.check_frames(config.data.data_dir, protocol.homes)
    size = _size(config, backbone)
    fields = dataclasses.asdict(config)
    claim_workdir(workdir, fields, free=FREE, added=ADDED)
    census = None if units else compare(protocol, opened.samples)
    part = _tested(config, protocol, labeled, folds) if census else None
    if census:
        write_run(workdir, Run(protocol=protocol_record(protocol, census, part, opened.synthetic)))
    origin = {
        "weights": backbone.sha256,
        "sheets": {name: sheet["sha256"] for name, sheet in opened.sheets.items()},
        "clips": [f"{sample.dataset} {sample.clip} {label}" for sample, label in labeled],
        "pairs": [size, config.data.crop, config.data.registered],
    }
    if file:
        origin["pairs"] = file.sha256
    if units:
        origin["units"] = [units.names, hashlib.sha256(units.targets.tobytes()).hexdigest()]
    # Folds that the clips alone do not tell: drawn ones, and those of subjects that an earlier
    # version took for several people.
    tell = config.split.draws_groups or config.split.kind == "fixed" or opened.merged
    groups = {"folds": [fold.test for fold in folds]} if tell else {}
    fold_files.claim_origin(workdir, origin | groups)
    for line in [*_facts(config, protocol, opened, census, labeled, folds, backbone), *lines]:
        notify(line)
    protocol = part or protocol

    if file:
        parts = labeled, folds, backbone, {}, given.x, file.about, [], None, opened.synthetic
        return Prepared(config, workdir, protocol, started, opened.sheets, *parts)
    # The crops of all clips, which later calls with other keyframes find there.
    read = functools.partial(_read_pairs, config, opened, labeled, size, {})
    pairs = features.cached(workdir, "pairs", origin, read)
    key = origin | {"config": fields, "model": dataclasses.asdict(backbone.model)}
    arrays = features.cached(
        workdir, "features", key, lambda: {"features": _features(config, backbone, pairs)}
    )
    moved = _moved(config, backbone, workdir, key, read) if config.keyframe_errors else []
    parts = labeled, folds, backbone, pairs, arrays["features"], None, moved, units
    return Prepared(config, workdir, protocol, started, opened.sheets, *parts, opened.synthetic)


def now() -> str:
    """Returns the time, UTC, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _tested(
    config: FinetuneConfig, protocol: Protocol, labeled: Labeled, folds: Sequence[Fold]
) -> Protocol | None:
    """The protocol of the samples that the folds test; None: all samples, as they are labeled."""
    numbers = sorted({number for fold in folds for number in fold.test})
    words = [f"the {len(numbers)} test clips of {len(labeled)}"] * (len(numbers) < len(labeled))
    words += ["the labels shuffled"] * config.shuffle_labels
    if not words:
        return None
    return tested(protocol, [labeled[number] for number in numbers], ", ".join(words))


def _backbone(config: FinetuneConfig, file: FeatureFile | None) -> Backbone:
    if file:
        return no_backbone(f"the features of {file.path}", config.data.size or 1)
    if config.baseline:
        size = config.data.size or config.model.get("img_size", 224)
        return no_backbone(config.baseline, size)
    return read_backbone(config.checkpoint, config.model, seed=config.seed)


def _size(config: FinetuneConfig, backbone: Backbone) -> int:
    """The side of the frames, px; UserError if the network cannot read them."""
    size = config.data.size or backbone.model.img_size
    if size % backbone.model.patch_size:
        raise UserError(
            f"config.data.size={size}: no multiple of the patch size {backbone.model.patch_size}"
        )
    return size


def _choose_features(
    config: FinetuneConfig, backbone: Backbone
) -> tuple[FinetuneConfig, list[str]]:
    """The config with what `auto` means for the network, which a run's settings hold; a line on it.

    Raises:
      UserError: the network lacks what the classifier reads or training changes.
    """
    auto = config.classifier.features == "auto"
    config = dataclasses.replace(config, classifier=config.classifier.chosen(backbone.model))
    if not backbone.params:
        return config, []
    config.classifier.check_fits(backbone.model)
    if missing := {*config.classifier.reads} - backbone.params.keys():
        raise UserError(
            f"config.classifier.features={config.classifier.features!r}: {config.checkpoint} has "
            f"no {' and no '.join(sorted(missing))}; choose difference, cosine or cls"
        )
    config.tuning.check_fits(backbone.model.depth)
    kind = config.classifier.features
    branch = "has the" if backbone.model.displacement_width else "has no"
    line = f"config.classifier.features=auto: {kind}; the checkpoint {branch} displacement branch"
    return config, [line] if auto else []


def _facts(
    config: FinetuneConfig,
    protocol: Protocol,
    opened: Opened,
    census: Comparison | None,
    labeled: Labeled,
    folds: Sequence[Fold],
    backbone: Backbone,
) -> Iterator[str]:
    """Lines on the samples and the start of training."""
    subjects = len({person(sample.dataset, sample.subject) for sample, _ in labeled})
    seeds = f", {config.seeds} seeds" if config.seeds > 1 else ""
    counts = f"{len(labeled)} samples of {subjects} subjects, {len(folds)} folds{seeds}"
    yield f"{config.protocol}: {counts}; from {backbone.source}"
    for name, rows in opened.skipped.items():
        for row in rows:
            yield f"not in the set: {name} row {row['row']}, {row['clip']}: {row['reason']}"
    for name, edition in census.editions.items() if census else ():
        yield f"{name}: counted by {edition}"
    for line in census.differences if census else ():
        yield f"{'not as in the table' if protocol.built else 'not as published'}: {line}"
    if ids := shared_ids(labeled):
        yield f"subjects {', '.join(ids)} stand in several sets: taken for different people"
    # A file of features may tell no frame numbers.
    still = [sample for sample, _ in labeled if sample.apex == sample.onset and sample.fps]
    if still:
        clips = ", ".join(f"{sample.dataset} {sample.clip}" for sample in still[:NAMED])
        more = ", ..." if len(still) > NAMED else ""
        yield (
            f"{len(still)} of {len(labeled)} samples have their apex at the onset, two equal "
            f"frames without motion: {clips}{more}"
        )
    if config.shuffle_labels:
        yield "control: the labels are shuffled, all figures should be at chance"


def _read_pairs(
    config: FinetuneConfig,
    opened: Opened,
    labeled: Labeled,
    size: int,
    crops: dict,
    keyframes: Keyframes | None = None,
) -> dict[str, np.ndarray]:
    """Reads {"onset", "apex"}, uint8 [n, S, S, 3] each; see `face_pairs.read_pairs`."""
    numbers = {id(sample): number for number, sample in enumerate(opened.samples)}
    onset, apex = read_pairs(
        opened,
        [numbers[id(sample)] for sample, _ in labeled],
        size=size,
        crop=config.data.crop,
        registered=config.data.registered,
        keyframes=keyframes,
        crops=crops,
        progress=functools.partial(progress_bar, desc="pairs", unit=" pairs"),
    )
    return {"onset": onset, "apex": apex}


def _moved(
    config: FinetuneConfig, backbone: Backbone, workdir: Path, key: dict, read: Callable
) -> list[Moved]:
    """Samples of the pairs with moved keyframes, without augmentation."""
    plain = dataclasses.replace(config, augment=dataclasses.replace(config.augment, copies=0))

    def samples(pairs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        frozen = config.tuning.trainable == "head"
        return {"features": _features(plain, backbone, pairs)} if frozen else pairs

    text = config.keyframe_errors
    arrays = features.cached(
        workdir, "keyframes", key, lambda: keyframes.read_moved(text, read, samples)
    )
    return keyframes.unpack(text, arrays)


def _features(
    config: FinetuneConfig, backbone: Backbone, pairs: dict[str, np.ndarray]
) -> np.ndarray:
    """Features of the pairs, float32 [n, V, T, F]."""
    if config.baseline:
        bar = functools.partial(progress_bar, desc=config.baseline, unit=" pairs")
        cells = config.classifier.cells
        return baselines.features(config.baseline, **pairs, cells=cells, progress=bar)[:, None]
    return features.extract(
        backbone,
        config.classifier,
        **pairs,
        augment=config.augment,
        copies=config.augment.copies if config.tuning.trainable == "head" else 0,
        seed=config.seed,
        progress=functools.partial(progress_bar, desc="features", unit=" batches"),
    )
