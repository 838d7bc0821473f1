"""The origin of weights: what a checkpoint's own settings say, without what is private in them.

A checkpoint is given to others. The settings of the script that made it name folders, people and
machines, which say nothing of the network.
"""

import re
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from micron_jax.checkpoints.pickle_objects import Placeholder

LEFT_OUT = "(left out)"
_PRIVATE_NAME = re.compile(
    r"(^|_)(user|username|host|hostname|mail|email|entity|login|password|passwd|token|secret|url)"
    r"(_|$)|(api|access|private|secret|wandb)_?key",
    re.IGNORECASE,
)
_PATH = re.compile(r"^\s*(/|~|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\|\w+://)")
_ADDRESS = re.compile(r"\S+@\S+\.\S+")
_PARTS, _DEPTH, _TEXT = 2000, 6, 500  # of settings; no honest ones are more, or longer


def plain(value: Any) -> Any:
    """Returns settings as JSON knows them; what JSON does not know becomes the name of its kind."""
    return _plain(value, _DEPTH, [_PARTS])


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    """`left`: how many values may still come, of all settings together."""
    left[0] -= 1
    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, bool | type(None)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else "<int>"
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)  # NaN is not
    if isinstance(value, str):
        return str(value[:_TEXT]).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Placeholder):
        return repr(value)
    if not isinstance(value, dict | list | tuple) or depth == 0 or left[0] < len(value):
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        return {
            _plain(str(name)[:_TEXT], 0, left): _plain(entry, depth - 1, left)
            for name, entry in value.items()
            if isinstance(name, str | int | float)
        }
    return [_plain(entry, depth - 1, left) for entry in value]


def public(value: Any, name: str = "") -> Any:
    """Returns settings without paths, addresses, and names of people and machines.

    A path within a sentence becomes its last part.
    """
    if isinstance(value, Mapping):
        return {key: public(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [public(entry, name) for entry in value]
    if not isinstance(value, str):
        return value
    if _PRIVATE_NAME.search(name) or _PATH.match(value):
        return LEFT_OUT
    value = _ADDRESS.sub(lambda m: m[0] if "/" in m[0] else LEFT_OUT, value)
    return re.sub(r"[^\s()]*[/\\]([^\s()/\\]*)", lambda match: match[1] or LEFT_OUT, value)
