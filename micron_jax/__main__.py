"""The process of `micron-jax`, and of `python -m micron_jax`: its command, its signals, its end."""

import contextlib
import os
import signal
import sys
import threading
from importlib.machinery import ExtensionFileLoader
from types import FrameType


class Stopped(KeyboardInterrupt):
    """A signal raises it in the main thread; handlers on its way remove unfinished files."""

    def __init__(self, number: int):
        self.number = number


def run() -> None:
    """Runs the command of the command line; ends with 128 + the number of a signal that came."""
    received = []

    def stop(number: int, frame: FrameType | None) -> None:
        if imports_extension(frame):
            _send_again(number)
            return
        received.append(number)
        raise Stopped(number)

    def unraisable(hook) -> None:
        # Python drops exceptions of callbacks and finalizers: the signal is sent again.
        if isinstance(hook.exc_value, Stopped):
            _send_again(hook.exc_value.number)
        else:
            sys.__unraisablehook__(hook)

    sys.unraisablehook = unraisable
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, stop)
    try:
        from micron_jax.cli import main

        status = main(sys.argv[1:])
    except BaseException:
        if not received:
            raise
        _end(128 + received[-1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command is done
    sys.exit(status)


def imports_extension(frame: FrameType | None) -> bool:
    """Tells if a frame lies within the import of a module in C, which may crash if interrupted."""
    while frame:
        if frame.f_code.co_name in ("create_module", "exec_module") and isinstance(
            frame.f_locals.get("self"), ExtensionFileLoader
        ):
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    threading.Timer(0.02, os.kill, (os.getpid(), number)).start()


def _end(status: int) -> None:
    """Ends at once: the interpreter's own end crashes while another thread compiles for XLA."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
