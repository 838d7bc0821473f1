"""The page under load: many clients, slow ones, full disks; nothing is computed."""

import contextlib
import errno
import http.client
import json
import os
import queue
import socket
import tempfile
import threading
import time
from types import SimpleNamespace

import pytest
from helpers.small_disk import small_disk

pytest.importorskip("uvicorn", reason="the extra `app` is not installed")
pytest.importorskip("python_multipart", reason="the extra `app` is not installed")

from micron_jax.app import connection, job, scratch, server, upload
from micron_jax.app.limits import Limits
from micron_jax.errors import UserError

MEGABYTE = 1_000_000


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def work(monkeypatch):
    """Work that waits for `go`, then gives the names and sizes of its files."""
    state = SimpleNamespace(go=threading.Event(), began=[], now=0, most=0, used=0)

    def visualize_files(model, paths, output, *, report, **settings):
        state.began.append(paths[0].name)
        state.now += 1
        state.most = max(state.most, state.now)
        state.used = max(state.used, bytes_in(paths[0].parents[3]))
        while not state.go.wait(0.02):
            report("drawing", 1, 2)
        state.now -= 1
        return {path.name: path.stat().st_size for path in paths}

    monkeypatch.setattr(job, "visualize_files", visualize_files)
    yield state
    state.go.set()


def bytes_in(folder):
    """Bytes of the files below a folder, some of which may go meanwhile."""
    size = 0
    for path, _, names in os.walk(folder):
        with contextlib.suppress(OSError):
            size += sum(os.path.getsize(os.path.join(path, name)) for name in names)
    return size


