"""`micron-jax data` on the benchmarks."""

import pytest
from helpers import vendor_trees as trees
from helpers.refusals import refusal

from micron_jax.cli import main


@pytest.fixture
def root(tmp_path):
    return trees.write_casme2(tmp_path / "source")


def command(root, data, *more, name="casme2"):
    return ["data", "build", name, "--source", str(root), "--data-dir", str(data), *more]


def test_build_prints_what_was_mended_and_skipped(root, tmp_path, capsys):
    (root / "CASME2-RAW" / "sub01" / "EP03_02" / "img131.jpg").write_bytes(b"")
    assert main(command(root, tmp_path / "data")) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"built: {tmp_path}/data/casme2/clip/1.0.0"
    assert lines[1].startswith("clips: 2, frames: 13, bytes: ")
    assert lines[2:] == [
        "subjects: 2, emotions: happiness 1, repression 1",
        "mended: 1",
        "  row 4, sub04/EP12_01f: apex / -> 12 (the sheet has no apex: the middle is taken)",
        "skipped: 1",
        "  row 3, sub01/EP03_02: img131.jpg: not a whole image",
    ]
    assert "3/3" in err
    assert main(command(root, tmp_path / "data", "--keep", "pair")) == 0
    assert "frames: 4," in capsys.readouterr().out
    assert main(command(root, tmp_path / "data")) == 0
    assert capsys.readouterr().out.startswith("already built: ")

    assert main(["data", "list", "--data-dir", str(tmp_path / "data")]) == 0
    built = capsys.readouterr().out.split("built in")[1].splitlines()[1:]
    assert [line.split(", bytes")[0] for line in built] == [
        "casme2      clips: 2, frames: 13",
        "casme2      clips: 2, frames: 4",
    ]


def test_list_knows_every_set(capsys):
    assert main(["data", "list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    expected = "frames casme2 samm smic_hs smic_vis smic_nir smic_hs_e smic_vis_e "
    expected += "casme3 casme3_c mmew fourdme dfme casme_sq samm_lv casme3_lv own"
    assert " ".join(names) == expected
    assert main(["data", "list", "samm"]) == 0
    assert "Ask for: the micro-movement clips" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strict"], "strict: 1 rows have faults, the first is row 3"),
        (["--keep", "apex"], "--keep"),
        (["--sheet", "gone.xlsx"], "gone.xlsx is not a file"),
        (["--frames", "gone"], "gone is no folder below"),
    ],
)
def test_bad_input_is_one_line(root, tmp_path, capsys, arguments, words):
    (root / "CASME2-RAW" / "sub01" / "EP03_02" / "img131.jpg").unlink()
    assert words in refusal(command(root, tmp_path / "data", *arguments), capsys)
    assert not (tmp_path / "data").exists()


def test_a_set_of_another_name(root, tmp_path, capsys):
    argv = command(root, tmp_path / "data", name="samm")
    assert "no sheet of samm below" in refusal(argv, capsys)
