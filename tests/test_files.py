import os

import pytest

from micron_jax.errors import UserError
from micron_jax.files import sole_writer, write_whole


def test_a_file_is_replaced_at_once(tmp_path):
    path = tmp_path / "report"
    path.write_bytes(b"before")
    write_whole(path, b"after")
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["report"]


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"data")
    assert os.listdir(tmp_path) == ["folder"]


def test_one_writer_at_a_time_and_empty_folders_go(tmp_path):
    folder = tmp_path / "a" / "b"
    with sole_writer(folder, busy="wait"), pytest.raises(UserError, match="wait"):  # noqa: SIM117
        with sole_writer(folder, busy="wait"):
            pytest.fail("two writers")
    assert not (tmp_path / "a").exists()
    with sole_writer(folder, busy="wait"):
        (folder / "kept").write_text("")
    assert (folder / "kept").exists()
