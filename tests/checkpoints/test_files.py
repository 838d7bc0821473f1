"""Names of files that are written, and what goes into them."""

import numpy as np
import pytest
from helpers import tiny
from helpers.drawn_weights import draw_weights
from helpers.kept_classifier import KEPT
from helpers.refusals import refusal

from micron_jax import checkpoints
from micron_jax.checkpoints import classifier, files, load, pth
from micron_jax.cli import main
from micron_jax.errors import UserError

WEIGHTS = draw_weights(tiny.PAPER, decoder=False)


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("x.pth", "x.md"),
        ("x.pt", "x.md"),
        ("x.bin", "x.md"),
        ("x.ckpt", "x.md"),
        ("x.PTH", "x.md"),
        ("x.v1.Pt", "x.v1.md"),
        ("x.pth.tar", "x.md"),
        ("x.SafeTensors", "x.md"),
    ],
)
def test_names_of_files_are_files(name, card, tmp_path):
    files.save(WEIGHTS, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, card])
    np.testing.assert_equal(load.read(tmp_path / name).flat(), WEIGHTS.flat())
    if not name.lower().endswith(".safetensors"):
        assert "att.proj.bias" in pth.read(tmp_path / name)["model"]


def test_content_tells_the_kind_where_a_name_does_not(tmp_path):
    for name in ("x.pth", "y.safetensors"):
        files.save(WEIGHTS, tmp_path / name)
        (tmp_path / name).rename(tmp_path / f"{name[0]}_weights")
        np.testing.assert_equal(load.read(tmp_path / f"{name[0]}_weights").flat(), WEIGHTS.flat())


@pytest.mark.parametrize("name", ["weights.v2", "weights", "a.b.c"])
def test_other_names_are_folders(name, tmp_path):
    files.save(WEIGHTS, tmp_path / name)
    assert (tmp_path / name / "config.json").is_file()


@pytest.mark.parametrize("name", ["x.onnx", "x.npz", "x.tar", "x.pth.gz", "x.json", "x.H5"])
def test_files_of_others_are_not_written(name, tmp_path, capsys):
    line = refusal(["convert", "micron-tiny", str(tmp_path / name)], capsys)
    assert f"{name}: " in line
    assert "files are not written; give a new folder, NEW.pth or NEW.safetensors" in line
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match="cannot be written"):
        files.save(WEIGHTS, tmp_path / "x.pth")
    assert list(tmp_path.iterdir()) == []


def test_a_classifier_is_kept_in_a_folder_and_told_of_elsewhere(tmp_path, capsys):
    checkpoints.save(WEIGHTS, tmp_path / "source", KEPT)
    assert main(["convert", str(tmp_path / "source"), str(tmp_path / "copy")]) == 0
    assert capsys.readouterr().out.endswith("dma, encoder, classifier\n")
    for name in (classifier.JSON, classifier.TENSORS):
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "source" / name).read_bytes()
    for name in ("x.pth", "x.safetensors"):
        path = tmp_path / name
        assert main(["convert", str(tmp_path / "source"), str(path)]) == 0
        out = capsys.readouterr().out
        assert f"note: The classifier of {tmp_path / 'source'} is left out: it goes with" in out
        path.with_suffix(".md").unlink()


def test_settings_are_not_given_for_what_describes_itself(tmp_path, capsys):
    for name in ("folder", "x.pth", "x.safetensors"):
        files.save(WEIGHTS, tmp_path / name)
        (tmp_path / "x.md").unlink(missing_ok=True)
        for option, words in (
            (["--heads", "2"], "leave out num_heads (--heads)"),
            (["--no-diag-att"], "leave out diag_att (--diag-att)"),
        ):
            argv = ["convert", *option, str(tmp_path / name), str(tmp_path / "out")]
            assert refusal(argv, capsys).endswith(f"describes its own network; {words}")
