import pytest

from micron_jax.datasets import leakage


@pytest.mark.parametrize(
    ("dataset", "subjects", "source", "clips", "numbers_of"),
    [
        (
            "casme3",
            ["1", "12", "120"],
            "corpora/part_A",
            ["spNO.12/a/color", "spNO.12/b/color", "spNO.120/a/color", "spNO.2/a", "spNO.112/a"],
            {"12": [0, 1], "120": [2]},
        ),
        ("casme3", ["12", "13"], "part_A/spNO.12", ["a/color", "."], {"12": [0, 1]}),
        (
            "casme2",
            ["01", "sub05", "26"],
            "",
            ["sub05/EP01_1", "x/SUB1/EP02.avi", "sub010/EP1", "subject26", "mysub26"],
            {"01": [1], "sub05": [0]},
        ),
        (
            "samm",
            ["006", "007"],
            "/data/SAMM",
            ["006/006_1_2", "007_3_1.avi", "clip006", "0067/a", "6/a", "1007/b"],
            {"006": [0], "007": [1]},
        ),
        ("smic_hs", ["1", "s18"], "", ["s18/micro/a", "s01_n.avi", "g1"], {"1": [1], "s18": [0]}),
        ("mmew", ["S13", "2"], "", ["anger/S13-07-1", "s02-01-1", "S3-1"], {"2": [1], "S13": [0]}),
        ("fourdme", ["p1", "3"], "", ["gray/P1/a", "clip3/b", "3/c.mp4"], {"3": [2], "p1": [0]}),
    ],
)  # fmt: skip
def test_paths_name_their_subjects(dataset, subjects, source, clips, numbers_of):
    expected = {subject: [clips[i] for i in numbers] for subject, numbers in numbers_of.items()}
    assert leakage.subjects_in(dataset, subjects, clips, source) == expected