@contextlib.contextmanager
def serving(temporary):
    """Yields (port, server) of a server that takes 1 MB; it ends within 5 seconds."""
    started = queue.Queue()

    class Reporting(server.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            started.put(sockets[0].getsockname()[1])

    def run():
        model = SimpleNamespace(classifier=None, map_kinds=("cosine",))
        with scratch.server_folder() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
            service = server.Service(model, "stub", Limits(1, 1), folder)
            started.put(running := Reporting(service, loopback=True))
            running.run(sockets=[listener])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    running, port = started.get(timeout=10), started.get(timeout=10)
    yield port, running
    running.should_exit = True
    thread.join(5)
    assert not thread.is_alive()
    assert list(temporary.glob("micron-app-*")) == []


@pytest.fixture
def port(temporary, work):
    with serving(temporary) as (port, _):
        yield port


def body_of(*names, size=10):
    head = '--mark\r\nContent-Disposition: form-data; name="files"; filename="{}"\r\n\r\n'
    parts = (head.format(name).encode() + bytes(size) + b"\r\n" for name in names)
    return b"".join(parts) + b"--mark--\r\n"


def begin(port, body):
    """Sends an upload; its answer, of which nothing is read yet."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request(
        "POST", "/visualize", body, {"Content-Type": "multipart/form-data; boundary=mark"}
    )
    return client.getresponse()


def lines_of(answer):
    return [json.loads(line) for line in answer.read().splitlines()]


def raw(port, text):
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    client.sendall(text.replace("\n", "\r\n").encode())
    return client


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


def test_thirty_uploads_are_answered_in_order(port, work, temporary):
    count, size = 30, 300_000  # 18 MB in all; two megabytes may lie in the folder, and a copy
    answers = []
    for number in range(count):
        answers.append(begin(port, body_of(f"{number:02}.png", "b.png", size=size)))
        if number:  # waits; of the last ones the body is unread
            line = json.loads(answers[-1].readline())
            assert line["place"] == number
            others = "another request" if number == 1 else f"{number} other requests"
            assert line["doing"] == f"waiting for {others}"
    facts = http.client.HTTPConnection("127.0.0.1", port)
    facts.request("GET", "/facts")
    assert json.load(facts.getresponse())["requests"] == count
    work.go.set()
    for number, answer in enumerate(answers):
        lines = lines_of(answer)
        assert answer.status == 200
        assert lines[-1] == {"result": {f"{number:02}.png": size, "b.png": size}}
        places = [line["place"] for line in lines if "place" in line]
        assert places == sorted(set(places), reverse=True)
    assert work.began == [f"{number:02}.png" for number in range(count)]
    assert work.most == 1
    assert work.used <= 3 * MEGABYTE


def test_a_line_that_is_too_long_refuses(port, work, monkeypatch):
    monkeypatch.setattr(server.Line, "join", lambda *_: (_ for _ in ()).throw(server.Full))
    answer = begin(port, body_of("a.png", "b.png"))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
    assert lines_of(answer) == [{"error": "busy with other files; try again in a minute"}]


def test_a_client_that_leaves_holds_up_nobody(port, work):
    first, second = (begin(port, body_of(f"{n}.png", "b.png")) for n in range(2))
    third = begin(port, body_of("2.png", "b.png"))
    assert json.loads(third.readline())["place"] == 2
    first.close()
    second.close()
    until(lambda: work.began == ["0.png", "2.png"])
    work.go.set()
    assert "result" in lines_of(third)[-1]


def test_slow_clients_are_cut_off(port, work, monkeypatch):
    monkeypatch.setattr(connection, "HEAD", 0.5)
    monkeypatch.setattr(upload, "ALONE", (0.5, 1e4))
    monkeypatch.setattr(upload, "CROWDED", (0.5, 2e5))
    work.go.set()
    head = "POST /visualize HTTP/1.1\nHost: localhost\nContent-Length: 900000\n"
    head += "Content-Type: multipart/form-data; boundary=mark\n"
    heads = [raw(port, head) for _ in range(10)]
    bodies = [raw(port, f"{head}\n--mark\n") for _ in range(10)]
    later = raw(port, "GET /facts HTTP/1.1\nHost: localhost\n\n")
    assert later.recv(20).startswith(b"HTTP/1.1 200")
    later.sendall(b"GET /fac")
    ended = []

    def drip(client):
        with client, contextlib.suppress(OSError):
            while True:
                client.sendall(b"x")
                time.sleep(0.1)
        ended.append(client)

    clients = [*heads, *bodies, later]
    threads = [threading.Thread(target=drip, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    answer = begin(port, body_of("a.png", "b.png"))  # meanwhile
    assert "result" in lines_of(answer)[-1]
    until(lambda: len(ended) == len(clients))


def test_a_client_that_reads_nothing_is_cut_off(port, work, monkeypatch):
    monkeypatch.setattr(connection, "STALLED", 0.3)
    monkeypatch.setattr(job, "visualize_files", lambda *_, **__: {"long": "x" * 20 * MEGABYTE})
    body = body_of("a.png", "b.png").decode()
    head = f"POST /visualize HTTP/1.1\nHost: localhost\nContent-Length: {len(body)}\n"
    head += "Content-Type: multipart/form-data; boundary=mark\n\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(head.replace("\n", "\r\n").encode() + body.encode())
        size = 0
        time.sleep(2)
        with contextlib.suppress(ConnectionError):
            while data := client.recv(1 << 20):
                size += len(data)
    assert size < 20 * MEGABYTE
    assert len(begin(port, body_of("a.png", "b.png")).read()) > 20 * MEGABYTE


def test_the_end_comes_at_once(temporary, work):
    with serving(temporary) as (port, running):
        computing, waiting = (begin(port, body_of(f"{n}.png", "b.png")) for n in range(2))
        idle, slow = raw(port, ""), raw(port, "POST /visualize HTTP/1.1\nHost: localhost\n")
        sending = raw(port, "POST /visualize HTTP/1.1\nHost: localhost\nContent-Length: 9\n\n")
        until(lambda: work.began)
        running.should_exit = True
        for answer in (computing, waiting):
            assert lines_of(answer)[-1] == {"error": "the server was stopped"}
        for client in (idle, slow, sending):
            with client, contextlib.suppress(ConnectionError):
                while client.recv(4096):
                    pass


def test_a_full_temporary_folder_is_one_line(tmp_path, work, monkeypatch):
    work.go.set()
    monkeypatch.setattr(upload, "SPARE", 0)
    line = "the server's temporary folder cannot be written: No space left on device"
    disk = small_disk(tmp_path / "disk", "600k", lazily=True)
    with disk as folder, serving_in(folder, monkeypatch) as port:
        large, small = body_of("a.png", "b.png", size=450_000), body_of("a.png", "b.png")
        answer = begin(port, large)
        assert (answer.status, lines_of(answer)) == (507, [{"error": line}])
        monkeypatch.setattr(upload.shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
        answer = begin(port, large)
        assert lines_of(answer)[-1] == {"error": line}
        assert "result" in lines_of(begin(port, small))[-1]


@contextlib.contextmanager
def serving_in(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with serving(folder) as (port, _):
        yield port


def test_a_full_disk_while_it_computes_is_one_line(port, monkeypatch):
    def full(*_, **__):
        cause = OSError(errno.ENOSPC, "No space left on device")
        raise UserError("/tmp/x/output: cannot be written (No space left on device)") from cause

    monkeypatch.setattr(job, "visualize_files", full)
    line = "the server's temporary folder cannot be written: No space left on device"
    assert lines_of(begin(port, body_of("a.png", "b.png"))) == [{"error": line}]


def test_a_temporary_folder_that_is_gone_is_one_line(tmp_path, work, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    with serving_in(folder, monkeypatch) as port:
        scratch.shutil.rmtree(folder)
        answer = begin(port, body_of("a.png", "b.png"))
        line = "the server's temporary folder cannot be written: No such file or directory"
        assert (answer.status, lines_of(answer)) == (507, [{"error": line}])


def test_no_temporary_folder_is_a_users_error(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    line = r"the temporary folder cannot be written: No such file or directory \(TMPDIR\)"
    with pytest.raises(UserError, match=line), scratch.server_folder():
        pass


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("\u9762" * 90 + ".png", "\u9762" * 38 + ".png"),  # 38 of 3 bytes, and 4
        ("\U0001f600" * 90 + ".png", "_" * 90 + ".png"),
        ("a:b\\c.png", "a_b_c.png"),
        ("a/../b/" + "x" * 300 + ".png", "x" * 116 + ".png"),
        ("..png", "..png"),
    ],
)
def test_names_are_cut_by_bytes(port, work, name, stored):
    work.go.set()
    assert stored in lines_of(begin(port, body_of(name, "b.png")))[-1]["result"]


@pytest.mark.parametrize(
    "text",
    [
        "POST /visualize HTTP/1.1\nHost: localhost\nContent-Length: 3\nTransfer-Encoding: chunked\n"
        "\n0\n\n",
        "POST /visualize HTTP/1.1\nHost: localhost\nContent-Length: 3\nTransfer-Encoding: chunked\n"
        "\nabc",
        "POST /visualize HTTP/1.1\nHost: localhost\nContent-Length: 3\nContent-Length: 4\n\nabcd",
        "GET / HTTP/1.1\nHost: localhost\nHost: localhost\n\n",
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.0\n\n",
        "nonsense\n\n",
    ],
)
def test_doubtful_requests_are_refused_in_json(port, text, caplog):
    with raw(port, text) as client, client.makefile("rb") as reader:
        head, body = reader.read().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert [*json.loads(body)] == ["error"]
    assert "Exception" not in caplog.text


def test_what_a_killed_server_left_goes_with_the_next_start(temporary):
    left, young, old = (temporary / f"micron-app-{n}" for n in ("left", "young", "old"))
    for folder in (left, young, old):
        folder.mkdir()
        (folder / "film.mp4").write_bytes(b"film")
    (left / scratch.LOCK).touch()
    os.utime(old, (0, 0))
    with scratch.server_folder() as living:
        assert {*temporary.iterdir()} == {young, living}
        with scratch.server_folder() as other:
            assert {*temporary.iterdir()} == {young, living, other}
        assert living.is_dir()
    assert {*temporary.iterdir()} == {young}
