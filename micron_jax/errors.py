"""The exception and the warning that a user is meant to see, each one line that a terminal shows.

Names of files, of tensors and of people's cells go into messages. Some hold line breaks, or
commands for a terminal: a message shows them escaped, wherever it is printed.
"""

import contextlib
from collections.abc import Iterator

LONGEST = 4000  # characters of a message


def printable(text: object) -> str:
    r"""Returns text in one line, with what is no character to print as `\n`, `\x1b` or `\udcc4`."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _message(text: object) -> str:
    text = printable(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


class UserError(Exception):
    """Something the user gave cannot be used; the message is one line and says how to mend it.

    The command line prints it without a traceback and ends with status 2.
    """

    def __init__(self, message: object):
        """Takes the message, and escapes in it what a terminal would obey."""
        super().__init__(_message(message))


class Notice(UserWarning):
    """Something the user gave was used, but not as a whole or not as it stands: one line.

    A command prints it on stderr and goes on.
    """

    def __init__(self, message: object):
        """Takes the message, and escapes in it what a terminal would obey."""
        super().__init__(_message(message))


@contextlib.contextmanager
def naming(where: object) -> Iterator[None]:
    """Puts a file or a field before the message of a `UserError`."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
