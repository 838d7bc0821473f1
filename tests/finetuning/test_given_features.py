"""Features from a file, with and without built sets."""

import hashlib
import json

import numpy as np
import pytest
from helpers.benchmarks import imitate
from helpers.refusals import refusal
from helpers.vendor_trees import casme2_row, write_casme2

from micron_jax.cli import main
from micron_jax.datasets import protocols
from micron_jax.datasets.casme2 import CASME2
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.datasets.feature_file import read
from micron_jax.datasets.protocols import COMPOSITE
from micron_jax.errors import UserError
from micron_jax.evaluation.report import HTML
from micron_jax.finetuning.given_features import join_features

EMOTIONS = ("disgust", "happiness", "surprise")


def write(path, rows, **more):
    """Writes a file of rows (set, clip, subject, label), whose x shows the label."""
    columns = {
        name: [row[n] for row in rows] for n, name in enumerate(("set", "clip", "subject", "label"))
    }
    x = np.random.default_rng(0).normal(size=(len(rows), 2, 3))
    x[:, 0, 0] = [3 * sum(map(ord, row[3])) % 7 for row in rows]
    columns |= {"x": x} | more
    np.savez(path, **{name: column for name, column in columns.items() if column is not None})
    return path


def small(dataset="CASME II", people=4):
    """Rows of `people`, four clips each, of three classes."""
    return [
        (dataset, f"EP{n:02}_{s}", f"sub{s}", ("negative", "positive", "surprise")[(n + s) % 3])
        for s in range(1, people + 1)
        for n in range(4)
    ]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root, data_dir = tmp_path_factory.mktemp("casme2"), tmp_path_factory.mktemp("sets")
    rows = [
        casme2_row(f"{s:02}", f"EP{n:02}_{s}", 10, 12, 13, EMOTIONS[(n + s) % 3])
        for s in range(1, 5)
        for n in range(4)
    ]
    rows.append(casme2_row("04", "EP09", 10, 12, 13, "others"))
    write_casme2(root, rows)
    build_clips(CASME2, root, data_dir, keep="pair")
    return data_dir


def finetune(path, workdir, *settings):
    fields = [f"features={path}", "tuning.epochs=3", "seeds=1", "folds_at_once=8", *settings]
    command = ["finetune", "--config", "finetune_loso", "--workdir", str(workdir)]
    return [*command, *(f"--config.{field}" for field in fields)]


