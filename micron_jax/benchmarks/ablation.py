"""The ablation: rows of settings, each trained, read out and fine-tuned under several seeds.

Each row and seed has its own workdir, so that the same command goes on with the missing ones.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax import config as configs
from micron_jax import pretrained
from micron_jax.benchmarks import learn_methods, learn_scores, learn_truth
from micron_jax.data.pairs import Pairs
from micron_jax.datasets import protocols
from micron_jax.datasets.frames import open_frames
from micron_jax.errors import UserError
from micron_jax.evaluation.predictions import combine_seeds, read_predictions
from micron_jax.evaluation.summary import summarize
from micron_jax.finetuning import config as tuning
from micron_jax.finetuning import finetune
from micron_jax.training.config import parse
from micron_jax.training.loop import pretrain


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
      name: the difference to the row before.
      pretrain: its recipe, as nested dicts, without corpus, seed and epochs.
      features: the features that the classifier's head reads.
    """

    name: str
    pretrain: dict
    features: str

    @property
    def folder(self) -> str:
        """The name of its folder in the workdir."""
        return "".join(c if c.isalnum() else "_" for c in self.name).strip("_")


@dataclasses.dataclass(frozen=True)
class Ablation:
    """The end of an ablation; `signal` is the number of the signal that stopped it, or 0."""

    report: dict[str, Any]
    signal: int = 0


def rows_of(config: Mapping[str, Any]) -> list[Row]:
    """Returns the rows of a config such as `configs/ablation.py`; each keeps the fields before it.

    Raises:
      UserError: a section is missing, or a row sets an unknown field.
    """
    try:
        base, features = config["pretrain"], config["finetune"]["classifier"]["features"]
        changes = [(str(name), dict(fields)) for name, fields in config["rows"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"config: not of an ablation ({error!r}); see configs/ablation.py"
        ) from error
    rows = []
    for name, fields in changes:
        features = fields.pop("features", features)
        base = configs.override(base, [f"{key}={value}" for key, value in fields.items()])
        rows.append(Row(name, base, features))
    return rows


def run(
    config: Mapping[str, Any],
    workdir: Path,
    *,
    corpus: Path,
    folders: Sequence[Path],
    labeled: Path,
    seeds: int,
    notify: Callable[[str], None] = lambda line: None,
) -> Ablation:
    """Trains the missing rows, and reads all of them out.

    Args:
      config: {"steps", "warmup_steps", "pretrain", "finetune", "rows"}, as `configs/ablation.py`.
      workdir: a folder in it is a row's.
      corpus: a built set of unlabeled frames.
      folders: sets that `micron-jax data synth` made, with people of the split `test`.
      labeled: the data_dir in which one of them is built as `casme2`.
      seeds: number of each row's seeds, from 0.
      notify: called with each line on the progress.

    Returns:
      The report {"rows": [{"name", "features", "readouts": {kind: see `learn_scores.evaluate`},
      "uf1", "uar", "intervals", "seeds": [...]}], "steps", ...}; it is empty after a signal.

    Raises:
      UserError: a setting, a set or the workdir cannot be used.
    """
    truth = learn_truth.load(folders, "test")
    rows = rows_of(config)
    jobs = [
        (row, seed, *_recipes(config, row, seed, corpus=corpus, labeled=labeled))
        for row, seed in itertools.product(rows, range(seeds))
    ]
    unlabeled = open_frames(corpus)
    for number, (row, seed, learning, _) in enumerate(jobs, 1):
        notify(f"{number}/{len(jobs)} {row.name}, seed {seed}")
        folder = _folder(workdir, row, seed) / "pretrained"
        if signal := pretrain(learning, folder, unlabeled, notify=notify).signal:
            return Ablation({}, signal)
    for row, seed, _, judging in jobs:
        folder = _folder(workdir, row, seed)
        judging = dataclasses.replace(judging, checkpoint=str(folder / "pretrained"))
        result = finetune(judging, folder / "finetuned", notify=notify)
        if result.signal:
            return Ablation({}, result.signal)
        notify(f"{row.name}, seed {seed}: UF1 {result.summary['uf1']:.3f}")
    maps = _maps(rows, seeds, workdir, truth)
    report = {
        "rows": [_result(row, seeds, workdir, maps, truth) for row in rows],
        "steps": config["steps"],
        "people": len(np.unique(truth.person)),
        "clips": len(truth),
        "corpus": str(corpus),
        "data": [str(folder) for folder in folders],
        "labelled": str(labeled),
    }
    return Ablation(report)


def _folder(workdir: Path, row: Row, seed: int) -> Path:
    return workdir / row.folder / f"seed{seed}"


def _recipes(config, row: Row, seed: int, *, corpus: Path, labeled: Path):
    """Returns the configs of pretraining and fine-tuning; both are checked before any training."""
    fields = row.pretrain | {"seed": seed}
    fields["data"] = row.pretrain.get("data", {}) | {"data_dir": str(corpus)}
    learning = parse(fields)
    _, clips = open_frames(corpus)
    pairs = len(Pairs(clips, learning.data.delta_seconds))
    steps = pairs // learning.batch_size
    if not steps:
        raise UserError(f"{corpus}: {pairs} pairs, fewer than batch_size={learning.batch_size}")
    warmup = dataclasses.replace(learning.optimizer, warmup_epochs=config["warmup_steps"] / steps)
    learning = dataclasses.replace(learning, epochs=config["steps"] / steps, optimizer=warmup)
    # The checkpoint of this row is not made yet.
    tuned = dict(config["finetune"]) | {"seed": seed, "checkpoint": "random"}
    tuned["data"] = tuned.get("data", {}) | {"data_dir": str(labeled)}
    tuned["classifier"] = tuned["classifier"] | {"features": row.features}
    return learning, tuning.parse(tuned)


def _maps(rows: Sequence[Row], seeds: int, workdir: Path, truth) -> dict[str, dict]:
    """Returns {row: {kind: maps [seeds, clips, 28, 28]}}; each pair is registered once."""
    methods, kinds = {}, {}
    for row, seed in itertools.product(rows, range(seeds)):
        model = pretrained.load(_folder(workdir, row, seed) / "pretrained")
        gated = row.pretrain.get("model", {}).get("dma_gated") is not False
        kinds[row.name] = [*([model.map_kinds[0]] if gated else []), "cosine"]
        for kind in kinds[row.name]:
            methods[f"{row.name}\t{kind}\t{seed}"] = learn_methods.one_map(model, kind)
    maps = learn_methods.compute(methods, truth, label="clips")
    return {
        name: {
            kind: np.stack([maps[f"{name}\t{kind}\t{seed}"].score for seed in range(seeds)])
            for kind in kinds_of_row
        }
        for name, kinds_of_row in kinds.items()
    }


def _result(row: Row, seeds: int, workdir: Path, maps, truth) -> dict[str, Any]:
    readouts = {k: learn_scores.evaluate(values, truth) for k, values in maps[row.name].items()}
    folders = [_folder(workdir, row, seed) / "finetuned" for seed in range(seeds)]
    protocol = protocols.find("synthetic")
    tables = [(path, read_predictions(path, protocol)) for path in folders]
    summary = summarize(combine_seeds(tables), protocol)
    return {
        "name": row.name,
        "features": row.features,
        "pretrain": row.pretrain,
        "readouts": readouts,
        **{key: summary[key] for key in ("uf1", "uar", "intervals", "seeds")},
    }
