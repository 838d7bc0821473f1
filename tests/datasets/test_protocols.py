import collections
import dataclasses

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
    for name, wanted, people in (
        ("casme2", [88, 32, 25], 24),
        ("samm", [92, 26, 15], 28),
        ("smic_hs", [70, 51, 43], 16),
    ):
        part = [(sample, label) for sample, label in labeled if sample.dataset == name]
        assert (classes(COMPOSITE, part), subjects(part)) == (wanted, people)
    names = {sample.clip for sample, _ in labeled}
    assert not names & {"sub04/EP12_01f", "sub05/EP09_05f"}
    result = compare(COMPOSITE, composed)
    assert result.ok
    assert result.counts["samm"] == COMPOSITE.expected["samm"]


@pytest.mark.parametrize(
    ("name", "wanted", "people"),
    [
        ("casme2_3", [88, 32, 25], 24),
        ("casme2_5", [32, 63, 27, 25, 99], 26),
        ("samm_3", [92, 26, 15], 28),
        ("samm_5", [57, 26, 26, 15, 12], 27),
        ("smic_hs_3", [70, 51, 43], 16),
        ("casme3_3", [457, 55, 187], 94),
        ("casme3_4", [457, 55, 187, 161], 94),
        ("casme3_7", [55, 64, 250, 86, 57, 187, 161], 94),
    ],
)
def test_a_protocol_of_one_set(name, wanted, people):
    protocol = protocols.find(name)
    samples = imitate(protocol.sets[0])
    labeled = apply(protocol, samples)
    assert classes(protocol, labeled) == wanted
    assert subjects(labeled) == people
    assert compare(protocol, samples).differences == []
    assert compare_set(protocol.sets[0], samples) == []


def test_the_tables_agree():
    sums = {name: sum(sheet.samples.values()) for name, sheet in SETS.items()}
    assert sums == dict(casme2=255, samm=159, smic_hs=164, casme3=860, casme3_c=165)
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


def test_the_order_is_kept_and_other_sets_are_passed_over(composed):
    labeled = apply(protocols.find("samm_5"), composed)
    assert {sample.dataset for sample, _ in labeled} == {"samm"}
    numbers = [composed.index(sample) for sample, _ in labeled]
    assert numbers == sorted(numbers)


def test_an_unknown_emotion_names_the_sample():
    with pytest.raises(UserError, match=r"samm 006/x: emotion 'Joyful' has no place"):
        apply(COMPOSITE, [sample("samm", "006/x", "006", "Joyful")])
    with pytest.raises(UserError, match=r"no protocol 'megc'; choose one of composite, casme2_3"):
        protocols.find("megc")


def test_a_sample_too_few_is_told(composed):
    short = [s for s in composed if s.emotion != "Sadness" or s.clip.endswith(("0", "2", "4"))]
    lost = len(composed) - len(short)
    assert lost
    lines = compare(COMPOSITE, short).differences
    assert lines[:2] == [
        f"samm: negative {92 - lost}, expected 92",
        f"  sadness {6 - lost}, in a complete set 6",
    ]
    assert compare_set("samm", [s for s in short if s.dataset == "samm"])[0] == (
        f"samm: sadness {6 - lost}, expected 6"
    )


def test_a_sample_too_many_is_told_and_named_among_few():
    more = [*imitate("casme2"), sample("casme2", "sub02/new", "02", "Fear")]
    assert compare(protocols.find("casme2_5"), more).ok  # fear is left out there
    assert compare_set("casme2", more) == ["casme2: fear 3, expected 2"]
    more = [*imitate("samm"), sample("samm", "009/new", "009", "contempt ")]
    lines = compare(protocols.find("samm_5"), more).differences
    assert lines == ["samm: contempt 13, expected 12"]  # too many to name
    more = [*imitate("samm"), sample("samm", "009/new", "009", "sadness")]
    lines = compare(protocols.find("samm_3"), more).differences
    assert lines[0] == "samm: negative 93, expected 92"
    assert lines[1].startswith("  sadness 7, in a complete set 6: ")
    assert lines[1].endswith(", 009/new")


def test_a_left_out_sample_under_another_name_is_told():
    samples = [
        dataclasses.replace(s, clip=s.clip.replace("EP12_01f", "EP12_1f"))
        for s in imitate("casme2")
    ]
    assert compare(protocols.find("casme2_3"), samples).differences == [
        "casme2: negative 89, expected 88",
        "  sub04/EP12_01f, which the protocol leaves out, is not found under that name",
    ]


def test_missing_sets_and_subjects_are_told(composed):
    lines = compare(COMPOSITE, [s for s in composed if s.dataset != "smic_hs"]).differences
    assert lines == ["smic_hs: no samples, expected 164"]
    few = [s for s in imitate("casme2") if s.subject != "10"]
    assert "casme2: 25 subjects, expected 26" in compare_set("casme2", few)
    assert compare_set("casme2", few)[-1] == "casme2: the set has no subject 10"
    moved = [
        dataclasses.replace(s, emotion="happiness") if s.subject == "10" else s
        for s in imitate("casme2")
    ]
    lines = compare(protocols.find("casme2_3"), moved).differences
    assert lines[-2:] == [
        "casme2: 25 subjects, expected 24",
        "  in the set, without a sample here: 18",
    ]


def test_repeated_clips_and_subjects_are_told():
    samples = imitate("smic_hs")
    twice = [*samples[:-1], samples[-2]]
    assert f"smic_hs: {samples[-2].clip} is listed 2 times" in compare_set("smic_hs", twice)
    renamed = [dataclasses.replace(samples[0], subject="018"), *samples[1:]]
    assert compare_set("smic_hs", renamed) == [
        "smic_hs: 17 subjects, expected 16",
        "smic_hs: subjects 018, 18 look like the same one",
    ]
    assert compare_set("mmew", samples) == []
