"""Checks of settings, each with the one line that its message is."""

import difflib
from collections.abc import Collection, Iterable
from typing import Any

from micron_jax.errors import UserError


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`did you mean NAME?` for the name nearest to `word`; if none is near, all names."""
    names = list(names)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]}?" if near else f"choose one of {', '.join(names)}"


def choose(section: str, config: Any, **choices: Collection[str]) -> None:
    """Checks that fields hold one of their choices: `choose("config.views", self, swap=SWAPS)`.

    Of the arguments of a function, here and below: `choose("", {"crop": crop}, crop=KINDS)`.

    Raises:
      UserError: the value of a field is none of its choices.
    """
    for field, values in choices.items():
        names = ", ".join(name or "''" for name in values)
        require(_value(config, field) in values, section, config, field, f"choose one of {names}")


def at_least(section: str, config: Any, **bounds: float) -> None:
    """Checks that fields are not below their bounds: `at_least("config", self, seeds=1)`.

    Raises:
      UserError: the value of a field is too small.
    """
    for field, bound in bounds.items():
        valid = _value(config, field) >= bound
        require(valid, section, config, field, f"must be at least {bound}")


def within(section: str, config: Any, **bounds: tuple[float, float]) -> None:
    """Checks that fields lie between two bounds, both allowed: `within("config", self, p=(0, 1))`.

    Raises:
      UserError: the value of a field lies outside.
    """
    for field, (low, high) in bounds.items():
        valid = low <= _value(config, field) <= high
        require(valid, section, config, field, f"must lie in {low}..{high}")


def require(valid: bool, section: str, config: Any, field: str, mend: str) -> None:
    """Raises a `UserError` that names a field, its value and the mend, unless it is `valid`."""
    if not valid:
        name = f"{section}.{field}" if section else field
        raise UserError(f"{name}={_value(config, field)!r}: {mend}")


def _value(config: Any, field: str) -> Any:
    return config[field] if isinstance(config, dict) else getattr(config, field)
