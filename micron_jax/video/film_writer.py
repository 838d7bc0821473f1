"""Writing of films that browsers and players show: H.264 in MP4."""

import contextlib
import io
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
from av.codec.context import Flags

TICKS = 90_000  # a second
BT709, LIMITED = 1, 1  # of ITU-T H.273; players guess where a film names no colors
QUALITY = {"preset": "veryfast", "crf": "20"}


class FilmWriter(contextlib.AbstractContextManager):
    """Writes frames, each at its time, as H.264 with 4:2:0 chroma, the index in front.

    As a context, it gives the file its name at the end; after an exception there is no file, and
    what stood there before stays.
    """

    def __init__(self, path: Path, width: int, height: int):
        """Begins a film of `width` x `height` pixels, both even.

        Raises:
          OSError: the file cannot be written.
        """
        self._path, self._scratch = path, path.with_name(f".{path.name}.{os.getpid()}")
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(self._scratch, "wb", buffering=0))
            stack.callback(self._scratch.unlink, missing_ok=True)
            self._file = _File(file)
            # The index goes to the front in the end: for that, FFmpeg reads what was written.
            self._film = av.open(
                SimpleNamespace(write=self._file.write, seek=self._file.seek, tell=self._file.tell),
                "w",
                "mp4",
                options={"movflags": "faststart"},
                io_open=lambda *_: io.FileIO(self._scratch),
            )
            stack.callback(self._close)
            self._stream = self._new_stream(width, height)
            self._stack = stack.pop_all()
        self._next, self._duration = None, TICKS // 30

    def add(self, image: np.ndarray, seconds: float) -> None:
        """Appends a frame, RGB uint8 [H, W, 3], shown from `seconds` on, later than the last one.

        Raises:
          OSError: the file cannot be written.
        """
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image))
        frame = frame.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED)
        frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
        if self._next is not None:
            frame.pts = max(frame.pts, self._next.pts + 1)
            self._duration = frame.pts - self._next.pts
        self._write_next()
        self._next = frame

    def __exit__(self, kind, *_) -> None:
        """Ends the film."""
        with self._stack:
            if kind is None:
                self._write_next()
                with self._file.checked():
                    self._film.mux(self._stream.encode(None))
                    self._film.close()
                os.replace(self._scratch, self._path)

    def _close(self) -> None:
        with contextlib.suppress(av.FFmpegError):  # of a film that is not whole
            self._film.close()

    def _new_stream(self, width: int, height: int) -> av.VideoStream:
        stream = self._film.add_stream("libx264", rate=30, options=QUALITY)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.flags |= Flags.frame_duration
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        return stream

    def _write_next(self) -> None:
        if self._next is not None:
            self._next.duration = self._duration
            with self._file.checked():
                self._film.mux(self._stream.encode(self._next))


class _File:
    """A file whose first error waits: PyAV prints the traceback of one that comes while it writes.

    After an error it takes all that is written, and forgets it.
    """

    def __init__(self, file: io.FileIO):
        self._file, self._error = file, None

    @contextlib.contextmanager
    def checked(self) -> Iterator[None]:
        """Raises the error of the file, in the place of what FFmpeg makes of it."""
        try:
            yield
        except av.FFmpegError:
            if self._error:
                raise self._error from None
            raise
        if self._error:
            raise self._error

    def write(self, data) -> int:
        """Writes all of it."""
        rest = memoryview(data)
        while rest and not self._error:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Returns the place."""
        return self._file.tell()
