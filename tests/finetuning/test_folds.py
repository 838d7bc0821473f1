import pytest
from helpers.benchmarks import imitate, sample

from micron_jax.datasets import protocols
from micron_jax.datasets.protocols import subject_of
from micron_jax.errors import UserError
from micron_jax.finetuning.partition import SplitConfig, everyone, partition, shared_ids

COMPOSITE = protocols.COMPOSITE


@pytest.fixture(scope="module")
def composite():
    samples = [s for name in COMPOSITE.sets for s in imitate(name)]
    return protocols.apply(COMPOSITE, samples)


def people(labeled, indices):
    return {subject_of(labeled[i][0]) for i in indices}


@pytest.mark.parametrize("selection", ["schedule", "inner"])
def test_each_subject_is_tested_once_and_never_learned_from(composite, selection):
    parts = partition(composite, COMPOSITE, SplitConfig(selection=selection), seed=0)
    assert len(parts) == 68
    assert sorted(i for part in parts for i in part.test) == list(range(442))
    for part in parts:
        groups = [people(composite, g) for g in (part.train, part.validation, part.test)]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 68
        assert bool(groups[1]) == (selection == "inner")
        assert len(part.train) + len(part.validation) + len(part.test) == 442
    if selection == "inner":
        assert 0.1 < len(parts[0].validation) / 442 < 0.3


def test_sets(composite):
    parts = partition(composite, COMPOSITE, SplitConfig(kind="sets"), seed=0)
    assert [part.name for part in parts] == [
        "samm+smic_hs->casme2",
        "casme2+smic_hs->samm",
        "casme2+samm->smic_hs",
    ]
    config = SplitConfig(kind="sets", train_on="casme2", test_on="samm+smic_hs")
    (part,) = partition(composite, COMPOSITE, config, seed=0)
    assert (len(part.train), len(part.test)) == (145, 133 + 164)
    # The classifier that is kept never saw what its figures were tested on.
    whole = everyone(composite, COMPOSITE, [part], config, seed=0)
    assert (whole.train, whole.validation, whole.test) == (part.train, (), ())
    assert len(everyone(composite, COMPOSITE, parts, SplitConfig(), seed=0).train) == 442
    inner = SplitConfig(selection="inner")
    whole = everyone(composite, COMPOSITE, parts, inner, seed=0)
    assert sorted(whole.train + whole.validation) == list(range(442))
    assert not people(composite, whole.train) & people(composite, whole.validation)
    assert 0.1 < len(whole.validation) / 442 < 0.3


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
        partition(composite, COMPOSITE, config, seed=0)


def test_a_class_without_a_training_sample_names_fold_and_class():
    protocol = protocols.find("casme2_3")
    emotions = ["disgust", "happiness"]
    samples = [sample("casme2", f"{s}/{e}", s, e) for s in ("1", "2", "3") for e in emotions]
    samples.append(sample("casme2", "3/x", "3", "surprise"))
    labeled = protocols.apply(protocol, samples)
    with pytest.raises(UserError, match=r"fold casme2/3: no training sample of class 'surprise'"):
        partition(labeled, protocol, SplitConfig(), seed=0)


def test_groups(composite):
    parts = partition(composite, COMPOSITE, SplitConfig(kind="groups", k=4), seed=0)
    assert [part.name for part in parts] == ["1of4", "2of4", "3of4", "4of4"]


def test_one_id_in_two_sets_is_two_people(composite):
    assert "11" in shared_ids(composite)  # of CASME II and of SMIC
    assert "01" not in shared_ids(composite)
    labeled = [(sample("casme2", "a", "7", "x"), 0), (sample("samm", "b", "7", "x"), 0)]
    assert shared_ids(labeled) == ["7"]


def test_one_set_cannot_be_left_out():
    protocol = protocols.find("samm_3")
    labeled = protocols.apply(protocol, imitate("samm"))
    with pytest.raises(UserError, match="has one set only"):
        partition(labeled, protocol, SplitConfig(kind="sets"), seed=0)


@pytest.mark.parametrize(
    "fields", [dict(kind="x"), dict(selection="test"), dict(train_on="samm"), dict(inner_share=0.9)]
)
def test_bad_settings_are_refused(fields):
    with pytest.raises(UserError, match="split"):
        SplitConfig(**fields)
