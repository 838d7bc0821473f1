"""Counts of samples and subjects, of imitated sets and of sets built from sheets and frames."""

import collections
import dataclasses

import pytest
from helpers import vendor_trees as trees
from helpers.benchmarks import imitate, sample

from micron_jax.datasets import census, protocols
from micron_jax.datasets.catalog import clip_set
from micron_jax.datasets.census import compare, compare_set
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.datasets.protocols import COMPOSITE, apply, subject_of

TIMES = (1, 2, 3)


def write(dataset, root):
    samples = imitate(dataset)
    if dataset == "casme2":
        rows = [
            trees.casme2_row(s.subject, s.clip.rpartition("/")[2], *TIMES, s.emotion)
            for s in samples
        ]
        return trees.write_casme2(root, rows, frames="Cropped")
    if dataset == "samm":
        rows = [
            [s.subject, s.clip.rpartition("/")[2], 1, *TIMES, 3, "1/2", "4", s.emotion]
            for s in samples
        ]
        return trees.write_samm(root, rows)
    rows = [
        [n, int(s.subject), s.clip.rpartition("/")[2], 1, 3, s.emotion]
        for n, s in enumerate(samples, 1)
    ]
    return trees.write_smic(root, "HS", rows)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("complete")
    for dataset in ("casme2", "samm", "smic_hs"):
        root = write(dataset, folder / dataset)
        build_clips(clip_set(dataset), root, folder / "data", keep="pair", strict=True)
    return folder / "data"


def test_the_composite_of_built_sets(data_dir):
    samples = []
    for dataset, clips in (("casme2", 255), ("samm", 159), ("smic_hs", 164)):
        source, part = open_clips(data_dir, dataset)
        assert len(source) == len(part) == describe_clips(data_dir, dataset)["clips"]
        samples += part
        assert len(part) == clips
        assert compare_set(dataset, part) == []
    labeled = apply(COMPOSITE, samples)
    counts = collections.Counter(COMPOSITE.classes[label] for _, label in labeled)
    assert counts == {"negative": 250, "positive": 109, "surprise": 83}
    assert len({subject_of(sample) for sample, _ in labeled}) == 68
    parts = collections.Counter(sample.dataset for sample, _ in labeled)
    assert parts == {"casme2": 145, "samm": 133, "smic_hs": 164}
    assert compare(COMPOSITE, samples).ok


@pytest.fixture(scope="module")
def composed():
    return [sample for name in COMPOSITE.sets for sample in imitate(name)]


def test_a_missing_sample_is_reported(composed):
    short = [s for s in composed if s.emotion != "Sadness" or s.clip.endswith(("0", "2", "4"))]
    missing = len(composed) - len(short)
    assert missing
    lines = compare(COMPOSITE, short).differences
    assert lines[:2] == [
        f"samm: negative {92 - missing}, expected 92",
        f"  sadness {6 - missing}, in a complete set 6",
    ]
    assert compare_set("samm", [s for s in short if s.dataset == "samm"])[0] == (
        f"samm: sadness {6 - missing}, expected 6"
    )


def test_an_extra_sample_is_reported():
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


def test_a_renamed_excluded_sample_is_reported():
    samples = [
        dataclasses.replace(s, clip=s.clip.replace("EP12_01f", "EP12_1f"))
        for s in imitate("casme2")
    ]
    assert compare(protocols.find("casme2_3"), samples).differences == [
        "casme2: negative 89, expected 88",
        "  sub04/EP12_01f, which the protocol leaves out, is not found under that name",
    ]


def test_missing_sets_and_subjects_are_reported(composed):
    lines = compare(COMPOSITE, [s for s in composed if s.dataset != "smic_hs"]).differences
    assert lines == ["smic_hs: no samples, expected 164"]
    few = [s for s in imitate("casme2") if s.subject != "10"]
    assert "casme2: 25 subjects, expected 26" in compare_set("casme2", few)
    assert compare_set("casme2", few)[-1] == "casme2: the set has no subject 10"
    relabeled = [
        dataclasses.replace(s, emotion="happiness") if s.subject == "10" else s
        for s in imitate("casme2")
    ]
    lines = compare(protocols.find("casme2_3"), relabeled).differences
    assert lines[-2:] == [
        "casme2: 25 subjects, expected 24",
        "  in the set, without a sample here: 18",
    ]


