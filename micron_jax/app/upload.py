"""The body of an upload, received in a bounded time."""

import asyncio
import contextlib
import errno
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from micron_jax.app.limits import check_names
from micron_jax.app.scratch import cannot_be_written
from micron_jax.errors import UserError
from micron_jax.faces.crop import KINDS
from micron_jax.visualization.overlay import LABELS

# Of a sender: seconds before its speed counts, and bytes a second on average; then the same while
# others wait for its space in the temporary folder.
ALONE, CROWDED = (15.0, 1e4), (3.0, 2e5)
SPARE = 20e6  # bytes of a temporary folder, for figures and results
NAME = 120  # bytes, at most, of a file's name: some file systems take 143
FORGOTTEN = 30.0  # seconds in which a body is read that is not wanted


class Unusable(Exception):
    """An upload cannot be used; of one line, and the HTTP status."""

    def __init__(self, line: str, status: int):
        super().__init__(line)
        self.status = status


class Steady:
    """`receive` of an ASGI application that gives up a sender which is too slow."""

    def __init__(self, receive, crowded: Callable[[], bool]):
        self._receive, self._crowded = receive, crowded
        self._began, self._bytes = time.monotonic(), 0

    async def __call__(self) -> dict:
        """Returns the next message.

        Raises:
          Unusable: the sender is too slow.
        """
        receiving = asyncio.ensure_future(self._receive())
        try:
            while not (await asyncio.wait([receiving], timeout=1.0))[0]:
                self._check()
        finally:
            receiving.cancel()
        message = receiving.result()
        self._bytes += len(message.get("body", b""))
        if message.get("more_body"):
            self._check()
        return message

    def _check(self) -> None:
        grace, slowest = CROWDED if self._crowded() else ALONE
        if time.monotonic() - self._began > grace + self._bytes / slowest:
            raise Unusable("the upload comes too slowly", 408)


async def receive_form(
    request: Request, folder: Path, most_seconds: float
) -> tuple[list[UploadFile], dict]:
    """Receives the files, and the settings of `visualize_files`.

    Args:
      request: whose body is unread.
      folder: that takes the files.
      most_seconds: that may be asked for.

    Raises:
      Unusable: they cannot be used, or they do not fit into the temporary folder.
      starlette.requests.ClientDisconnect: the client has left.
    """
    length, refusal = int(request.headers["content-length"]), None
    try:
        if shutil.disk_usage(folder).free < 2 * length + SPARE:  # the parts, and their copies
            raise OSError(errno.ENOSPC, "No space left on device")
        form = await request.form(max_files=2, max_fields=3)
    except HTTPException as error:
        refusal = Unusable(error.detail, 400)
    except OSError as error:
        refusal = Unusable(f"the server's temporary folder {cannot_be_written(error)}", 507)
    if refusal:
        await forget_body(request)
        raise refusal
    try:
        return _read_form(form, most_seconds)
    except UserError as error:
        await form.close()
        raise Unusable(str(error), 400) from None


async def forget_body(request: Request) -> None:
    """Reads the rest of a body, and forgets it.

    A browser reads no answer before it has sent all of its body.
    """
    if "expect" in request.headers:  # the client asks first
        return
    # Too long, too slow, or nothing is left of it (Starlette's RuntimeError).
    with contextlib.suppress(TimeoutError, Unusable, RuntimeError):
        async with asyncio.timeout(FORGOTTEN):
            async for _ in request.stream():
                pass


def safe_name(name: str) -> str:
    """Returns a name for a file, at most `NAME` bytes of UTF-8; its end, with the suffix, stays."""
    kept = re.sub(r"[^\w .()+-]", "_", name.rpartition("/")[2])
    return kept.encode()[-NAME:].decode(errors="ignore")


def _read_form(form: FormData, most_seconds: float) -> tuple[list[UploadFile], dict]:
    files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
    check_names([file.filename or "" for file in files])
    crop, kind = form.get("crop", "face"), form.get("map") or None
    if crop not in KINDS or kind not in (None, *LABELS):
        raise UserError(f"crop {crop!r}, map {kind!r}: there is no such choice")
    text = form.get("seconds") or ""
    try:
        seconds = float(text) if text else None
    except (TypeError, ValueError):
        seconds = 0.0
    if seconds is not None and not 0 < seconds <= most_seconds:
        raise UserError(f"seconds {text!r}: must be more than 0, and at most {most_seconds:g}")
    return files, {"crop": crop, "kind": kind, "seconds": seconds}
