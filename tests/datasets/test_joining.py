"""Names of clips as other programs write them."""

import pytest

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.joining import ClipName, join
from micron_jax.errors import UserError


def sample(dataset, clip, subject):
    return Sample(dataset, clip, subject, "disgust", "", 1, 10, 20, 200.0)


SAMPLES = [
    sample("casme2", "sub01/EP02_01f", "01"),
    sample("casme2", "sub02/EP02_01f", "02"),
    sample("casme2", "sub02/EP03_02", "02"),
    sample("samm", "006_1_2", "006"),
    sample("smic_hs", "s1_ne_01", "1"),
    sample("casme3", "spNO.1/a/2345", "spNO.1"),
    sample("own", "clip_1", "anna"),
    sample("own", "clip_01", "anna"),
]


@pytest.mark.parametrize(
    ("row", "place"),
    [
        (("casme2", "sub01/EP02_01f"), 0),
        (("CASME II", "1/ep02_01F"), 0),
        (("CASME-II", "sub01\\EP02_01f"), 0),
        (("casme2", "sub02_EP02_01f"), 1),  # file names of HTNet and STSTNet
        (("casme2", "EP02_01f", "sub1"), 0),
        (("casme2", "EP02_01f", "2"), 1),
        (("casme2", "EP3_2"), 2),
        (("SAMM", "006/006_1_2"), 3),
        (("SAMM", "6_1_2"), 3),
        (("samm", "006_006_1_2", "006"), 3),
        (("SMIC-HS", "s01_ne_01", "s01"), 4),
        (("smic_hs", "s01_s01_ne_01"), 4),
        (("casme3", "spNO.01_a_2345"), 5),
        (("CAS(ME)3", "x"), None),
        (("casme3", "a/2345", "1"), 5),
        (("casme3", "spno.1/A/2345"), 5),
        (("own", "clip_01"), 7),  # names that differ by a zero: as they are written
        (("own", "clip_1", "Anna"), 6),
        (("casme2", "sub01/EP02_01f", "02"), None),  # another's clip
        (("samm", "sub01/EP02_01f"), None),  # another set's
        (("casme2", "EP99"), None),
    ],
)
def test_a_name_finds_its_clip(row, place):
    assert join(SAMPLES, [ClipName(*row)]) == ({} if place is None else {0: place})


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [("casme2", "EP02_01f")],
            "clip casme2 EP02_01f may be sub01/EP02_01f of subject 01 or sub02/EP02_01f of subject "
            "02; write the subject before it, as sub01/EP02_01f",
        ),
        ([("own", "Clip 1", "anna")], "may be clip_1 of subject anna or clip_01 of subject anna"),
        (
            [("samm", "006_1_2"), ("casme2", "x"), ("SAMM", "6_1_2")],
            "clip SAMM 6_1_2 of row 2 is that of row 0, too (samm 006_1_2; the first row is 0)",
        ),
    ],
)
def test_what_may_be_two_is_refused(rows, words):
    with pytest.raises(UserError) as error:
        join(SAMPLES, [ClipName(*row) for row in rows])
    assert words in str(error.value)
