"""A classifier of two classes, on the features of `tiny.PAPER`."""

import numpy as np

from micron_jax.checkpoints.classifier import Classifier, Pairs
from micron_jax.models.classifier import ClassifierConfig

CLASSES = ("calm", "not calm")
WIDTH = 4 * 32
ROW = {"samples": 3, "f1": 0.5, "recall": 0.5, "precision": 0.5}
EVIDENCE = {
    "protocol": "mine", "split": "loso", "subjects": 2, "uf1": 0.5, "uar": 0.5,
    "per_class": dict.fromkeys(CLASSES, ROW),
}  # fmt: skip
KEPT = Classifier(
    ClassifierConfig(features="difference", pooling="grid", cells=2),
    CLASSES,
    Pairs(32, "face", True),
    {
        "head": {"classes": {"kernel": np.ones((WIDTH, 2), "f4"), "bias": np.zeros(2, "f4")}},
        "mean": np.zeros(WIDTH, "f4"),
        "deviation": np.ones(WIDTH, "f4"),
    },
    EVIDENCE,
)
