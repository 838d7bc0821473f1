"""The records of the corpus, and the shards that errors name."""

import os
import pickle
import shutil

import pytest

from micron_jax.datasets.frames import open_frames, set_folder
from micron_jax.datasets.frames.source import FrameSource
from micron_jax.errors import UserError


@pytest.fixture
def copy(corpus, tmp_path):
    """A data_dir with the corpus, and its one shard."""
    shutil.copytree(corpus, tmp_path / "data")
    [shard] = set_folder(tmp_path / "data").glob("*.array_record-*")
    return tmp_path / "data", shard


def test_records_are_those_of_tfds(copy):
    source = open_frames(copy[0])[0]
    source.check()
    assert len(source) == 48
    assert source[7] == source.records[7]
    assert source.__getitems__([3, 40]) == [source.records[3], source.records[40]]
    assert pickle.loads(pickle.dumps(source))[7] == source[7]  # by worker processes


def test_a_shard_that_is_not_there(copy):
    copy[1].unlink()
    source = open_frames(copy[0])[0]
    for action in (source.check, lambda: source[5]):
        with pytest.raises(UserError, match=rf"^{copy[1]}: (is not there|cannot be read)"):
            action()


def test_a_shard_that_may_not_be_read(copy, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read any
    with pytest.raises(UserError, match=rf"^{copy[1]}: may not be read; see if"):
        open_frames(copy[0])[0].check()


@pytest.mark.parametrize("size", [9000, 100_000])
def test_a_shard_that_was_cut_short(copy, size):
    os.truncate(copy[1], size)
    with pytest.raises(UserError, match=rf"^{copy[1]}: cannot be read \(.+\); see if its disk"):
        open_frames(copy[0])[0].__getitems__([0, 1, 47])


def test_the_shard_of_a_record():
    source = FrameSource(None, ("a", "b", "c"), (2, 0, 3))
    assert [source.shard_of(i) for i in range(5)] == ["a", "a", "c", "c", "c"]


def test_a_record_that_is_not_there_is_the_callers_fault(copy):
    with pytest.raises(ValueError, match="Record key"):
        open_frames(copy[0])[0][48]
