import collections

import pytest
from helpers.benchmarks import imitate, sample

from micron_jax.datasets import protocols
from micron_jax.datasets.census import compare, compare_set
from micron_jax.datasets.protocols import COMPOSITE, PROTOCOLS, SETS, apply, subject_of
from micron_jax.errors import UserError

COMPOSED = ("casme2", "samm", "smic_hs")


@pytest.fixture(scope="module")
def composed():
    return [sample for name in COMPOSED for sample in imitate(name)]


def classes(protocol, labeled):
    number = collections.Counter(label for _, label in labeled)
    return [number[index] for index in range(len(protocol.classes))]


def subjects(labeled):
    return len({subject_of(sample) for sample, _ in labeled})


def test_the_composite_has_442_samples_of_68_subjects(composed):
    labeled = apply(COMPOSITE, composed)
    assert COMPOSITE.classes == ("negative", "positive", "surprise")
    assert len(labeled) == 442
    assert classes(COMPOSITE, labeled) == [250, 109, 83]
    assert subjects(labeled) == 68
    for name, counts, people in (
        ("casme2", [88, 32, 25], 24),
        ("samm", [92, 26, 15], 28),
        ("smic_hs", [70, 51, 43], 16),
    ):
        part = [(sample, label) for sample, label in labeled if sample.dataset == name]
        assert (classes(COMPOSITE, part), subjects(part)) == (counts, people)
    names = {sample.clip for sample, _ in labeled}
    assert not names & {"sub04/EP12_01f", "sub05/EP09_05f"}
    result = compare(COMPOSITE, composed)
    assert result.ok
    assert result.counts["samm"] == COMPOSITE.expected["samm"]


@pytest.mark.parametrize(
    ("name", "counts", "people"),
    [
        ("casme2_3", [88, 32, 25], 24),
        ("casme2_5", [32, 63, 27, 25, 99], 26),
        ("samm_3", [92, 26, 15], 28),
        ("samm_5", [57, 26, 26, 15, 12], 27),
        ("smic_hs_3", [70, 51, 43], 16),
        ("casme3_3", [457, 55, 187], 88),
        ("casme3_4", [457, 55, 187, 161], 94),
        ("casme3_7", [55, 64, 250, 86, 57, 187, 161], 94),
    ],
)
def test_a_protocol_of_one_set(name, counts, people):
    protocol = protocols.find(name)
    samples = imitate(protocol.sets[0])
    labeled = apply(protocol, samples)
    assert classes(protocol, labeled) == counts
    assert subjects(labeled) == people
    assert compare(protocol, samples).differences == []
    assert compare_set(protocol.sets[0], samples) == []


def test_the_tables_agree():
    sums = {name: sum(sheet.samples.values()) for name, sheet in SETS.items()}
    assert sums == dict(
        casme2=255,
        samm=159,
        smic_hs=164,
        smic_vis=71,
        smic_nir=71,
        casme3=860,
        casme3_c=165,
        dfme=2629,
    )
    totals = {n: sum(sum(c.samples.values()) for c in p.expected.values()) for n, p in ALL}
    assert totals["casme2_5"] == 246
    assert totals["samm_5"] == 136
    assert totals["casme3_3"] == 699
    for _, protocol in ALL:
        for name, rules in protocol.rules.items():
            assert set(rules) == set(SETS[name].samples)
            assert set(rules.values()) - {None} <= set(protocol.classes)
            assert tuple(protocol.expected[name].samples) == protocol.classes


ALL = PROTOCOLS.items()


def test_the_order_stays_and_other_sets_are_ignored(composed):
    labeled = apply(protocols.find("samm_5"), composed)
    assert {sample.dataset for sample, _ in labeled} == {"samm"}
    numbers = [composed.index(sample) for sample, _ in labeled]
    assert numbers == sorted(numbers)


def test_an_unknown_emotion_names_the_sample():
    with pytest.raises(UserError, match=r"samm 006/x: emotion 'Joyful' has no place"):
        apply(COMPOSITE, [sample("samm", "006/x", "006", "Joyful")])
    with pytest.raises(UserError, match=r"no protocol 'megc'; choose one of composite, casme2_3"):
        protocols.find("megc")
