"""The process of `micron-jax`, and of `python -m micron_jax`: its command, its signals, its end."""

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RETRY = 0.05  # seconds until a signal is raised again that nobody has handled
SECOND = 0.5  # seconds: a signal that comes sooner is no second one; `timeout` sends each twice
LOGGED = "10"  # seconds between two lines of a bar of progress in a file
BEGINS_AGAIN = "the same command begins again"


class Stopped(KeyboardInterrupt):
    """A signal raises it in the main thread; handlers on its way remove unfinished files.

    A note (`add_note`) tells what is kept; the last line of the command shows it.
    """

    def __init__(self, number: int):
        self.number = number


def run() -> None:
    """Runs the command of the command line; ends with 128 + the number of a signal that came.

    The first signal raises `Stopped`, and again while nothing handles it: Python drops exceptions
    of callbacks and finalizers. The second ends the process at once, whatever it computes.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        insist(number, frame)

    def insist(_: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, RETRY)
        if not _is_handled() and not is_importing(frame):
            raise Stopped(received[0])

    atexit.register(_handle_signals, signal.SIG_IGN)  # runs last: a command that is done stays so
    _end_at_second_signal()
    sys.unraisablehook = _quiet_about_signals
    signal.signal(signal.SIGALRM, insist)
    _handle_signals(stop)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # of a terminal that knows few characters
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", LOGGED)  # which tqdm reads when it is imported
    try:
        from micron_jax.cli import main

        status = main(sys.argv[1:])
        note = BEGINS_AGAIN if status else "the command was done"
    except BaseException as error:
        if not received:
            raise
        _handle_signals(_ignore)
        signal.setitimer(signal.ITIMER_REAL, 0)
        note = _note_of(error)
    _handle_signals(_ignore)
    signal.setitimer(signal.ITIMER_REAL, 0)
    if received:  # here, where the frames are gone, and with them the bars of progress
        status = 128 + received[0]
        with contextlib.suppress(OSError, ValueError):
            print(f"stopped: {note}", file=sys.stderr)
    if status >= 128:
        _end(status)
    sys.exit(status)


def is_importing(frame: FrameType | None) -> bool:
    """Tells if a frame lies within an import.

    Interrupted, a module in C may crash, and libraries take any exception for a module that is
    missing: the command would go on without it.
    """
    while frame:
        code = frame.f_code
        if code.co_name == "_find_and_load" and code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _handle_signals(handler) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Does nothing; unlike SIG_IGN it leaves the second signal its effect."""


def _end_at_second_signal() -> None:
    """Starts a thread that sees each signal, even while the main thread is within a long call."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        first = None
        while True:
            for number in os.read(reader, 16):
                if number not in SIGNALS:
                    continue
                first = first or time.monotonic()
                if time.monotonic() - first > SECOND:
                    os._exit(128 + number)

    threading.Thread(target=watch, daemon=True).start()


def _quiet_about_signals(hook) -> None:
    if not isinstance(hook.exc_value, Stopped):
        sys.__unraisablehook__(hook)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__context__


def _is_handled() -> bool:
    """Tells if an `except` or `finally` of the main thread handles a `Stopped` now."""
    return any(isinstance(error, Stopped) for error in _chain(sys.exception()))


def _note_of(error: BaseException) -> str:
    notes = [note for each in _chain(error) for note in getattr(each, "__notes__", ())]
    return notes[0] if notes else BEGINS_AGAIN


def _end(status: int) -> None:
    """Ends at once: the interpreter's own end crashes while XLA computes or compiles."""
    if "multiprocessing.util" in sys.modules:  # or its tracker warns of what was left
        sys.modules["multiprocessing.util"]._exit_function()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
