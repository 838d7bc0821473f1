"""The process of `micron-jax`, and of `python -m micron_jax`: its command, its signals, its end."""

import contextlib
import os
import signal
import sys
import threading


class Stopped(KeyboardInterrupt):
    """A signal, raised in the main thread, so that everything unfinished is removed."""

    def __init__(self, number: int):
        self.number = number


def run() -> None:
    """Runs the command of the command line; ends with 128 + the number of a signal that came."""
    received = []

    def stop(number: int, _) -> None:
        received.append(number)
        raise Stopped(number)

    def again(unraisable) -> None:
        # Raised within a callback or a finalizer, where Python drops it.
        if isinstance(unraisable.exc_value, Stopped):
            arguments = (os.getpid(), unraisable.exc_value.number)
            threading.Timer(0.01, os.kill, arguments).start()  # here it would be dropped again
        else:
            sys.__unraisablehook__(unraisable)

    sys.unraisablehook = again
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
