"""Connections that end when nothing comes or goes."""

import asyncio
import json

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 10.0  # seconds for the head of a request, however slowly it comes
STALLED = 30.0  # seconds without a client's reading anything of its answer


class Connection(H11Protocol):
    """Uvicorn's connection with limits of time, which uvicorn has between two requests only.

    The time of a body is the application's to limit; see `upload`.
    """

    _head: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._head = self.loop.call_later(HEAD, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop("_head")
        elif self._head is None:  # bytes of the next request, or of a body that nobody wants
            self._head = self.loop.call_later(HEAD, self.transport.abort)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._stop("_stalled")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._stalled or self.loop.call_later(STALLED, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop("_stalled")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop("_head")
        self._stop("_stalled")

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP with JSON, as all refusals; uvicorn's text would be no line."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application has begun to answer, in vain
            if self.cycle.response_started:
                self.transport.abort()
                return
        body = json.dumps({"error": "this is no valid HTTP request"}).encode()
        head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
        head += f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()

    def abort_in(self, seconds: float) -> None:
        """Ends the connection then, whatever it has still to send."""
        self.loop.call_later(seconds, self.transport.abort)

    def _stop(self, timer: str) -> None:
        if handle := getattr(self, timer):
            handle.cancel()
            setattr(self, timer, None)
