import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from micron_jax.errors import UserError
from micron_jax.evaluation.action_units import (
    UnitPredictions,
    read_units,
    summarize_units,
    units_text,
    write_units,
)
from micron_jax.evaluation.significance import Bootstrap


def table(seeds=1):
    rng = np.random.default_rng(0)
    one = rng.random((40, 3)) < (0.5, 0.3, 0.1)
    labels = np.concatenate([one] * seeds)
    noise = rng.normal(0, 0.5, labels.shape)
    probabilities = np.round(1 / (1 + np.exp(-4 * (labels - 0.5 + noise))), 6)
    keys = [
        (f"c{n}", f"s{n % 8}", "samm", seed, f"f{n % 8}")
        for seed in range(seeds)
        for n in range(40)
    ]
    return UnitPredictions(("AU1", "AU4", "AU12"), keys, labels, probabilities)


def test_figures_are_scikit_learns():
    one = table()
    summary = summarize_units(one, bootstrap=Bootstrap(200))
    guess = one.probabilities >= 0.5
    units = summary["per_unit"].values()
    for name, metric in (
        ("f1", f1_score),
        ("recall", recall_score),
        ("precision", precision_score),
    ):
        expected = metric(one.labels, guess, average=None)
        assert [unit[name] for unit in units] == pytest.approx(expected)
    assert summary["macro_f1"] == pytest.approx(f1_score(one.labels, guess, average="macro"))
    always = f1_score(one.labels, np.ones_like(guess), average=None)
    assert [unit["always"] for unit in units] == pytest.approx(always)
    assert [unit["samples"] for unit in units] == one.labels.sum(0).tolist()
    assert (summary["samples"], summary["subjects"]) == (40, 8)
    low, high = summary["interval"]
    assert low < summary["macro_f1"] < high
    assert "| macro F1 |" in units_text(summary)


def test_several_seeds_are_averaged():
    both = table(2)
    summary = summarize_units(both, bootstrap=Bootstrap(100))
    halves = [
        f1_score(both.labels[half], both.probabilities[half] >= 0.5, average="macro")
        for half in (slice(40), slice(40, None))
    ]
    assert summary["macro_f1"] == pytest.approx(np.mean(halves))
    assert (summary["samples"], summary["seeds"]) == (40, 2)


def test_a_table_comes_back(tmp_path):
    one = table()
    write_units(tmp_path / "units.csv", one)
    again = read_units(tmp_path / "units.csv")
    assert (again.units, again.keys) == (one.units, one.keys)
    np.testing.assert_array_equal(again.labels, one.labels)
    np.testing.assert_allclose(again.probabilities, one.probabilities, rtol=1e-5)
    (tmp_path / "bad.csv").write_text("clip,subject,set,seed,fold,AU1,p_AU1\na,1,x,0,f,2,0.5\n")
    with pytest.raises(UserError, match="row 2: it needs clip, subject, set, seed, fold, and for"):
        read_units(tmp_path / "bad.csv")
