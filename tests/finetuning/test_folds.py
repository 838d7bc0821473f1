import dataclasses
import itertools

import numpy as np
import pytest
from helpers.benchmarks import imitate, sample

from micron_jax.datasets import census, protocols
from micron_jax.datasets.protocols import subject_of
from micron_jax.errors import UserError
from micron_jax.finetuning.folds import (
    SplitConfig,
    everyone,
    k_fold,
    leave_one_subject_out,
    marked_folds,
    shared_ids,
    split,
)

COMPOSITE = protocols.COMPOSITE


@pytest.fixture(scope="module")
def composite():
    samples = [s for name in COMPOSITE.sets for s in imitate(name)]
    return protocols.apply(COMPOSITE, samples)


def people(labeled, indices):
    return {subject_of(labeled[i][0]) for i in indices}


@pytest.mark.parametrize("selection", ["schedule", "inner"])
def test_each_subject_is_tested_once_and_never_learned_from(composite, selection):
    folds = split(composite, COMPOSITE, SplitConfig(selection=selection), seed=0)
    assert len(folds) == 68
    assert sorted(i for fold in folds for i in fold.test) == list(range(442))
    for fold in folds:
        groups = [people(composite, g) for g in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 68
        assert bool(groups[1]) == (selection == "inner")
        assert len(fold.train) + len(fold.validation) + len(fold.test) == 442
    if selection == "inner":
        assert 0.1 < len(folds[0].validation) / 442 < 0.3


def test_synthetic_sets_are_marked_in_the_names_of_folds(composite):
    sets = split(composite, COMPOSITE, SplitConfig(kind="sets"), seed=0)
    people = leave_one_subject_out(composite)
    names = [fold.name for fold in marked_folds(sets, ["samm"])]
    assert names[:2] == ["samm (synthetic)+smic_hs->casme2", "casme2+smic_hs->samm (synthetic)"]
    names = {fold.name for fold in marked_folds(people, ["casme2"])}
    assert "casme2 (synthetic)/01" in names
    assert {name.split("/")[0] for name in names} == {"casme2 (synthetic)", "samm", "smic_hs"}
    assert marked_folds(people, []) == people


def test_sets(composite):
    folds = split(composite, COMPOSITE, SplitConfig(kind="sets"), seed=0)
    assert [fold.name for fold in folds] == [
        "samm+smic_hs->casme2",
        "casme2+smic_hs->samm",
        "casme2+samm->smic_hs",
    ]
    config = SplitConfig(kind="sets", train_on="casme2", test_on="samm+smic_hs")
    (fold,) = split(composite, COMPOSITE, config, seed=0)
    assert (len(fold.train), len(fold.test)) == (145, 133 + 164)
    # The classifier that is kept never saw what its figures were tested on.
    final = everyone(composite, COMPOSITE, [fold], config, seed=0)
    assert (final.train, final.validation, final.test) == (fold.train, (), ())
    assert len(everyone(composite, COMPOSITE, folds, SplitConfig(), seed=0).train) == 442
    inner = SplitConfig(selection="inner")
    final = everyone(composite, COMPOSITE, folds, inner, seed=0)
    assert sorted(final.train + final.validation) == list(range(442))
    assert not people(composite, final.train) & people(composite, final.validation)
    assert 0.1 < len(final.validation) / 442 < 0.3


@pytest.mark.parametrize(
    ("train_on", "test_on", "words"),
    [
        ("casme3", "samm", "split.train_on: protocol composite has no set 'casme3'"),
        ("casme2", "casme2", "casme2 is in config.split.train_on too"),
    ],
)
def test_wrong_sets_are_refused(composite, train_on, test_on, words):
    config = SplitConfig(kind="sets", train_on=train_on, test_on=test_on)
    with pytest.raises(UserError, match=words):
        split(composite, COMPOSITE, config, seed=0)


def test_a_class_without_a_training_sample_names_fold_and_class():
    protocol = protocols.find("casme2_3")
    emotions = ["disgust", "happiness"]
    samples = [sample("casme2", f"{s}/{e}", s, e) for s in ("1", "2", "3") for e in emotions]
    samples.append(sample("casme2", "3/x", "3", "surprise"))
    labeled = protocols.apply(protocol, samples)
    with pytest.raises(UserError, match=r"fold casme2/3: no training sample of class 'surprise'"):
        split(labeled, protocol, SplitConfig(), seed=0)


def test_groups(composite):
    folds = split(composite, COMPOSITE, SplitConfig(kind="groups", k=4), seed=0)
    assert [fold.name for fold in folds] == ["1of4", "2of4", "3of4", "4of4"]


def test_one_id_in_two_sets_is_two_people(composite):
    assert "11" in shared_ids(composite)  # of CASME II and of SMIC
    assert "01" not in shared_ids(composite)
    labeled = [(sample("casme2", "a", "7", "x"), 0), (sample("samm", "b", "7", "x"), 0)]
    assert shared_ids(labeled) == ["7"]


def test_two_spellings_of_one_person_are_one_fold():
    ways = [("casme2", "01"), ("casme2", "sub1"), ("casme2", "2"), ("samm", "1"), ("samm", "1a")]
    labeled = [(sample(name, f"{n}", subject, ""), 0) for n, (name, subject) in enumerate(ways)]
    for order in (labeled, labeled[::-1]):
        folds = leave_one_subject_out(order)
        names = {"casme2/01", "casme2/2", "samm/1", "samm/1a"}
        assert {fold.name for fold in folds} == names
        (one,) = [fold for fold in folds if fold.name == "casme2/01"]
        assert {order[i][0].clip for i in one.test} == {"0", "1"}


def test_a_protocol_of_one_set_has_no_split_by_sets():
    protocol = protocols.find("samm_3")
    labeled = protocols.apply(protocol, imitate("samm"))
    with pytest.raises(UserError, match="has one set only"):
        split(labeled, protocol, SplitConfig(kind="sets"), seed=0)


@pytest.mark.parametrize(
    "fields", [dict(kind="x"), dict(selection="test"), dict(train_on="samm"), dict(inner_share=0.9)]
)
def test_bad_settings_are_refused(fields):
    with pytest.raises(UserError, match="split"):
        SplitConfig(**fields)


def check_disjoint(labeled, folds):
    """Every sample is tested once, and no fold knows a test subject."""
    for fold in folds:
        assert len(fold.train) + len(fold.test) == len(labeled)
        train, test = (
            {subject_of(labeled[i][0]) for i in side} for side in (fold.train, fold.test)
        )
        assert train
        assert test
        assert not train & test
    assert sorted(i for fold in folds for i in fold.test) == list(range(len(labeled)))


def test_leave_one_subject_out(composite):
    folds = leave_one_subject_out(composite)
    check_disjoint(composite, folds)
    assert len(folds) == len({fold.name for fold in folds}) == 68
    # Number 18 is a subject of CASME II and of SMIC: two people.
    clash = [(sample("casme2", "a", "18", ""), 0), (sample("smic_hs", "b", "18", ""), 0)]
    assert [fold.name for fold in leave_one_subject_out(clash)] == ["casme2/18", "smic_hs/18"]
    with pytest.raises(UserError, match="1 subjects cannot be split"):
        leave_one_subject_out(clash[:1])


@pytest.mark.parametrize("name", ["casme3_4", "casme3_7"])
def test_k_fold_keeps_subjects_together_and_classes_in_balance(name):
    protocol = protocols.find(name)
    # Uneven subjects: the first ones have many samples, the last ones few.
    samples = [
        dataclasses.replace(s, subject=str(int(i * 0.618 % 1 * 94) ** 2 // 94))
        for i, s in enumerate(imitate("casme3"))
    ]
    labeled = protocols.apply(protocol, samples)
    folds = k_fold(labeled, 5, seed=1)
    check_disjoint(labeled, folds)
    labels = np.array([label for _, label in labeled])
    for fold in folds:
        shares = np.bincount(labels[list(fold.test)]) / np.bincount(labels)
        assert ((shares > 0.12) & (shares < 0.28)).all()
    assert k_fold(labeled, 5, seed=1) == folds
    assert k_fold(labeled, 5, seed=2) != folds
    # The order of the samples does not move a subject to another fold.
    backwards = k_fold(labeled[::-1], 5, seed=1)
    assert [{len(labeled) - 1 - i for i in f.test} for f in backwards] == [
        set(f.test) for f in folds
    ]


def test_k_fold_of_as_many_folds_as_subjects():
    labeled = [(sample("samm", str(i), str(i // 2), ""), 0) for i in range(8)]
    folds = k_fold(labeled, 4)
    check_disjoint(labeled, folds)
    for k in (1, 5):
        with pytest.raises(UserError, match=f"{k} folds of 4 subjects: choose 2 to 4"):
            k_fold(labeled, k)


def test_the_published_split_of_dfme_has_its_folds():
    """2,629 clips of 259 subjects: 1,856 to learn from, 474 and 299 to test on."""
    parts, people = {"train": 1856, "test a": 474, "test b": 299}, itertools.count(1)
    emotions = [e for e, count in protocols.SETS["dfme"].samples.items() for _ in range(count)]
    np.random.default_rng(0).shuffle(emotions)
    samples, number = [], iter(emotions)
    for (part, count), subjects in zip(parts.items(), (183, 46, 30), strict=True):
        ids = [f"sub{next(people):04}" for _ in range(subjects)]
        for n in range(count):
            who = ids[n % subjects]
            one = sample("dfme", f"{who}_{n}", who, next(number))
            samples.append(dataclasses.replace(one, split=part))
    protocol = protocols.find("dfme_7")
    labeled = protocols.apply(protocol, samples)
    folds = split(labeled, protocol, SplitConfig(kind="fixed"), seed=0)
    assert [(fold.name, len(fold.train), len(fold.test)) for fold in folds] == [
        ("train->test a", 1856, 474),
        ("train->test b", 1856, 299),
    ]
    assert census.compare(protocol, samples).differences == []
    tested = [labeled[i] for fold in folds for i in fold.test]
    part = census.tested(protocol, tested, "773 test clips")
    assert part.expected["dfme"].subjects == 76
    assert sum(part.expected["dfme"].samples.values()) == 773
