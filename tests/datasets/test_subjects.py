import pytest
from helpers.benchmarks import SUBJECTS, imitate, sample

from micron_jax.datasets.subjects import key, person, respelled, spelled, usual_spellings


@pytest.mark.parametrize(
    ("dataset", "texts", "usual"),
    [
        ("casme2", ["01", "1", "1.0", " sub01", "Sub1", "SUB-01", "s1", "subject 1", "０１"], "01"),
        ("samm", ["006", "6", "06", "s6", "\u200b6\u00a0"], "006"),
        ("smic_hs", ["1", "01", "s1", "S01"], "1"),
        ("casme3", ["spNO.1", "spno.1", "spNO.01", "spNO1", "SPNO 1", "spNo_1", "1"], "spNO.1"),
        ("casme3_c", ["01", "1", "spNO.1"], "01"),
        ("casme2 (synthetic)", ["01", "1", "sub01"], "01"),
        ("mmew", ["S05", "5", "s5"], "S05"),
    ],
)
def test_spellings_of_one_person(dataset, texts, usual):
    assert {key(dataset, text) for text in texts} == {key(dataset, usual)}
    assert {spelled(dataset, text) for text in texts} == {usual}
    assert set(usual_spellings((dataset, text) for text in texts).values()) == {usual}


@pytest.mark.parametrize(
    ("dataset", "texts"),
    [
        ("casme2", ["1", "1a", "11", "10", "1_1", "1.1", "x1"]),
        ("", ["A1", "B1", "1", "1a", "1.01", "1.1", "1_1", "11", "anna", "anna 2"]),
        ("fourdme", ["p1", "P1a", "1", "P11"]),
    ],
)
def test_different_people(dataset, texts):
    assert len({key(dataset, text) for text in texts}) == len(texts)


def test_two_sets_are_two_people():
    assert person("casme2", "01") != person("samm", "001")


def test_a_set_without_numbers_keeps_its_words():
    assert key("", "Anna  B") == key("", "anna b ") == key("", "ＡＮＮＡ b")
    names = usual_spellings([("", "Anna"), ("", "anna"), ("", "Anna"), ("", "P01"), ("", "p1")])
    assert names == {("", "anna"): "Anna", ("", "p1"): "P01"}


def test_right_sheets_stay_as_they_are():
    for name, subjects in SUBJECTS.items():
        if name != "casme3":
            assert [spelled(name, subject) for subject in subjects] == subjects
        assert respelled(imitate(name)) == imitate(name)
    mixed = [sample("casme3", "a", "spNO.1", "sad"), sample("casme3", "b", "spno.01", "sad")]
    assert [one.subject for one in respelled(mixed)] == ["spNO.1", "spNO.1"]
