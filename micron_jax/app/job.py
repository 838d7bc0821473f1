"""The work of one request, in a thread of its own, in a folder that goes with it."""

import re
import shutil
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import UploadFile

from micron_jax.app.results import visualize_files
from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert


class Gone(Exception):
    """Nobody waits for the result any more."""


class Job:
    """The files of a request and the settings of their visualization.

    Set `gone` when nobody waits for the result: the work then ends at its next step.
    """

    def __init__(
        self, model: MicronBert, files: list[UploadFile], settings: dict, stopping: threading.Event
    ):
        """`settings` are keywords of `visualize_files`; `stopping` ends all jobs of a server."""
        self._model, self._files, self._settings = model, files, settings
        self._stopping, self.gone = stopping, threading.Event()

    def run(self, send: Callable[[dict], None]) -> None:
        """Sends {"doing", "done", "total"} now and then, last {"result"} or {"error"}: one line."""

        def report(work: str, done: int, total: int) -> None:
            if self.gone.is_set() or self._stopping.is_set():
                raise Gone
            send({"doing": work, "done": done, "total": total})

        try:
            with tempfile.TemporaryDirectory(prefix="micron-app-") as folder:
                paths, output = self._store(Path(folder)), Path(folder, "output")
                settings = {"report": report, **self._settings}
                result = visualize_files(self._model, paths, output, **settings)
            send({"result": result})
        except UserError as error:
            send({"error": str(error)})
        except Gone:
            send({"error": "the server was stopped"})
        except Exception as error:
            traceback.print_exc()
            send({"error": f"our fault ({type(error).__name__}): the terminal tells more"})
        finally:
            self.close()

    def close(self) -> None:
        """Forgets the upload."""
        for file in self._files:
            file.file.close()

    def _store(self, folder: Path) -> list[Path]:
        paths = []
        for number, file in enumerate(self._files, 1):
            # In a folder each: two pictures may have one name. It is printed on figures, too.
            name = re.sub(r"[^\w .()+-]", "_", file.filename.rpartition("/")[2])[-100:]
            paths.append(folder / str(number) / name)
            paths[-1].parent.mkdir()
            with open(paths[-1], "wb") as copy:
                shutil.copyfileobj(file.file, copy)
        return paths
