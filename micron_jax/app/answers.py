"""Answers of the server: JSON, at once or line by line."""

import json
from typing import Any, BinaryIO

from starlette.responses import JSONResponse

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
CHUNK = 1 << 16  # bytes of a result that are sent at a time


def refuse(error: str, status: int) -> JSONResponse:
    """Makes an answer {"error": one line}; it closes the connection, of which a body is unread."""
    headers = HEADERS | {"Connection": "close"}
    if status == 503:
        headers["Retry-After"] = "60"  # seconds
    return JSONResponse({"error": error}, status, headers)


class Lines:
    """An answer of a JSON object a line; a status tells an error that comes before all lines."""

    def __init__(self, scope, receive, send):
        self._connection = scope, receive, send
        self._send, self._begun = send, False

    async def add(self, message: dict[str, Any]) -> None:
        """Sends a line; more will come."""
        await self._write(json.dumps(message).encode() + b"\n")

    async def fail(self, error: str, status: int) -> None:
        """Ends the answer with {"error": one line}."""
        if not self._begun:
            return await refuse(error, status)(*self._connection)
        await self.add({"error": error})
        await self._write(b"", more=False)

    async def end(self, line: BinaryIO) -> None:
        """Ends the answer with the line in a file, of which little is in memory."""
        while chunk := line.read(CHUNK):
            await self._write(chunk)
        await self._write(b"", more=False)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        if not self._begun:
            headers = HEADERS | {"Content-Type": "application/x-ndjson"}
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            self._begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
