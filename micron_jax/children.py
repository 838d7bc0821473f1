"""Child processes that leave signals to their parent."""

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_left_to_parent() -> Iterator[None]:
    """Processes that start within get no SIGINT, SIGTERM and SIGHUP: they end with their parent.

    A terminal sends Ctrl-C to all of them, and a scheduler SIGTERM. A child that imports its
    modules would show a traceback, and its parent could not finish its step. Children inherit the
    mask of the thread that starts them; the parent gets its signals in another thread, or later.
    """
    # Started later, it would unblock SIGINT and SIGTERM in this thread.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
