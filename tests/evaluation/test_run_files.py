import json

import numpy as np
import pytest
from helpers.evaluated import make_workdir

from micron_jax.datasets.protocols import COMPOSITE
from micron_jax.errors import UserError
from micron_jax.evaluation.run_files import Run, protocol_of, read_run, write_run


@pytest.fixture
def workdir(tmp_path):
    return make_workdir(tmp_path / "run", seeds=(0,))


def test_all_files_are_read(workdir):
    run = read_run(workdir)
    assert run.leaky == {"label": "best epoch on the test subject", "uf1": 0.91, "uar": 0.9}
    assert run.protocol["name"] == "composite"
    assert run.provenance["git"] is None
    assert run.config["batch_size"] == 32
    assert len(run.curves) == 4 * 20
    assert set(run.curves["0", "3", 20]) == {"train_loss", "train_accuracy"}
    assert run.hardest.maps.shape == (4, 8, 8)
    assert run.hardest.clip[1] == "sub02/EP03"
    protocol = protocol_of(workdir)
    assert protocol.classes == COMPOSITE.classes
    assert protocol.expected == COMPOSITE.expected
    assert protocol.sets == COMPOSITE.sets


def test_written_files_are_read_back(workdir, tmp_path):
    run = read_run(workdir)
    copy = tmp_path / "copy"
    copy.mkdir()
    write_run(copy, run)
    again = read_run(copy)
    for field in ("protocol", "provenance", "leaky"):
        assert getattr(again, field) == getattr(run, field)
    assert again.config is None
    assert again.curves.keys() == run.curves.keys()
    for key, row in run.curves.items():
        assert again.curves[key] == pytest.approx(row, rel=1e-5)
    np.testing.assert_array_equal(again.hardest.maps, run.hardest.maps)
    np.testing.assert_array_equal(again.hardest.onset, run.hardest.onset)
    assert again.hardest.clip == run.hardest.clip
    write_run(copy, Run())  # takes nothing away
    assert read_run(copy).curves == again.curves


def test_missing_files_are_no_error(tmp_path):
    assert read_run(tmp_path) == Run()
    assert read_run(tmp_path / "a.csv") == Run()
    assert protocol_of(tmp_path) is None


def test_a_protocol_of_another_name(workdir):
    content = {"name": "synthetic", "classes": ["a", "b"], "expected": {}, "found": {"synth": {}}}
    (workdir / "protocol.json").write_text(json.dumps(content))
    protocol = protocol_of(workdir)
    assert (protocol.name, protocol.classes) == ("synthetic", ("a", "b"))
    assert protocol.sets == ("synth (synthetic)",)  # the first version lists no synthetic sets
    assert protocol.expected == {}
    (workdir / "protocol.json").write_text(json.dumps(content | {"name": "own"}))
    assert protocol_of(workdir).sets == ("synth",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("provenance.json", "{", "provenance.json: not JSON"),
        ("config.json", "[]", "config.json: it needs an object"),
        ("leaky.json", '{"uf1": 1}', "leaky.json: it needs an object with label, uf1, uar"),
        ("leaky.json", '{"label": "", "uf1": "x", "uar": 1}', "uf1 and uar must be numbers"),
        ("protocol.json", '{"name": "x"}', "it needs an object with name, classes"),
        ("curves.csv", "seed,fold,epoch,train_loss\n0,0,one,1\n", "curves.csv, row 2: it needs"),
        ("hardest.npz", "no archive", "hardest.npz: not the hardest clips"),
    ],
)
def test_a_damaged_file_is_named(workdir, name, text, message):
    (workdir / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_run(workdir)


def test_damaged_counts_and_frames_are_named(workdir):
    content = {"name": "x", "classes": ["a"], "expected": {"synth": 3}}
    (workdir / "protocol.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"protocol\.json: not a protocol"):
        protocol_of(workdir)
    with np.load(workdir / "hardest.npz") as stored:
        arrays = dict(stored)
    np.savez(workdir / "hardest.npz", **(arrays | {"apex": arrays["apex"][:, :5]}))
    with pytest.raises(UserError, match=r"it needs uint8 frames \[n, H, W, 3\]"):
        read_run(workdir)
    np.savez(workdir / "hardest.npz", **(arrays | {"heat": arrays["heat"][:2]}))
    with pytest.raises(UserError, match="of different lengths"):
        read_run(workdir)


def test_a_workdir_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: cannot be written \(Not a directory\)"):
        write_run(tmp_path / "file", Run(leaky={"label": "x", "uf1": 0.5, "uar": 0.5}))
