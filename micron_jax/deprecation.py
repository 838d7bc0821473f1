"""Old names that stay for one version, with a warning."""

import functools
import warnings
from collections.abc import Callable


def warn_renamed(old: str, new: str) -> None:
    """Warns whoever called the caller of this that a name changed."""
    warnings.warn(f"{old} is now {new}; the old name goes away", FutureWarning, stacklevel=3)


def renamed_arguments(**names: str) -> Callable[[Callable], Callable]:
    """Lets a function take arguments by their old names: `@renamed_arguments(heat="kind")`."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def renamed(*args, **arguments):
            for old, new in names.items():
                if old in arguments:
                    warn_renamed(f"{function.__name__}({old}=…)", f"{new}=…")
                    arguments[new] = arguments.pop(old)
            return function(*args, **arguments)

        return renamed

    return decorate
