"""Old names that stay for one version, with a warning."""

import warnings


def warn_renamed(old: str, new: str) -> None:
    """Warns whoever called the caller of this that a name changed."""
    warnings.warn(f"{old} is now {new}; the old name goes away", FutureWarning, stacklevel=3)
