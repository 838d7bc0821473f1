"""The one exception a user is meant to see."""

import contextlib
from collections.abc import Iterator


class UserError(Exception):
    """Something the user gave cannot be used; the message is one line and says how to mend it.

    The command line prints it without a traceback and ends with status 2.
    """


@contextlib.contextmanager
def naming(where: object) -> Iterator[None]:
    """Puts a file or a field before the message of a `UserError`."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
