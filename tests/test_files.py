import os

import pytest

from micron_jax.files import write_whole


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
