"""The roll call of a run's processes, before jax joins them.

jax waits in silence, and then ends the process without the name of the one that it waited for. So
process 0 first listens at the coordinator's port itself, and the others tell it their number and
host, in a line of JSON each. When all have come, it tells them so and leaves the port to jax. The
connections stay until jax has joined the processes, so that one that ends meanwhile is named.
"""

import contextlib
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import NoReturn

import jax

from micron_jax import __version__
from micron_jax.errors import UserError
from micron_jax.training import connections

FIRST, EVERY = 5.0, 30.0  # seconds until the first line on who is missing, and between two lines
_RETRY, _ANSWER = 1.0, 5.0  # seconds between two tries to connect, and until a line must be there
_LISTED = 5  # processes that a message names
_VERSIONS = f"micron_jax {__version__} with jax {jax.__version__}"

Notify = Callable[[str], None]


@contextlib.contextmanager
def roll_call(
    address: str, processes: int, process: int, *, seconds: float, notify: Notify
) -> Iterator[None]:
    """Waits until all processes of a run are there, and watches them while the context is open.

    Args:
      address: HOST:PORT of process 0.
      processes, process: number of processes, and of this one, from 0.
      seconds: to wait at most.
      notify: gets a line on who is missing, and why, every now and then.

    Raises:
      UserError: a process has not come in time; another has this one's number, or was started for
        another number of processes, or with other versions; the port is taken.
    """
    with contextlib.ExitStack() as stack:
        if process == 0:
            others = _Caller(address, processes, seconds, notify, stack).call()
        else:
            connection = _Comer(address, processes, process, seconds, notify, stack).come()
            others = {connection: f"process 0 at {address}"}
        with _watching(others, notify):
            yield


class _Wait:
    """The time of a wait, and its lines."""

    def __init__(self, seconds: float, notify: Notify):
        self._start, self._seconds, self._notify = time.monotonic(), seconds, notify
        self._next = FIRST

    def left(self) -> float:
        return self._start + self._seconds - time.monotonic()

    def tell(self, line: str) -> bool:
        """Tells a line if it is time for one."""
        waited = time.monotonic() - self._start
        if waited < self._next:
            return False
        self._next = waited + EVERY
        self._notify(f"{line} ({waited:.0f} s of {self._seconds:g} s)")
        return True


class _Caller:
    """Process 0, to which the others come."""

    def __init__(self, address: str, processes: int, seconds: float, notify: Notify, stack):
        self._address, self._processes, self._notify = address, processes, notify
        self._wait, self._seconds, self._stack = _Wait(seconds, notify), seconds, stack
        self._hosts: dict[int, str] = {}  # of the processes that have come
        self._numbers: dict[socket.socket, int] = {}

    def call(self) -> dict[socket.socket, str]:
        """Returns the connections to the others, when all are there -> their names."""
        listening = connections.listen(self._address)
        with selectors.DefaultSelector() as self._selector, listening as server:
            self._selector.register(server, selectors.EVENT_READ)
            while missing := sorted({*range(1, self._processes)} - self._hosts.keys()):
                self._tell(missing)
                for key, _ in self._selector.select(_RETRY):
                    if key.fileobj is server:
                        connection = self._stack.enter_context(server.accept()[0])
                        connection.settimeout(_ANSWER)
                        self._selector.register(connection, selectors.EVENT_READ)
                    else:
                        self._hear(key.fileobj)
        for connection in self._numbers:
            connections.send(connection, go=True)
        return {connection: self._name(n) for connection, n in self._numbers.items()}

    def _tell(self, missing: Collection[int]) -> None:
        who = f"{_processes(missing)} of {self._processes}"
        line = f"process 0 on {socket.gethostname()} waits at {self._address} for {who}"
        if self._wait.left() <= 0:
            text = (
                f"{who} did not come to {self._address} within {self._seconds:g} s: see if "
                f"{'it is' if len(missing) == 1 else 'they are'} started, and can reach that port "
                "(firewall); initialization_timeout is the time to wait"
            )
            for connection in self._numbers:
                connections.send(connection, refused=text)
            raise UserError(text)
        if self._wait.tell(line):
            for connection in self._numbers:
                connections.send(connection, waits=line)

    def _hear(self, connection: socket.socket) -> None:
        number = self._numbers.get(connection)
        if number is not None:  # it has said all that it has to say
            self._notify(f"{self._name(number)} came, and has ended: see its output")
            del self._numbers[connection], self._hosts[number]
        else:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # of others
                hello = connections.receive(connection)
                number, host = int(hello["process"]), str(hello["host"])
                if number not in range(self._processes) and hello["processes"] == self._processes:
                    raise ValueError("no process has that number")
                if (refusal := self._refusal(hello, number)) is None:
                    self._numbers[connection], self._hosts[number] = number, host
                    return
                self._notify(f"process {number} on {host} is refused: {refusal}")
                connections.send(connection, refused=refusal)
        self._selector.unregister(connection)
        connection.close()

    def _refusal(self, hello: dict, number: int) -> str | None:
        here = f"process 0 on {socket.gethostname()}"
        if hello["processes"] != self._processes:
            return (
                f"processes={hello['processes']}, but {here} was started with "
                f"processes={self._processes}: give all the same"
            )
        if number in self._hosts:
            return f"{self._name(number)} is there already: give each process a number of its own"
        if number == 0:
            return f"{here} is there already: give each process a number of its own"
        if hello["versions"] != _VERSIONS:
            return f"it has {hello['versions']}, and {here} has {_VERSIONS}: install the same"
        return None

    def _name(self, number: int) -> str:
        return f"process {number} on {self._hosts[number]}"


