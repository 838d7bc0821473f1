import dataclasses

import pytest
from helpers.evaluated import composite

from micron_jax.datasets import protocols
from micron_jax.datasets.protocols import THREE
from micron_jax.errors import UserError
from micron_jax.evaluation.megc import write_log
from micron_jax.evaluation.prediction import Prediction, write_csv
from micron_jax.evaluation.predictions import read_predictions

# The challenge's own example, with its Windows line ends and empty lines.
LOG = (
    "casme2\tsub01\r\nEP02_01f 1 1\r\nEP19_05f 0 1\r\n\r\n"
    "smic s01\r\ns01_ne_01 0 0\r\ns01_ne_02 0 1\r\n\r\n"
    "samm 006\r\n006_1_2\t0\t2\r\n006_1_3 0 0\r\n"
)


def test_a_megc_log_is_read_and_written(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(LOG.encode())
    table = read_predictions(path)
    assert [(row.set, row.subject, row.clip, row.label, row.prediction) for row in table] == [
        ("casme2", "01", "sub01/EP02_01f", "positive", "positive"),
        ("casme2", "01", "sub01/EP19_05f", "negative", "positive"),
        ("smic_hs", "1", "s01_ne_01", "negative", "negative"),
        ("smic_hs", "1", "s01_ne_02", "negative", "positive"),
        ("samm", "006", "006_1_2", "negative", "surprise"),
        ("samm", "006", "006_1_3", "negative", "negative"),
    ]
    write_log(tmp_path / "again.txt", table, THREE)
    same = [line.split() for line in LOG.splitlines() if line]
    assert [line.split() for line in (tmp_path / "again.txt").read_text().splitlines()] == same
    assert read_predictions(tmp_path / "again.txt") == table
    write_csv(tmp_path / "log.csv", table)
    assert read_predictions(tmp_path / "log.csv", allow_unlabeled=True) == table


def test_a_log_of_another_protocol(tmp_path):
    protocol = protocols.find("casme3_7")
    table = [Prediction("spNO.1/a", "1", "sad", "fear", set="casme3", fold="casme3/1")]
    write_log(tmp_path / "log", table, protocol.classes)
    assert (tmp_path / "log").read_text() == "casme3 1\nspNO.1/a 4 3\n"
    assert read_predictions(tmp_path / "log", protocol) == table
    with pytest.raises(UserError, match="row 2: class '4' is not known; there are: 0 negative, 1"):
        read_predictions(tmp_path / "log")


def test_tables_that_a_log_cannot_hold(tmp_path):
    row = composite()[0]
    for table, message in (
        ([*composite(0), *composite(1)], "here are 2: choose one"),
        (
            [dataclasses.replace(row, label="fear")],
            "'fear' is none of negative, .* needs the protocol",
        ),
        ([dataclasses.replace(row, set="")], "add a column `set`"),
        ([dataclasses.replace(row, set="mine", clip="a b")], "'a b': .* with spaces"),
    ):
        with pytest.raises(UserError, match=message):
            write_log(tmp_path / "log", table, THREE)
    assert not list(tmp_path.iterdir())
