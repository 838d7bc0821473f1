"""The page's server: requests stand in a line, one computes at a time, and no upload stays.

Starlette and uvicorn are eight small packages; Gradio 6 adds two dozen (56 MB of wheels), asks for
fonts and statistics from outside and caches uploads. A strict Content-Security-Policy keeps the
files of the page from loading anything from elsewhere.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from micron_jax.app.answers import HEADERS, Lines, refuse
from micron_jax.app.connection import Connection
from micron_jax.app.guard import Guard
from micron_jax.app.job import Failed, Job
from micron_jax.app.limits import Limits
from micron_jax.app.line import Full, Line, Ticket
from micron_jax.app.scratch import cannot_be_written
from micron_jax.app.upload import Steady, Unusable, forget_body, receive_form
from micron_jax.pretrained import MicronBert

PAGE = Path(__file__).parent / "page"
KINDS = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".mp4": "video/mp4"}
MOST_REQUESTS = 100  # in the line
REQUESTS_AT_ONCE = 2  # of the largest size, whose bodies lie in the temporary folder together
CONNECTIONS = 300
FORM = 10_000  # bytes, at most, of a request beside its files
PATIENCE = 2.0  # seconds for the step that is under way at the end
GRACEFUL = 1  # seconds for the connections after that


class Service:
    """The answers of the server, and the thread that computes them."""

    def __init__(self, model: MicronBert, name: str, limits: Limits, folder: Path):
        """`name` of the checkpoint, for the page; `folder` takes the uploads."""
        self._model, self._name, self._limits, self._folder = model, name, limits, folder
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="visualize")
        most_bytes = REQUESTS_AT_ONCE * (limits.megabytes * 1e6 + FORM)
        self._line = Line(most=MOST_REQUESTS, most_bytes=most_bytes)
        self._answers: set[asyncio.Task] = set()
        self._stopped = False

    def app(self, *, loopback: bool) -> Starlette:
        """Makes the ASGI application; `loopback`: other names of this machine are refused."""
        return Starlette(
            routes=[
                *_file_routes(),
                Route("/facts", self.facts),
                Route("/visualize", _Endpoint(self._visualize), methods=["POST"]),
            ],
            middleware=[Middleware(Guard, loopback=loopback)],
            exception_handlers={
                ClientDisconnect: lambda *_: Response(),  # nobody reads it
                HTTPException: lambda _, error: refuse(error.detail, error.status_code),
            },
        )

    async def stop(self) -> None:
        """Ends all answers with a line, and the work at its next step."""
        self._stopped = True
        for answer in self._answers:
            answer.cancel()
        if self._answers:
            await asyncio.wait(self._answers, timeout=PATIENCE)
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def facts(self, _) -> Response:
        """Answers with name, maps and evidence of the checkpoint, limits and the line's length."""
        limits, classifier = self._limits, self._model.classifier
        facts = {"name": self._name, "megabytes": limits.megabytes, "seconds": limits.seconds}
        facts |= {"requests": len(self._line), "maps": [*self._model.map_kinds]}
        if classifier:
            about = {"classes": classifier.classes, "crop": classifier.pairs.crop}
            facts["classifier"] = about | classifier.evidence
        return JSONResponse(facts, headers=HEADERS)

    async def _visualize(self, scope, receive, send) -> None:
        """Answers an upload by lines of JSON: its place, progress, then the result or an error."""
        lines, task = Lines(scope, receive, send), asyncio.current_task()
        self._answers.add(task)
        try:
            ticket = await self._join(Request(scope, receive))
            try:
                await self._answer(ticket, scope, receive, lines)
            finally:
                self._line.leave(ticket)
        except Unusable as error:
            await lines.fail(str(error), error.status)
        except Failed as error:
            await lines.fail(str(error), 200)
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            await lines.fail("the server was stopped", 503)
        finally:
            self._answers.discard(task)

    async def _join(self, request: Request) -> Ticket:
        """Gives an upload its place by its head alone, or raises `Unusable`."""
        length, most = request.headers.get("content-length", ""), self._limits.megabytes
        if not (length.isascii() and length.isdigit()):
            error = Unusable("the request does not say how long it is", 411)
        elif int(length) > most * 1e6 + FORM:
            size = f"files of {int(length) / 1e6:,.1f} MB"
            error = Unusable(f"{size}; at most {most:g} MB, the app's max-mb", 413)
        else:
            try:
                return self._line.join(int(length))
            except Full:
                error = Unusable("busy with other files; try again in a minute", 503)
        await forget_body(request)
        raise error

    async def _answer(self, ticket: Ticket, scope, receive, lines: Lines) -> None:
        async for place in self._line.admission(ticket):
            await lines.add(_waiting(place))
        steady = Steady(receive, self._line.crowded)
        files, settings = await receive_form(
            Request(scope, steady), self._folder, self._limits.seconds
        )
        with _own_folder(self._folder) as folder:
            settings |= {"limits": self._limits}
            job = Job(self._model, files, settings, folder)
            leaving = asyncio.create_task(_until_gone(receive))
            work = asyncio.create_task(self._work(job, ticket, lines))
            try:
                await asyncio.wait([leaving, work], return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                work.cancel()
                await asyncio.wait([work])
                job.close()
            if work.cancelled():
                return
            result = work.result()
        with result:  # its folder is gone
            await lines.end(result)

    async def _work(self, job: Job, ticket: Ticket, lines: Lines) -> BinaryIO:
        """Waits for the turn and returns the result's file; cancelled, it ends after a step."""
        async for place in self._line.turn(ticket):
            await lines.add(_waiting(place))
        messages, loop = asyncio.Queue(), asyncio.get_running_loop()

        def send(message: dict | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(messages.put_nowait, message)

        future = self._worker.submit(job.run, send)
        future.add_done_callback(lambda _: send(None))
        size = 0
        try:
            while message := await messages.get():
                await lines.add(message)
            path = future.result()
            size = path.stat().st_size
            return open(path, "rb")
        finally:
            job.gone.set()
            await asyncio.gather(asyncio.wrap_future(future), return_exceptions=True)
            self._line.computed(ticket, size)


class Server(uvicorn.Server):
    """Uvicorn, which ends within seconds."""

    def __init__(self, service: Service, *, loopback: bool):
        """`loopback`: it is reached from this machine alone."""
        super().__init__(
            uvicorn.Config(
                service.app(loopback=loopback),
                http=Connection,
                ws="none",
                lifespan="off",
                proxy_headers=False,
                log_level="warning",
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=GRACEFUL,
            )
        )
        self._service = service

    async def shutdown(self, sockets=None) -> None:
        """Ends the answers, then the connections, whether their clients read or not."""
        await self._service.stop()
        for connection in list(self.server_state.connections):
            connection.abort_in(GRACEFUL / 2)
        await super().shutdown(sockets)


class _Endpoint:
    """A function as an ASGI application: Starlette would make an answer of what it returns."""

    def __init__(self, function):
        self._function = function

    async def __call__(self, scope, receive, send) -> None:
        await self._function(scope, receive, send)


@contextlib.contextmanager
def _own_folder(parent: Path) -> Iterator[Path]:
    """A folder of one request; `Unusable` if it cannot be made."""
    try:
        folder = tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise Unusable(f"the server's temporary folder {cannot_be_written(error)}", 507) from None
    with folder as path:
        yield Path(path)


async def _until_gone(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _waiting(place: int) -> dict:
    others = "another request" if place == 1 else f"{place} other requests"
    return {"doing": f"waiting for {others}", "place": place}


def _file_routes() -> list[Route]:
    """Routes of the page's files: what lies in its folder, and nothing else."""
    return [
        Route("/" if path.name == "page.html" else f"/{path.name}", _serving(path))
        for path in sorted(PAGE.iterdir())
        if path.suffix in KINDS
    ]


def _serving(path: Path) -> Callable:
    async def serve(_):
        return FileResponse(path, headers=HEADERS, media_type=KINDS[path.suffix])

    return serve