def test_repeated_clips_and_subjects_are_reported():
    samples = imitate("smic_hs")
    twice = [*samples[:-1], samples[-2]]
    assert f"smic_hs: {samples[-2].clip} is listed 2 times" in compare_set("smic_hs", twice)
    renamed = [dataclasses.replace(samples[0], subject="018"), *samples[1:]]
    assert compare_set("smic_hs", renamed) == []  # 018 and 18 are one person
    stranger = [dataclasses.replace(samples[0], subject="18a"), *samples[1:]]
    assert compare_set("smic_hs", stranger) == [
        "smic_hs: 17 subjects, expected 16",
        "smic_hs: subjects 18, 18a look like the same one",
    ]
    assert compare_set("mmew", samples) == []


def by_the_sheet_of_2019(samples):
    """CASME II, three clips of subject 24 called surprise."""
    return [
        dataclasses.replace(s, emotion="surprise") if s.clip in protocols.RELABELED else s
        for s in samples
    ]


def test_casme2_counts_by_the_version_of_its_sheet():
    for samples, edition, number in (
        (imitate("casme2"), "the sheet of 2014", 246),
        (by_the_sheet_of_2019(imitate("casme2")), "the sheet of 2019", 249),
    ):
        result = compare(protocols.find("casme2_5"), samples)
        assert (result.differences, result.editions) == ([], {"casme2": edition})
        assert sum(result.counts["casme2"].samples.values()) == number
        assert compare_set("casme2", samples) == []
        three = compare(protocols.find("casme2_3"), samples)
        assert (three.differences, three.editions) == ([], {})
        assert sum(three.counts["casme2"].samples.values()) == 145


def test_a_mixture_of_both_versions_differs():
    samples = by_the_sheet_of_2019(imitate("casme2"))
    samples = [
        dataclasses.replace(s, emotion="sadness") if s.clip == "sub24/EP07_01" else s
        for s in samples
    ]
    result = compare(protocols.find("casme2_5"), samples)
    assert result.editions == {"casme2": "the sheet of 2014"}
    assert result.differences[0] == "casme2: surprise 27, expected 25"


def test_counts_alone_tell_the_version():
    protocol = protocols.find("casme2_5")
    clips = [
        (s.dataset, s.subject, protocol.classes[label])
        for s, label in apply(protocol, by_the_sheet_of_2019(imitate("casme2")))
    ]
    counts = census.count(protocol.sets, protocol.classes, clips)
    assert census.differences(protocol, counts) == []
    editions = census.editions(protocol, counts)
    assert editions == {"casme2": "the sheet of 2019"}
    assert census.expected_counts(protocol, editions)["casme2"].samples["surprise"] == 28


def first_version_of_casme3():
    """921 samples of 95 subjects; the last six show others alone, subject 151 fear."""
    counts = dict(
        disgust=275, surprise=199, others=163, Others=3, fear=90, anger=67, sad=63, happy=60
    )
    samples = [sample("casme3", "spNO.151/f/5", "spNO.151", "fear")]
    for emotion, count in counts.items():
        people = range(1, 95) if emotion == "others" else range(1, 89)
        for n in range(count):
            who = f"spNO.{people[n % len(people)]}"
            samples.append(sample("casme3", f"{who}/{emotion}/{n}", who, emotion))
    return samples


def test_casme3_counts_by_the_version_of_its_sheet():
    first, second = first_version_of_casme3(), imitate("casme3")
    for samples, version, numbers in (
        (second, "the second version of its sheet", {7: 860, 4: 860, 3: 699}),
        (first, "the first version of its sheet", {7: 921, 4: 921, 3: 755}),
    ):
        assert compare_set("casme3", samples) == []
        for classes, number in numbers.items():
            result = compare(protocols.find(f"casme3_{classes}"), samples)
            assert (result.differences, result.editions) == ([], {"casme3": version})
            assert sum(result.counts["casme3"].samples.values()) == number
    lacking = compare(protocols.find("casme3_7"), first[:-1])
    assert lacking.differences[0] == "casme3: happy 59, expected 60"


def test_the_exact_samples_of_a_protocol_lack_nobody(composed):
    """Subjects 10 and 18 of CASME II have no sample in the composite."""
    exact = [sample for sample, _ in apply(COMPOSITE, composed)]
    assert len(exact) == 442
    lines = compare(COMPOSITE, exact).differences
    assert lines == []
