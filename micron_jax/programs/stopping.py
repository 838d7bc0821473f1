"""What commands keep when a signal stops them; the process shows it as their last line."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def noting(note: str | Callable[[], str]) -> Iterator[None]:
    """Adds the last line, or the function that makes it, to a `KeyboardInterrupt` that passes."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(note if isinstance(note, str) else note())
        raise


@contextlib.contextmanager
def keeping(what: str) -> Iterator[None]:
    """Of a command that goes on when it is started again; `what` it keeps, in the plural."""
    with noting(f"{what} are kept, and the same command goes on"):
        yield


@contextlib.contextmanager
def writing_whole(output: Path) -> Iterator[None]:
    """Of a command that writes its output whole or not at all."""
    before = os.path.lexists(output)

    def note() -> str:
        if os.path.lexists(output) and not before:
            return f"{output} is whole"
        return f"{output} is not written; the same command begins again"

    with noting(note):
        yield