@pytest.mark.usefixtures("quickly")
def test_without_built_sets(tmp_path, capsys):
    path = write(tmp_path / "f.npz", small())
    command = finetune(path, tmp_path / "run", "protocol=casme2_3", "report_leaky=True")
    assert main(command) == 0
    out = capsys.readouterr().out
    line = f"casme2_3: 16 samples of 4 subjects, 4 folds; from no network: the features of {path}"
    assert line in out
    assert "not as published: casme2: negative 5, expected 88" in out
    assert "features: x (16, 2, 3) of f.npz, 6 numbers a clip" in out
    assert "LEAKY" in out
    provenance = json.loads((tmp_path / "run/provenance.json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance["features"] == {"file": "f.npz", "sha256": digest, "shape": [16, 2, 3]}
    assert f"f.npz, sha256 {digest}, shape" in (tmp_path / "run" / HTML).read_text()
    assert main(command) == 0  # nothing is trained again
    write(path, small()[::-1])
    capsys.readouterr()
    line = refusal(command, capsys)
    assert "are not what its first folds were trained from" in line


def joined(path, protocol="casme2_3", data_dir=""):
    return join_features(read(path), protocol, data_dir)


def test_the_composite_by_class_or_emotion(tmp_path):
    """All 442, by name; what the protocol leaves out is left out, however it is spelled."""
    samples = [sample for name in COMPOSITE.sets for sample in imitate(name)]
    words = {"casme2": "CASME II", "samm": "SAMM", "smic_hs": "SMIC-HS"}
    rows = [(words[s.dataset], s.clip.split("/")[-1], s.subject, s.emotion) for s in samples]
    given = joined(write(tmp_path / "f.npz", rows), "composite")
    assert len(given.labeled) == 442
    counts = np.bincount([label for _, label in given.labeled])
    assert counts.tolist() == [88 + 92 + 70, 32 + 26 + 51, 25 + 15 + 43]
    left_out = len(samples) - 442
    assert any(f"{left_out} of {len(samples)} rows" in line for line in given.lines)
    labeled = protocols.apply(COMPOSITE, samples)
    rows = [
        (s.dataset, s.clip.replace("/", "_"), s.subject, COMPOSITE.classes[k]) for s, k in labeled
    ]
    again = joined(write(tmp_path / "g.npz", rows), "composite")
    assert [label for _, label in again.labeled] == [label for _, label in given.labeled]
    assert len(again.lines) == 1


def test_joined_to_built_sets(tmp_path, data_dir):
    """Whatever the order of the rows; missing, extra and left out clips are told."""
    rows = [row for row in small() if row[1] != "EP02_3"][::-1]
    rows += [("casme2", "sub04/EP09", "4", "others"), ("samm", "006_1_2", "6", "negative")]
    path = write(tmp_path / "f.npz", rows)
    given = joined(path, data_dir=data_dir)
    file = read(path)
    assert len(given.labeled) == 15
    for (sample, label), x in zip(given.labeled, given.x, strict=True):
        number = next(n for n, row in enumerate(rows) if sample.clip.endswith(f"/{row[1]}"))
        np.testing.assert_array_equal(x[0, 0], file.x[number])
        assert given.protocol.classes[label] == rows[number][3]
    assert given.lines == [
        "features: x (17, 2, 3) of f.npz, 6 numbers a clip",
        "1 of 16 samples have no row in f.npz and are left out: casme2 sub03/EP02_3",
        "1 of 17 rows of f.npz are of clips that the protocol leaves out: casme2 sub04/EP09",
        "1 of 17 rows of f.npz are of no clip of the protocol's sets and are not used: samm "
        "006_1_2",
    ]


def test_joined_to_the_labels_of_a_sheet_alone(tmp_path, data_dir):
    sheet = write_casme2(
        tmp_path / "tree",
        [
            casme2_row(f"{s:02}", f"EP{n:02}_{s}", 10, 12, 13, EMOTIONS[(n + s) % 3])
            for s in range(1, 5)
            for n in range(4)
        ],
    )
    (sheet,) = sheet.glob("*.xlsx")
    command = ["data", "build", "casme2", "--source", sheet, "--data-dir", tmp_path, "--keep"]
    assert main([*map(str, command), "labels"]) == 0
    path = write(tmp_path / "f.npz", small(), subject=None, label=None)
    given, expected = (joined(path, data_dir=folder) for folder in (tmp_path, data_dir))
    assert given.labeled == expected.labeled
    np.testing.assert_array_equal(given.x, expected.x)


def test_labels_that_are_not_the_sheets_are_told(tmp_path, data_dir):
    rows = small()
    rows[0] = (*rows[0][:3], "negative")
    given = joined(write(tmp_path / "f.npz", rows), data_dir=data_dir)
    assert given.lines[1] == (
        "1 labels of f.npz are not those of the built sets, which count: casme2 sub01/EP00_1 "
        "(negative, not positive)"
    )


def test_one_set_needs_no_names_of_sets_and_built_sets_no_subjects(tmp_path, data_dir):
    path = write(tmp_path / "f.npz", small(), set=None, subject=None, label=None)
    assert len(joined(path, data_dir=data_dir).labeled) == 16


def test_a_set_of_ones_own(tmp_path):
    rows = [("lab", f"c{n}", f"p{n % 3}", ("calm", "happy")[n % 2]) for n in range(12)]
    given = joined(write(tmp_path / "f.npz", rows), "own")
    assert given.protocol.classes == ("calm", "happiness")
    assert len(given.labeled) == 12


@pytest.mark.parametrize(
    ("change", "protocol", "words"),
    [
        (dict(label=None), "casme2_3", "no array 'label'; add subject and label [n], or"),
        (dict(subject=None), "casme2_3", "no array 'subject'"),
        (dict(set=None), "composite", "no array 'set'; protocol composite has several: casme2,"),
        (dict(set=["samm"] * 16), "casme2_3", "none of its 16 rows is of a sample of protocol"),
        (dict(label=["calm"] * 16), "casme2_3", "label 'calm' of casme2 EP00_1 has no place in"),
        (
            dict(clip=["EP01"] * 16),
            "casme2_3",
            "clip casme2 EP01 of subject sub1 stands in rows 0 and 1",
        ),
    ],
)
def test_files_that_cannot_be_joined(tmp_path, change, protocol, words):
    path = write(tmp_path / "f.npz", small(), **change)
    with pytest.raises(UserError) as error:
        joined(path, protocol)
    assert str(error.value).startswith(str(path))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["baseline=flow"], "config.features: baseline 'flow' computes its own"),
        (["checkpoint=micron-tiny"], "config.checkpoint: config.features has no network"),
        (["tuning.trainable=all"], "config.tuning.trainable='all': config.features has a head"),
        (["features=gone.npz"], "gone.npz: no such file"),
        (["features="], "config.data.data_dir is missing; set config.data.data_dir=VALUE"),
    ],
)
def test_settings_that_contradict(tmp_path, capsys, settings, words):
    path = write(tmp_path / "f.npz", small())
    assert words in refusal(finetune(path, tmp_path / "run", *settings), capsys)
    assert not (tmp_path / "run").exists()
