"""A classifier's files, read back or refused by name."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy
from helpers.drawn_weights import draw_weights
from helpers.kept_classifier import CLASSES, EVIDENCE, KEPT, WIDTH
from helpers.tiny import PAPER

from micron_jax.checkpoints import card, classifier
from micron_jax.checkpoints.classifier import JSON, TENSORS
from micron_jax.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name, data in KEPT.files().items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_a_classifier_is_read_back(folder, tmp_path):
    again = classifier.read(folder, PAPER)
    assert (again.config, again.classes, again.pairs) == (KEPT.config, CLASSES, KEPT.pairs)
    assert again.evidence == EVIDENCE
    np.testing.assert_array_equal(again.params["head"]["classes"]["kernel"], np.ones((WIDTH, 2)))
    assert classifier.read(tmp_path / "elsewhere", PAPER) is None


def test_the_card_tells_clips_without_a_class():
    weights = draw_weights(PAPER, decoder=False)
    told = "In 2 of these clips nothing moves beyond the noise"
    evidence = EVIDENCE | {"no_class": 2}
    assert told in card.text(weights, "x", dataclasses.replace(KEPT, evidence=evidence))
    assert told[5:] not in card.text(weights, "x", KEPT)


def change(folder, **fields):
    path = folder / JSON
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def tensors(folder, **values):
    arrays = safetensors.numpy.load_file(folder / TENSORS)
    safetensors.numpy.save_file(arrays | values, folder / TENSORS)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / JSON).write_text("{"), "classifier.json: cannot be read"),
        (lambda f: change(f, format="x"), "classifier.json: cannot be read (format 'x'"),
        (lambda f: change(f, evidence={}), "cannot be read ('uf1'); fine-tune again"),
        (lambda f: change(f, evidence=EVIDENCE | {"split": {}, "subjects": "all"}), "'all'"),
        (lambda f: change(f, evidence=EVIDENCE | {"no_class": "some"}), "'some'"),
        (lambda f: change(f, evidence=EVIDENCE | {"intervals": {"uf1": [0, 1]}}), "('uar')"),
        (lambda f: change(f, evidence=EVIDENCE | {"uf1": float("nan")}), "not JSON compliant"),
        (lambda f: change(f, classes=["calm"]), "cannot be read (1 classes"),
        (lambda f: change(f, classifier={"features": "motion"}), "no displacement branch"),
        (lambda f: change(f, classifier={"color": 1}), "classifier.color: no such field"),
        (lambda f: (f / TENSORS).unlink(), "classifier.safetensors: cannot be read"),
        (lambda f: (f / TENSORS).write_bytes(b"x" * 20), "classifier.safetensors: cannot be read"),
        (
            lambda f: tensors(f, mean=np.zeros(3, "f4")),
            "mean has shape (3,), classifier.json",
        ),
        (lambda f: tensors(f, more=np.zeros(3, "f4")), "holds more, unknown to classifier.json"),
        (
            lambda f: tensors(f, mean=np.full(WIDTH, np.nan, "f4")),
            "mean does not hold the numbers that were written",
        ),
        (
            lambda f: (change(f, checksums=None), tensors(f, mean=np.full(WIDTH, np.nan, "f4"))),
            "mean holds 128 numbers",
        ),
        (lambda f: change(f, classes=["not calm", "calm"]), "its settings are not those"),
        (lambda f: change(f, pairs={"size": 4104, "crop": "face", "registered": True}), "4104 px"),
    ],
)
def test_damaged_parts_are_named(folder, damage, words):
    damage(folder)
    with pytest.raises(UserError) as caught:
        classifier.read(folder, PAPER)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
