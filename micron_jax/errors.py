"""The one exception a user is meant to see."""


class UserError(Exception):
    """Something the user gave cannot be used; the message is one line and says how to mend it.

    The command line prints it without a traceback and ends with status 2.
    """
