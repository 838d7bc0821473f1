"""The roll call: processes that come late, never, twice, or end, each in threads of this one."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading

import pytest

from micron_jax.errors import UserError
from micron_jax.training import connections, roll_call

HOST = socket.gethostname()


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(roll_call, "FIRST", 0.1)
    monkeypatch.setattr(roll_call, "EVERY", 0.2)
    monkeypatch.setattr(roll_call, "_RETRY", 0.1)


class Called(threading.Thread):
    """A process of a run, as a thread: its lines, and its end."""

    def __init__(self, address, processes, process, seconds=20.0):
        super().__init__(daemon=True)
        self._place, self._seconds = (address, processes, process), seconds
        self.lines, self.end = [], None
        self.start()

    def run(self):
        try:
            with roll_call.roll_call(*self._place, seconds=self._seconds, notify=self.lines.append):
                self.end = "there"
        except UserError as error:
            self.end = str(error)

    def result(self):
        self.join(30)
        return self.end


def wait_for(called, words):
    for _ in range(300):
        if any(words in line for line in called.lines):
            return
        called.join(0.05)
    pytest.fail(f"no line with {words!r}: {called.lines}")


def test_a_late_process_is_waited_for_and_named(address):
    first = Called(address, 3, 0)
    second = Called(address, 3, 1)
    wait_for(second, f"process 0 on {HOST} waits at {address} for process 2 of 3")
    third = Called(address, 3, 2)
    assert [called.result() for called in (first, second, third)] == ["there"] * 3
    line = f"process 0 on {HOST} waits at {address} for process 2 of 3"
    assert re.fullmatch(re.escape(line) + r" \(\d s of 20 s\)", first.lines[-1])


def test_process_0_may_come_last(address):
    second = Called(address, 2, 1)
    wait_for(second, f"process 1 on {HOST} waits for process 0 at {address}: nothing listens there")
    assert Called(address, 2, 0).result() == "there"
    assert second.result() == "there"


def test_who_never_comes_is_named_on_all(address):
    first, second = Called(address, 3, 0, seconds=1), Called(address, 3, 1)
    end = f"process 2 of 3 did not come to {address} within 1 s: see if it is started"
    assert first.result().startswith(end)
    assert second.result() == first.end


def test_a_process_0_that_never_comes(address):
    end = Called(address, 2, 1, seconds=0.5).result()
    assert end.startswith(f"process 0 was not at {address} within 0.5 s: nothing listens there yet")


def test_many_that_are_missing_are_counted(address):
    end = Called(address, 9, 0, seconds=0.1).result()
    assert end.startswith("processes 1, 2, 3, 4, 5 and 3 more of 9 did not come")


def hello(address, **changes):
    """A connection on which a process has come."""
    content = dict(process=1, processes=2, host="node7", versions=roll_call._VERSIONS)
    connection = socket.create_connection(connections.split(address), 5)
    connections.send(connection, **content | changes)
    return connection


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"processes": 3}, f"processes=3, but process 0 on {HOST} was started with processes=2"),
        ({"process": 0}, f"process 0 on {HOST} is there already: give each process a number of"),
        ({"versions": "micron_jax 0.0"}, "it has micron_jax 0.0, and process 0"),
    ],
)
def test_a_process_that_does_not_fit_is_refused_and_the_others_go_on(address, changes, refusal):
    first = Called(address, 2, 0)
    wait_for(first, "waits at")
    with hello(address, **changes) as connection:
        assert connections.receive(connection)["refused"].startswith(refusal)
    wait_for(first, f"process {changes.get('process', 1)} on node7 is refused: {refusal}")
    assert Called(address, 2, 1).result() == "there"
    assert first.result() == "there"


def test_a_number_given_twice_is_refused(address):
    first = Called(address, 3, 0)
    wait_for(first, "waits at")
    with hello(address, processes=3):
        wait_for(first, "for process 2 of 3")
        end = Called(address, 3, 1).result()
        assert end == "process 1 on node7 is there already: give each process a number of its own"


def test_a_process_that_ends_while_others_are_missing_is_named_and_may_come_again(address):
    first = Called(address, 2 + 1, 0)
    wait_for(first, "waits at")
    hello(address, processes=3).close()
    wait_for(first, "process 1 on node7 came, and has ended: see its output")
    assert [c.result() for c in (Called(address, 3, 1), Called(address, 3, 2))] == ["there"] * 2
    assert first.result() == "there"


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xfe\n",
        b"[]\n",
        b'{"process": 1}\n',
        b'{"process": 9, "processes": 2, "host": "x", "versions": "y"}\n',
        b"x" * 5000,
        b'{"process": 1, ',  # and nothing more
    ],
)
def test_what_other_programs_send_is_passed_over(address, junk, monkeypatch):
    monkeypatch.setattr(roll_call, "_ANSWER", 0.5)
    first = Called(address, 2, 0)
    wait_for(first, "waits at")
    with socket.create_connection(connections.split(address), 5) as stranger:
        stranger.sendall(junk)
        with contextlib.suppress(ConnectionError):  # what is not read resets the connection
            assert stranger.recv(1) == b""
    assert Called(address, 2, 1).result() == "there"
    assert first.result() == "there"


def test_a_port_that_another_program_has(address):
    with socket.create_server(connections.split(address)) as server:
        end = Called(address, 2, 0).result()
        assert end.startswith(f"coordinator={address}: port {server.getsockname()[1]} cannot be")
        assert "Address already in use" in end
        second = Called(address, 2, 1, seconds=3)
        for answer in (b"HTTP/1.1 400 Bad Request\r\n", b"\0" * 5000):
            connection = server.accept()[0]
            with connection:
                assert json.loads(connection.recv(4000))["process"] == 1
                connection.sendall(answer)
        wait_for(second, "another program answers there, or a run that has begun already")
        end = f"process 1 on {HOST} waits for the call of process 0 at {address}"
        wait_for(second, end)  # the program takes the connection, and says nothing
        assert second.result() == f"{end}; 3 s are over (initialization_timeout)"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "no answer (is that port open in the firewall, is the address right?)"),
        (socket.gaierror(-2, "?"), "the name of that host is not known here"),
        (OSError(113, "No route to host"), "it cannot be reached (No route to host)"),
    ],
)
def test_why_process_0_is_not_reached_is_told(address, error, reason, monkeypatch):
    def unreachable(*_):
        raise error

    monkeypatch.setattr(socket, "create_connection", unreachable)
    end = Called(address, 2, 1, seconds=0.2).result()
    assert end.startswith(f"process 0 was not at {address} within 0.2 s: {reason}; mend coordin")


PROCESS = """
import os
import sys
import time

from micron_jax.training import roll_call

process, address = int(sys.argv[1]), sys.argv[2]
with roll_call.roll_call(address, 2, process, seconds=60, notify=print):
    if process == 1:
        os._exit(9)
    time.sleep(60)  # as jax, which waits for the other
"""


def test_a_process_that_ends_while_jax_joins_them_ends_the_others(address):
    command = [sys.executable, "-c", PROCESS]
    first, second = (
        subprocess.Popen([*command, str(process), address], stdout=subprocess.PIPE, text=True)
        for process in range(2)
    )
    assert second.wait(60) == 9
    out = first.communicate(timeout=30)[0]
    assert (first.returncode, out) == (
        1,
        f"process 1 on {HOST} has ended before the run began: see there\n",
    )
