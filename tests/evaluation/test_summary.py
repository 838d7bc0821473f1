import dataclasses

import pytest
from helpers.evaluated import composite

from micron_jax.datasets import protocols
from micron_jax.datasets.protocols import COMPOSITE, PROTOCOLS
from micron_jax.evaluation.predictions import Prediction
from micron_jax.evaluation.significance import Bootstrap
from micron_jax.evaluation.summary import PUBLISHED, summarize


@pytest.fixture(scope="module")
def one_seed():
    return summarize(composite(), COMPOSITE, bootstrap=Bootstrap(200))


def test_the_summary_has_its_keys(one_seed):
    assert (one_seed["samples"], one_seed["subjects"]) == (442, 68)
    assert one_seed["classes"] == ["negative", "positive", "surprise"]
    confusion, per_class = one_seed["confusion"], one_seed["per_class"]
    assert [sum(row) for row in confusion] == [250, 109, 83]
    assert [per_class[name]["samples"] for name in COMPOSITE.classes] == [250, 109, 83]
    assert one_seed["uf1"] == pytest.approx(sum(row["f1"] for row in per_class.values()) / 3)
    assert one_seed["uar"] == pytest.approx(sum(row["recall"] for row in per_class.values()) / 3)
    hits = sum(confusion[n][n] for n in range(3))
    assert one_seed["accuracy"] == pytest.approx(hits / 442)
    assert sum(person["correct"] for person in one_seed["per_subject"]) == hits
    sets = one_seed["per_set"]
    assert {name: (part["samples"], part["subjects"]) for name, part in sets.items()} == {
        "casme2": (145, 24),
        "samm": (133, 28),
        "smic_hs": (164, 16),
    }
    assert sets["samm"]["classes"] == {"negative": 92, "positive": 26, "surprise": 15}
    alone = [row for row in composite() if row.set == "samm"]
    assert sets["samm"]["uf1"] == summarize(alone, protocols.find("samm_3"))["uf1"]
    assert one_seed["published"] == {"uf1": 0.8903, "uar": 0.8842}
    assert one_seed["largest"] == pytest.approx(
        {"class": "negative", "uf1": 500 / 692 / 3, "uar": 1 / 3, "accuracy": 250 / 442}
    )
    assert one_seed["seeds"]["count"] == 1
    assert one_seed["seeds"]["spread"]["uf1"]["std"] is None


def test_seeds_are_averaged_and_their_spread_reported(one_seed):
    tables = [composite(seed) for seed in range(3)]
    several = summarize(
        [row for table in tables for row in table], COMPOSITE, bootstrap=Bootstrap(200)
    )
    assert several["samples"] == 442
    alone = [summarize(table, COMPOSITE, bootstrap=Bootstrap(200))["uf1"] for table in tables]
    assert [run["uf1"] for run in several["seeds"]["runs"]] == alone
    mean = sum(alone) / 3
    assert several["uf1"] == pytest.approx(mean)
    spread = several["seeds"]["spread"]["uf1"]
    assert spread["std"] == pytest.approx((sum((v - mean) ** 2 for v in alone) / 2) ** 0.5)
    assert (spread["min"], spread["max"]) == (min(alone), max(alone))
    assert [sum(row) for row in several["confusion"]] == [750, 327, 249]


def test_counts_are_compared_with_the_protocol(one_seed):
    assert one_seed["protocol"]["differences"] == []
    assert one_seed["protocol"]["found"]["samm"] == {
        "samples": {"negative": 92, "positive": 26, "surprise": 15},
        "subjects": 28,
    }
    table = [row for row in composite() if row.set != "samm" and row.person != ("casme2", "08")]
    lines = summarize(table, COMPOSITE, bootstrap=Bootstrap(200))["protocol"]["differences"]
    labels = [row.label for row in composite() if row.person == ("casme2", "08")]
    assert lines == [
        f"casme2: negative {88 - labels.count('negative')}, expected 88",
        f"casme2: positive {32 - labels.count('positive')}, expected 32",
        f"casme2: surprise {25 - labels.count('surprise')}, expected 25",
        "casme2: 23 subjects, expected 24",
        "samm: no samples, expected 133",
    ]


def test_a_class_without_clips_counts_if_the_protocol_has_it():
    rows = [
        Prediction("a", "1", "happiness", "happiness", set="casme2"),
        Prediction("b", "2", "disgust", "surprise", set="casme2"),
    ]
    bare = summarize(rows)
    assert bare["classes"] == ["disgust", "happiness", "surprise"]
    assert bare["uf1"] == bare["uar"] == 1 / 2
    assert [row["counted"] for row in bare["per_class"].values()] == [True, True, False]
    assert bare["protocol"] is bare["published"] is None
    complete = summarize(rows, protocols.find("casme2_5"))
    assert complete["uf1"] == complete["uar"] == 1 / 5
    assert complete["accuracy"] == bare["accuracy"] == 1 / 2


def test_a_class_that_one_set_lacks_counts_in_that_set():
    rows = [row for row in composite() if (row.set, row.label) != ("samm", "surprise")]
    complete = summarize(rows, COMPOSITE, bootstrap=Bootstrap(200))["per_set"]["samm"]
    rows = [dataclasses.replace(row, probabilities={}) for row in rows]
    bare = summarize(rows, bootstrap=Bootstrap(200))["per_set"]["samm"]
    assert complete["uar"] == pytest.approx(bare["uar"] * 2 / 3)
    assert complete["classes"]["surprise"] == 0


def test_one_subject_has_no_interval():
    assert summarize([Prediction("a", "1", "x", "x")])["intervals"] is None


def test_published_numbers_belong_to_protocols():
    assert set(PUBLISHED) <= set(PROTOCOLS)
    assert PUBLISHED["casme3_7"] == (0.3264, 0.3254)


def test_a_protocol_names_the_version_of_a_sheet():
    labels = dict(happiness=32, disgust=63, repression=27, surprise=28, others=99)
    rows = [
        Prediction(f"{label}{n}", f"{n % 26 + 1:02}", label, label, "casme2")
        for label, number in labels.items()
        for n in range(number)
    ]
    protocol = summarize(rows, protocols.find("casme2_5"))["protocol"]
    assert protocol["editions"] == {"casme2": "the sheet of 2019"}
    assert (protocol["differences"], protocol["expected"]["casme2"]["samples"]) == ([], labels)
