"""The page's server: one request computes at a time, and no upload stays.

Starlette and uvicorn are eight small packages; Gradio 6 adds two dozen (56 MB of wheels), asks for
fonts and statistics from outside and caches uploads. A strict Content-Security-Policy keeps the
three files of the page from loading anything from elsewhere.

A web page of someone else in the user's browser can reach loopback, too: by a form (CSRF), which
the Origin shows, or by a name that points to 127.0.0.1 (DNS rebinding), which the Host shows.
"""

import asyncio
import contextlib
import ipaddress
import json
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from micron_jax.app.job import Job
from micron_jax.app.limits import Limits, check_names
from micron_jax.errors import UserError
from micron_jax.faces.crop import KINDS
from micron_jax.pretrained import MicronBert
from micron_jax.visualization.overlay import LABELS

PAGE = Path(__file__).parent / "page"
FILES = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MOST_UNFINISHED = 4  # requests, each with its files in the temporary folder
FORM = 10_000  # bytes, at most, of a request beside its files


def is_loopback(host: str) -> bool:
    """True if an address, or `localhost`, is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def make_app(
    model: MicronBert,
    *,
    name: str,
    limits: Limits,
    stopping: threading.Event,
    loopback: bool = True,
) -> Starlette:
    """Makes the page as an ASGI application.

    Args:
      model: from `micron_jax.load`.
      name: of the checkpoint, for the page.
      stopping: once it is set, all work ends at its next step.
      loopback: it is reached from this machine alone: a Host that is no loopback is refused.
    """
    service = _Service(model, name, limits, stopping)
    return Starlette(
        routes=[
            *(_file_route(path, file) for path, file in FILES.items()),
            Route("/facts", service.facts),
            Route("/visualize", service.visualize, methods=["POST"]),
        ],
        middleware=[Middleware(_OwnPageOnly, loopback=loopback)],
        exception_handlers={ClientDisconnect: lambda *_: Response()},  # nobody reads it
        lifespan=service.lifespan,
    )


class _Service:
    """The answers of the server, and the thread that computes them."""

    def __init__(self, model: MicronBert, name: str, limits: Limits, stopping: threading.Event):
        self._model, self._name, self._limits, self._stopping = model, name, limits, stopping
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="visualize")
        self._unfinished: set[Job] = set()

    @contextlib.asynccontextmanager
    async def lifespan(self, _):
        yield
        self._stopping.set()
        self._worker.shutdown(cancel_futures=True)  # waits for a step of the work

    async def facts(self, _) -> Response:
        """Answers with the checkpoint's name and evidence and with the limits."""
        limits, classifier = self._limits, self._model.classifier
        facts = {"name": self._name, "megabytes": limits.megabytes, "seconds": limits.seconds}
        if classifier:
            about = {"classes": classifier.classes, "crop": classifier.pairs.crop}
            facts["classifier"] = about | classifier.evidence
        return _answer(facts)

    async def visualize(self, request: Request) -> Response:
        """Answers an upload with lines of JSON: progress, then the result or an error."""
        length, most = request.headers.get("content-length", ""), self._limits.megabytes
        if not length.isdigit():
            return _answer({"error": "the request does not say how long it is"}, 411)
        if int(length) > most * 1e6 + FORM:
            async for _ in request.stream():  # read and forgotten: a browser answers no sooner
                pass
            line = f"files of {int(length) / 1e6:,.1f} MB; at most {most:g} MB, the app's max-mb"
            return _answer({"error": line}, 413)
        try:
            form = await request.form(max_files=2, max_fields=2)
        except HTTPException as error:
            return _answer({"error": error.detail}, 400)
        try:
            files, settings = _read_form(form)
        except UserError as error:
            await form.close()
            return _answer({"error": str(error)}, 400)
        if len(self._unfinished) >= MOST_UNFINISHED:
            await form.close()
            return _answer({"error": "busy with other files; try again in a minute"}, 503)
        job = Job(self._model, files, settings | {"limits": self._limits}, self._stopping)
        lines = _lines(job, *self._start(job))
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=HEADERS)

    def _start(self, job: Job) -> tuple[asyncio.Queue, Future]:
        loop, messages = asyncio.get_running_loop(), asyncio.Queue()

        def send(message: dict) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(messages.put_nowait, message)

        if self._unfinished:
            messages.put_nowait({"doing": "waiting for other files"})
        self._unfinished.add(job)
        future = self._worker.submit(job.run, send)
        future.add_done_callback(lambda _: self._unfinished.discard(job))
        return messages, future


def _read_form(form: FormData) -> tuple[list[UploadFile], dict]:
    """The files, and the settings of `visualize_files`; UserError if they cannot be used."""
    files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
    check_names([file.filename or "" for file in files])
    crop, kind = form.get("crop", "face"), form.get("map") or None
    if crop not in KINDS or kind not in (None, *LABELS):
        raise UserError(f"crop {crop!r}, map {kind!r}: there is no such choice")
    return files, {"crop": crop, "kind": kind}


async def _lines(job: Job, messages: asyncio.Queue, future: Future) -> AsyncIterator[str]:
    """The messages of a job, a JSON object a line: progress, then a result or an error."""
    try:
        message = {"doing": ""}
        while "doing" in message:
            message = await messages.get()
            yield json.dumps(message) + "\n"
    finally:  # or the browser has gone
        job.gone.set()
        if future.cancel():
            job.close()


def _file_route(path: str, file: str) -> Route:
    async def serve(_):
        return FileResponse(PAGE / file, headers=HEADERS)

    return Route(path, serve)


class _OwnPageOnly:
    """Refuses what other web pages send; see the module."""

    def __init__(self, app, loopback: bool):
        self._app, self._loopback = app, loopback

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host, origin = headers.get("host", ""), headers.get("origin")
            if self._loopback and not is_loopback(_name_of(host)):
                line = f"this page is reached as localhost, not as {host!r}"
                return await _answer({"error": line}, 421)(scope, receive, send)
            if origin is not None and urlsplit(origin).netloc != host:
                line = "another page may not use this one"
                return await _answer({"error": line}, 403)(scope, receive, send)
        await self._app(scope, receive, send)


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _answer(content: dict, status: int = 200) -> JSONResponse:
    return JSONResponse(content, status, HEADERS)
