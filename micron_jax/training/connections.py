"""Connections between the processes of a run, before jax joins them.

They send lines of JSON, in which nothing is run.
"""

import contextlib
import json
import os
import socket
import time

from micron_jax.errors import UserError

_LONGEST = 4000  # bytes of a line


def split(address: str) -> tuple[str, int]:
    """(host, port) of HOST:PORT; of [HOST]:PORT, for an IPv6 address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def listen(address: str) -> socket.socket:
    """A socket where jax's service will listen: on all addresses, unless its variable says less."""
    host, port = split(os.environ.get("JAX_COORDINATOR_BIND_ADDRESS") or f":{split(address)[1]}")
    both = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise UserError(
            f"coordinator={address}: port {port} cannot be listened at ({error.strerror}); choose "
            "another, from 1024 to 65535, that no other program has"
        ) from error


def send(connection: socket.socket, **content) -> None:
    """Sends a line, to a process that may have ended."""
    with contextlib.suppress(OSError):  # which shows when it is read
        connection.sendall(json.dumps(content).encode() + b"\n")


def receive(connection: socket.socket) -> dict:
    """Receives a line, within the timeout of the connection.

    Raises:
      TimeoutError: it has not come, or not all of it.
      ConnectionError: the other side has ended.
      ValueError: it is none of a roll call.
    """
    line, timeout = b"", connection.gettimeout()
    end = time.monotonic() + timeout
    try:
        while not line.endswith(b"\n"):
            connection.settimeout(max(end - time.monotonic(), 0.001))
            if not (byte := connection.recv(1)):
                raise ConnectionError
            line += byte
            if len(line) > _LONGEST:
                raise ValueError("too long")
    finally:
        connection.settimeout(timeout)
    content = json.loads(line)
    if not isinstance(content, dict):
        raise ValueError("no object")
    return content


def reason(error: Exception, *, connected: bool) -> str:
    """Words for why a process does not reach process 0."""
    if isinstance(error, ValueError):
        return "another program answers there, or a run that has begun already"
    if connected:
        return "it has ended, or another program has that port"
    if isinstance(error, socket.gaierror):
        return "the name of that host is not known here"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there yet (is process 0 started, on that host?)"
    if isinstance(error, TimeoutError):
        return "no answer (is that port open in the firewall, is the address right?)"
    return f"it cannot be reached ({error.strerror or error})"
