import dataclasses

import numpy as np
import pytest
from helpers.evaluated import composite

from micron_jax.datasets.protocols import THREE
from micron_jax.evaluation.metrics import confusion_matrix, count, scores
from micron_jax.evaluation.prediction import Prediction


def test_a_table_counted_by_hand():
    #             n  n  n  n  p  p  s  s
    labels = [0, 0, 0, 0, 1, 1, 2, 2]
    predictions = [0, 0, 0, 1, 1, 0, 2, 0]
    confusion = confusion_matrix(labels, predictions, 3)
    assert confusion.tolist() == [[3, 1, 0], [1, 1, 0], [1, 0, 1]]
    result = scores(confusion)
    # negative TP 3 FP 2 FN 1, positive TP 1 FP 1 FN 1, surprise TP 1 FP 0 FN 1
    np.testing.assert_allclose(result.f1, [6 / 9, 2 / 4, 2 / 3], rtol=1e-15)
    np.testing.assert_allclose(result.recall, [3 / 4, 1 / 2, 1 / 2], rtol=1e-15)
    np.testing.assert_allclose(result.precision, [3 / 5, 1 / 2, 1], rtol=1e-15)
    assert result.uf1 == pytest.approx((6 / 9 + 2 / 4 + 2 / 3) / 3, rel=1e-15)
    assert result.uar == pytest.approx((3 / 4 + 1 / 2 + 1 / 2) / 3, rel=1e-15)
    assert result.accuracy == 5 / 8


def test_always_the_largest_class_of_the_composite():
    """250 negative of 442: the accuracy that the challenge's guidelines give, 0.565 (0.566)."""
    result = scores(confusion_matrix([0] * 250 + [1] * 109 + [2] * 83, [0] * 442, 3))
    assert result.accuracy == 250 / 442
    assert result.uar == pytest.approx(1 / 3)
    assert result.uf1 == pytest.approx(500 / 692 / 3)


def test_a_published_uar_can_be_the_mean_precision():
    """The log that STSTNet's authors published: 0.7353 and 0.7605, as `megc` tells."""
    result = scores([[219, 22, 9], [40, 62, 7], [21, 3, 59]])
    assert round(float(result.uf1), 4) == 0.7353
    assert round(float(result.precision.mean()), 4) == 0.7605
    assert round(float(result.uar), 4) == 0.7186 == round((219 / 250 + 62 / 109 + 59 / 83) / 3, 4)


def test_pooled_over_folds_is_not_the_mean_of_folds():
    folds = [([0, 0, 0], [0, 0, 0]), ([0, 1], [1, 1])]
    matrices = [confusion_matrix(*fold, 2) for fold in folds]
    pooled = scores(sum(matrices)).uf1
    assert pooled == pytest.approx((6 / 7 + 2 / 3) / 2)
    assert pooled != pytest.approx(np.mean([scores(matrix).uf1 for matrix in matrices]))


def test_an_absent_class_stays_if_the_protocol_has_it():
    confusion = confusion_matrix([0, 0, 1, 1], [0, 2, 1, 0], 3)
    # F1: class 0 TP 1 FP 1 FN 1, class 1 TP 1 FP 0 FN 1, class 2 FP 1 and no sample.
    full = scores(confusion)
    np.testing.assert_allclose(full.f1, [1 / 2, 2 / 3, 0])
    assert full.uf1 == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert full.uar == pytest.approx((1 / 2 + 1 / 2) / 3)
    partial = scores(confusion, np.array([True, True, False]))
    assert partial.uf1 == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert partial.uar == pytest.approx(1 / 2)
    assert partial.accuracy == full.accuracy == 1 / 2
    # Neither labeled nor predicted: 0 of 0 is 0, and counts.
    empty = scores(confusion_matrix([0, 1], [0, 1], 3))
    assert empty.uf1 == empty.uar == pytest.approx(2 / 3)


# Labels and predictions by formula; values of scikit-learn 1.9.1: f1_score(average="macro"),
# balanced_accuracy_score, accuracy_score. Of the last table's 7 classes one has predictions and no
# label: scikit-learn keeps it in the F1 and leaves it out of the balanced accuracy.
RECORDED = [
    (60, 3, 0.7654643252649898, 0.7965367965367965, 0.7833333333333333),
    (246, 5, 0.6879438288243319, 0.7368564554931836, 0.7357723577235772),
    (860, 7, 0.6078759329380564, 0.7154615405100024, 0.713953488372093),
]


@pytest.mark.parametrize(("samples", "classes", "f1", "balanced", "accuracy"), RECORDED)
def test_scores_equal_those_of_scikit_learn(samples, classes, f1, balanced, accuracy):
    i = np.arange(samples)
    labels = (i * i + 3 * i) % 17 % classes
    predictions = np.where(i % 3 == 0, (labels + i // 3) % classes, labels)
    confusion = confusion_matrix(labels, predictions, classes)
    there = confusion.sum(1) > 0
    assert scores(confusion).uf1 == pytest.approx(f1, rel=1e-14)
    assert scores(confusion, there).uar == pytest.approx(balanced, rel=1e-14)
    assert scores(confusion).uar == pytest.approx(balanced * there.mean(), rel=1e-14)
    assert scores(confusion).accuracy == pytest.approx(accuracy, rel=1e-14)


def test_scores_of_many_matrices():
    rng = np.random.default_rng(0)
    many = rng.integers(0, 9, (4, 2, 3, 3))
    result = scores(many)
    assert result.uf1.shape == (4, 2)
    assert result.f1.shape == (4, 2, 3)
    for at in np.ndindex(4, 2):
        one = scores(many[at])
        assert (one.uf1, one.uar, one.accuracy) == (
            result.uf1[at],
            result.uar[at],
            result.accuracy[at],
        )


def test_wrong_indices_are_refused():
    for labels, predictions in (([0, 3], [0, 0]), ([0, -1], [0, 0]), ([0], [0, 0])):
        with pytest.raises(ValueError):  # noqa: PT011
            confusion_matrix(labels, predictions, 3)


def test_the_matrices_hold_every_clip():
    table = [*composite(0), *composite(1)]
    confusions = count(table, THREE)
    assert confusions.classes == THREE
    assert confusions.seeds == (0, 1)
    assert confusions.matrices.shape == (2, 68, 3, 3)
    for n, seed in enumerate(confusions.seeds):
        part = [row for row in table if row.seed == seed]
        pairs = [[THREE.index(getattr(row, w)) for row in part] for w in ("label", "prediction")]
        assert confusions.matrices[n].sum(0).tolist() == confusion_matrix(*pairs, 3).tolist()
    assert confusions.sets == ("casme2", "samm", "smic_hs")
    assert np.bincount(confusions.strata).tolist() == [24, 28, 16]
    samm = confusions.of_set("samm", THREE)
    assert samm.matrices[0].sum() == 133
    assert samm.people == tuple(person for person in confusions.people if person[0] == "samm")


def test_classes_come_from_table_or_argument():
    rows = [Prediction("a", "1", "x", "x"), Prediction("b", "1", "y", "z")]
    assert count(rows).classes == ("x", "y", "z")
    assert count(rows).counted.tolist() == [True, True, False]
    confusions = count(rows, ("z", "y", "x", "w"))
    assert confusions.classes == ("z", "y", "x", "w")
    assert confusions.counted.all()
    wide = [dataclasses.replace(row, probabilities=dict(x=1, y=0, z=0, w=0)) for row in rows]
    assert count(wide).classes == ("x", "y", "z", "w")
    assert count(wide).counted.all()
    with pytest.raises(ValueError, match="no class z; there are x, y"):
        count(rows, ("x", "y"))
