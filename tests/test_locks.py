"""Folders that one process writes at a time: who has them, dead holders, other hosts."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from micron_jax import locks
from micron_jax.errors import Notice, UserError
from micron_jax.locks import Holder, sole_writer

HOLD = """
import pathlib, sys
from micron_jax.locks import sole_writer
with sole_writer(pathlib.Path(sys.argv[1]), busy="wait"):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(folder):
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def leave_holder(folder, **changes):
    """The file of a holder that has ended without removing it."""
    folder.mkdir(exist_ok=True)
    holder = dataclasses.asdict(Holder.here()) | changes
    (folder / locks.FILE).write_text(json.dumps(holder))


def test_one_writer_at_a_time_and_empty_folders_go(tmp_path):
    folder = tmp_path / "a" / "b"
    here = rf"wait \(process {os.getpid()} on {socket.gethostname()}, since 20\d\d-\S+T\S+\)"
    with sole_writer(folder, busy="wait"), pytest.raises(UserError, match=here):  # noqa: SIM117
        with sole_writer(folder, busy="wait"):
            pytest.fail("two writers")
    assert not (tmp_path / "a").exists()
    with sole_writer(folder, busy="wait"):
        (folder / "kept").write_text("")
    assert os.listdir(folder) == ["kept"]


def test_a_killed_writer_blocks_nobody(tmp_path):
    holder = start_holder(tmp_path)
    with (
        pytest.raises(UserError, match=f"process {holder.pid} on "),
        sole_writer(tmp_path, busy=""),
    ):
        pytest.fail("two writers")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / locks.FILE).exists()
    with sole_writer(tmp_path, busy="wait"):
        assert locks._read(tmp_path).process == os.getpid()
    assert os.listdir(tmp_path) == []


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.5)
    monkeypatch.setattr(locks, "BEAT", 0.1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.filterwarnings("ignore::micron_jax.errors.Notice")
def test_a_writer_of_another_host_is_asked_for_signs_of_life(tmp_path):
    leave_holder(tmp_path, host="node7", process=12, kernel="another")
    with pytest.warns(Notice, match="was in use .process 12 on node7"):  # noqa: SIM117
        with sole_writer(tmp_path, busy="wait"):
            pass

    leave_holder(tmp_path, host="node7", process=12, kernel="another")
    ended = threading.Event()

    def beat():
        while not ended.wait(0.1):
            os.utime(tmp_path / locks.FILE)

    alive = threading.Thread(target=beat)
    alive.start()
    try:
        with pytest.raises(UserError, match="process 12 on node7"), sole_writer(tmp_path, busy="-"):
            pytest.fail("two writers")
    finally:
        ended.set()
        alive.join()


@pytest.mark.usefixtures("impatient")
@pytest.mark.filterwarnings("ignore::micron_jax.errors.Notice")
def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with sole_writer(tmp_path, busy="wait"), pytest.raises(UserError, match="wait"):  # noqa: SIM117
        with sole_writer(tmp_path, busy="wait"):
            pytest.fail("two writers")
    leave_holder(tmp_path)
    with sole_writer(tmp_path, busy="wait"):
        pass


def test_a_holder_whose_file_was_cut_short(tmp_path):
    (tmp_path / locks.FILE).write_text('{"process": 1')
    with sole_writer(tmp_path, busy="wait"):
        pass
