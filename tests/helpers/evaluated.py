"""A workdir as fine-tuning leaves it, on the composite's 442 clips; predictions at random."""

import csv
import json

import numpy as np
from helpers.benchmarks import imitate

from micron_jax.datasets.census import compare
from micron_jax.datasets.protocols import COMPOSITE, apply, subject_of
from micron_jax.evaluation.predictions import Prediction, write_csv

NASTY = '<script>alert("x")</script> & |'  # must reach no page unescaped


def composite(seed: int = 0, right: float = 0.7) -> list[Prediction]:
    """Predictions of all of the composite's clips, a share of `right` and some more of them so."""
    samples = [one for name in COMPOSITE.sets for one in imitate(name)]
    rng = np.random.default_rng(seed)
    table = []
    for sample, index in apply(COMPOSITE, samples):
        guess = index if rng.random() < right else int(rng.integers(3))
        rest = [0.2, 0.2, 0.2]
        rest[guess] = 0.6
        table.append(
            Prediction(
                clip=sample.clip,
                subject=sample.subject,
                label=COMPOSITE.classes[index],
                prediction=COMPOSITE.classes[guess],
                set=sample.dataset,
                seed=seed,
                fold=subject_of(sample),
                probabilities=dict(zip(COMPOSITE.classes, rest, strict=True)),
            )
        )
    return table


def make_workdir(path, seeds=(0, 1, 2)):
    """Every file a report reads."""
    path.mkdir()
    write_csv(path / "predictions.csv", [one for seed in seeds for one in composite(seed)])
    census = compare(COMPOSITE, [one for name in COMPOSITE.sets for one in imitate(name)])

    def counts(parts):
        return {n: {"samples": dict(c.samples), "subjects": c.subjects} for n, c in parts.items()}

    files = {
        "protocol.json": {
            "name": "composite",
            "classes": COMPOSITE.classes,
            "expected": counts(COMPOSITE.expected),
            "found": counts(census.counts),
            "differences": census.differences,
        },
        "provenance.json": {
            "micron_jax": "0.1.0",
            "jax": "0.10.2",
            "python": "3.11.2",
            "git": None,
            "device": NASTY,
            "checkpoint": {"source": "runs/pretrain", "sha256": "ab" * 32},
            "sheets": {"samm": {"file": "SAMM_Micro_FACS_Codes_v2.xlsx", "sha256": "cd" * 32}},
            "command": ["micron-jax", "finetune", "--workdir", "runs/a b"],
            "started": "2026-01-02T03:04:05",
            "finished": "2026-01-02T04:05:06",
        },
        "config.json": {"batch_size": 32, "note": NASTY},
        "leaky.json": {"label": "best epoch on the test subject", "uf1": 0.91, "uar": 0.9},
    }
    for name, value in files.items():
        (path / name).write_text(json.dumps(value))
    rng = np.random.default_rng(0)
    with (path / "curves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "fold", "epoch", "train_loss", "train_accuracy"])
        for seed in seeds:
            for fold in range(4):
                for epoch in range(1, 21):
                    loss = 1.1 * 0.9**epoch + 0.05 * rng.random()
                    writer.writerow([seed, fold, epoch, loss, 1 - loss / 1.6])
    onset = np.full((4, 64, 64, 3), 150, np.uint8)
    y, x = np.mgrid[:64, :64]
    onset[:, (x - 32) ** 2 / 500 + (y - 32) ** 2 / 800 < 1] = (222, 184, 160)
    apex = onset.copy()
    apex[:, 40:44, 24:40] = (150, 60, 60)
    heat = np.zeros((4, 8, 8), np.float32)
    heat[:, 5, 3:5] = (3, 2)
    np.savez(
        path / "hardest.npz",
        onset=onset,
        apex=apex,
        heat=heat,
        clip=np.array([NASTY, "sub02/EP03", "006_1_2", "s1_ne_01"]),
        label=np.array(["negative"] * 4),
        prediction=np.array(["positive"] * 4),
    )
    return path
