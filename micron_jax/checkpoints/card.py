"""The model card that is written beside converted weights."""

import collections
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from micron_jax import __version__
from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.origin import public
from micron_jax.checkpoints.release_architecture import (
    RELEASE_MODEL,
    class_arguments,
    differences,
    is_release_size,
)
from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import printable

NAME, LICENSE, UNKNOWN = "name", "license", "unknown"  # in `Weights.info`, and of a license
_LONGEST = 1 << 16  # characters of a card that are read
_TEMPLATE = Path(__file__).with_name("card.md")


def text(
    weights: Weights,
    name: str,
    classifier: Classifier | None = None,
    *,
    dtype: str = "float32",
    title: str = "",
) -> str:
    """Markdown about weights in a file or folder `name`, from what they themselves state.

    `title`: of the card; empty: the name that an earlier card gave them, or else `name`.
    """
    parts = collections.Counter()
    for path, array in weights.flat().items():
        parts["/".join(path.split("/")[:2])] += np.size(array)
    arguments = ", ".join(f"{k}={v!r}" for k, v in class_arguments(weights).items())
    info = public(weights.info)
    own_name = info.pop(NAME, name)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters["cell"] = _cell
    card = environment.from_string(_TEMPLATE.read_text("utf-8")).render(
        name=printable(name),
        quoted_name=json.dumps(name),
        version=__version__,
        weights=weights,
        title=printable(title or own_name),
        license=_license(info.pop(LICENSE, UNKNOWN)),
        info={key: value for key, value in info.items() if not _is_nested(value)},
        nested=dict(_flat({key: value for key, value in info.items() if _is_nested(value)})),
        settings=dataclasses.asdict(weights.config),
        parts={part: f"{count:,} numbers" for part, count in parts.items()},
        classifier=classifier,
        dtype=dtype,
        release_model=RELEASE_MODEL,
        arguments="" if is_release_size(weights.config) else arguments,
        differences=differences(weights.config),
    )
    return card.encode("utf-8", "replace").decode()  # settings of a file may hold half a character


def stated(folder: Path) -> dict[str, str]:
    """The name and the license of the weights in a folder, as far as its card states a license.

    Returns:
      Entries for `Weights.info`, from where the next card has them.
    """
    try:
        with open(folder / "README.md", encoding="utf-8") as file:
            text = file.read(_LONGEST)
    except (OSError, ValueError):
        return {}
    head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    line = head and re.search(r"^license: *(\S+) *$", head[1], re.MULTILINE)
    if not line or (terms := _license(line[1])) == UNKNOWN:
        return {}
    title = re.search(r"^# +(\S.{0,99})$", text[head.end() :], re.MULTILINE)
    return {LICENSE: terms} | ({NAME: printable(title[1].strip())} if title else {})


def _license(value: Any) -> str:
    """An identifier of a license as the Hub has them; what is none is unknown."""
    text = str(value)
    return text if re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,40}", text) else UNKNOWN


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict)


def _flat(settings: dict, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (`data.delta_seconds`, value) of nested settings."""
    for key, value in settings.items():
        if _is_nested(value) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _cell(value: Any) -> str:
    """A value in one line of a table."""
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value)) or "none"
    elif isinstance(value, dict):
        value = "none"
    return printable(str(value).replace("\n", " ")).replace("|", "\\|")
