"""Requests that are refused by their head: of other web pages, and of a doubtful length.

A web page of someone else in the user's browser can reach loopback, too: by a form (CSRF), which
the Origin shows, or by a name that points to 127.0.0.1 (DNS rebinding), which the Host shows.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from micron_jax.app.answers import refuse

# A name or an address with or without a port, and nothing else: no user, no path (RFC 9110, 7.2).
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


def is_loopback(host: str) -> bool:
    """True if an address, or `localhost`, is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Middleware that refuses requests of other pages and of a doubtful length."""

    def __init__(self, app, loopback: bool):
        self._app, self._loopback = app, loopback

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(Headers(scope=scope))):
            return await refuse(*refusal)(scope, receive, send)
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> tuple[str, int] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        name = _HOST.fullmatch(host)
        if not name:
            return f"{host!r} is no name of a host", 400
        if self._loopback and not is_loopback(name[1].lower()):
            return f"this page is reached as localhost, not as {host!r}", 421
        if origin is not None and urlsplit(origin).netloc != host:
            return "another page may not use this one", 403
        if "transfer-encoding" in headers and "content-length" in headers:
            return "the request says its length in two ways", 400
        return None
