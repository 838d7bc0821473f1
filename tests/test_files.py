import os

import pytest

from micron_jax.errors import UserError
from micron_jax.files import scratch_folder, write_whole


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


def test_the_debris_of_a_kill_goes(tmp_path):
    debris = tmp_path / ".out.incomplete"
    (debris / "folder").mkdir(parents=True)
    (debris / "part").write_text("")
    with scratch_folder(tmp_path / "out") as folder:
        assert folder == debris
        assert os.listdir(folder) == [".lock"]
        with pytest.raises(UserError, match="out: another run is writing it"):  # noqa: SIM117
            with scratch_folder(tmp_path / "out"):
                pytest.fail("two writers")
    assert os.listdir(tmp_path) == []
    with scratch_folder(tmp_path / ("é" * 120)):  # a name as long as they may be
        pass
