"""The work of one request, in a thread of its own, in a folder that goes with it."""

import errno
import json
import shutil
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import UploadFile

from micron_jax.app.progress import share_of
from micron_jax.app.results import visualize_files
from micron_jax.app.scratch import cannot_be_written
from micron_jax.app.upload import safe_name
from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Gone(Exception):
    """Nobody waits for the result any more."""


class Failed(Exception):
    """The work came to no result, for a reason of one line."""


class Job:
    """The files of a request and the settings of their visualization.

    Set `gone` when nobody waits for the result: the work then ends at its next step.
    """

    def __init__(self, model: MicronBert, files: list[UploadFile], settings: dict, folder: Path):
        """`settings` are keywords of `visualize_files`; `folder` is made, and kept at the end."""
        self._model, self._files, self._settings = model, files, settings
        self._folder, self.gone = folder, threading.Event()

    def run(self, send: Callable[[dict], None]) -> Path:
        """Sends {"doing", "done", "total", "share"} now and then; see `progress.share_of`.

        Returns:
          The file with {"result"}, a line of JSON; nothing else is left in the folder.

        Raises:
          Failed: there is no result.
          Gone: nobody waits for it.
        """

        def report(work: str, done: int, total: int) -> None:
            if self.gone.is_set():
                raise Gone
            share = round(share_of(work, done, total), 4)
            send({"doing": work, "done": done, "total": total, "share": share})

        try:
            paths, output = self._store(), self._folder / "output"
            settings = {"report": report, **self._settings}
            result = visualize_files(self._model, paths, output, **settings)
            file = self._folder / "result.json"
            with open(file, "w", encoding="utf-8") as writer:
                json.dump({"result": result}, writer)
                writer.write("\n")
            return file
        except Gone:
            raise
        except Exception as error:
            if self.gone.is_set():  # its folder may be gone, too
                raise Gone from None
            raise Failed(self._line(error)) from None
        finally:
            self.close()
            for part in ("input", "output"):
                shutil.rmtree(self._folder / part, ignore_errors=True)

    def close(self) -> None:
        """Forgets the upload."""
        for file in self._files:
            file.file.close()

    def _line(self, error: Exception) -> str:
        cause = error.__cause__ if isinstance(error, UserError) else error
        if isinstance(cause, OSError) and cause.errno in UNWRITABLE:
            return f"the server's temporary folder {cannot_be_written(cause)}"
        if isinstance(error, UserError):
            return str(error)
        traceback.print_exc()
        return f"our fault ({type(error).__name__}): the terminal tells more"

    def _store(self) -> list[Path]:
        paths = []
        for number, file in enumerate(self._files, 1):
            # In a folder each: two pictures may have one name. It is printed on figures, too.
            paths.append(self._folder / "input" / str(number) / safe_name(file.filename))
            paths[-1].parent.mkdir(parents=True)
            with open(paths[-1], "wb") as copy:
                shutil.copyfileobj(file.file, copy)
            file.file.close()  # two copies of one file at a time
        return paths
