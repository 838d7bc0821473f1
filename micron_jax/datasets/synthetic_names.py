"""Names of synthetic sets: a set that `data synth` made has a mark in all tables and reports."""

MARK = " (synthetic)"


def marked(name: str) -> str:
    """Returns the name of a set as one that is synthetic."""
    return unmarked(name) + MARK


def unmarked(name: str) -> str:
    """Returns the name of a set by its layout, whether it is synthetic or not."""
    return name.removesuffix(MARK)


def is_marked(name: str) -> bool:
    """Tells whether a name is that of a synthetic set."""
    return name.endswith(MARK)
