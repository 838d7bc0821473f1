"""Weights that come with the package, and are loaded by their name."""

from pathlib import Path

_WEIGHTS = Path(__file__).parents[1] / "weights"


def names() -> tuple[str, ...]:
    """Of all that are there; each is a folder as `micron-jax convert` writes it."""
    return tuple(sorted(path.parent.name for path in _WEIGHTS.glob("*/config.json")))


def find(name: str) -> Path | None:
    """The folder of the weights called so, if there are any."""
    return _WEIGHTS / name if name in names() else None
