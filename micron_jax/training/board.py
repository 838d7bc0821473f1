"""Scalars in TensorBoard's format, on a disk that may be full for a while."""

import contextlib
import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

_SECONDS = 60  # from flush to flush, and from an error to the next try


class Board:
    """A folder of events.

    tensorboardX's own `SummaryWriter` hands them to a thread that ends at its first error, after
    which the run would wait for ever at a queue that nobody empties.
    """

    def __init__(self, folder: Path, *, begin: int):
        """What the folder shows from step `begin` on, of a lost run, is hidden."""
        self._folder, self._begin = folder, begin
        self._files, self._writer = 0, None
        self._flush_at, self._try_at = 0.0, 0.0

    def add(self, step: int, values: dict[str, float]) -> None:
        """Records scalars by name.

        Raises:
          OSError: they cannot be written. What comes within a minute is left out, too; what comes
            then goes to a new file.
        """
        if time.monotonic() < self._try_at:
            return
        event = Event(wall_time=time.time(), step=step)
        for name, value in values.items():
            event.summary.MergeFrom(scalar(name, value))
        try:
            if self._writer is None:
                self._open()
            self._writer.write_event(event)
            if time.monotonic() >= self._flush_at:
                self._writer.flush()
                self._flush_at = time.monotonic() + _SECONDS
        except OSError:
            # It may hold half an event, behind which nothing is read.
            with contextlib.suppress(OSError):
                self._writer and self._writer.close()
            self._writer, self._begin = None, step + 1
            self._try_at = time.monotonic() + _SECONDS
            raise

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files += 1  # names tell seconds apart, no less
        self._writer = EventsWriter(str(self._folder / "events"), f".{self._files}")
        start = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(step=self._begin, session_log=start))
        self._flush_at = 0.0

    def close(self) -> None:
        """Raises `OSError` if the last of it cannot be written."""
        if self._writer:
            self._writer.close()