class _Comer:
    """Another process, which comes to process 0."""

    def __init__(self, address, processes, process, seconds, notify: Notify, stack):
        self._address, self._notify, self._stack = address, notify, stack
        self._wait, self._seconds = _Wait(seconds, notify), seconds
        self._name = f"process {process} on {socket.gethostname()}"
        self._hello = dict(process=process, processes=processes, host=socket.gethostname())
        self._hello["versions"] = _VERSIONS

    def come(self) -> socket.socket:
        """Returns the connection to process 0, when all are there."""
        host, port = connections.split(self._address)
        while True:
            connection = None
            try:
                connection = socket.create_connection((host, port), _ANSWER)
                self._stack.enter_context(connection)
                connections.send(connection, **self._hello)
                self._await_call(connection)
                return connection
            except (OSError, ValueError) as error:
                reason = connections.reason(error, connected=connection is not None)
                if connection:
                    connection.close()
            line = f"waits for process 0 at {self._address}: {reason}"
            if self._wait.left() <= 0:
                raise UserError(
                    f"process 0 was not at {self._address} within {self._seconds:g} s: {reason}; "
                    "mend coordinator, or wait longer by initialization_timeout"
                )
            self._wait.tell(f"{self._name} {line}")
            time.sleep(_RETRY)

    def _await_call(self, connection: socket.socket) -> None:
        """Returns when all are there; raises what `receive` does if process 0 goes away."""
        heard = None
        line = f"{self._name} waits for the call of process 0 at {self._address}"
        while self._wait.left() > 0:
            connection.settimeout(max(min(self._wait.left(), _RETRY), 0.1))
            try:
                answer = connections.receive(connection)
            except TimeoutError:
                if not heard:
                    self._wait.tell(line)
                continue
            if "refused" in answer:
                raise UserError(str(answer["refused"]))
            if answer.get("go"):
                return
            heard = line = str(answer.get("waits"))
            self._notify(line)
        raise UserError(f"{line}; {self._seconds:g} s are over (initialization_timeout)")


@contextlib.contextmanager
def _watching(others: dict[socket.socket, str], notify: Notify) -> Iterator[None]:
    """Ends this process, with a line, when another one ends before this context does."""

    def watch() -> None:
        with selectors.DefaultSelector() as selector:
            for connection in others:
                connection.settimeout(_ANSWER)
                selector.register(connection, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    try:
                        joined = key.fileobj.recv(1)
                    except OSError:
                        joined = b""
                    if not joined:
                        notify(f"{others[key.fileobj]} has ended before the run began: see there")
                        _end()
                    selector.unregister(key.fileobj)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield
    for connection in others:
        with contextlib.suppress(OSError):
            connection.sendall(b"\n")
    thread.join(_ANSWER)  # the others have joined, too


def _end() -> NoReturn:
    """Ends the process from a thread, while jax waits in the main one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _processes(numbers: Collection[int]) -> str:
    """`process 3`, or `processes 3, 4 and 5`, and no more than a few of them."""
    names = [str(n) for n in numbers[:_LISTED]]
    if len(numbers) > _LISTED:
        names.append(f"{len(numbers) - _LISTED} more")
    if len(names) == 1:
        return f"process {names[0]}"
    return f"processes {', '.join(names[:-1])} and {names[-1]}"
