"""The model card that is written beside converted weights."""

import collections
import dataclasses
import json
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

_TEMPLATE = Path(__file__).with_name("card.md")


def text(
    weights: Weights, name: str, classifier: Classifier | None = None, *, dtype: str = "float32"
) -> str:
    """Markdown about weights in a file or folder `name`, from what they themselves state."""
    parts = collections.Counter()
    for path, array in weights.flat().items():
        parts["/".join(path.split("/")[:2])] += np.size(array)
    arguments = ", ".join(f"{k}={v!r}" for k, v in class_arguments(weights).items())
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters["cell"] = _cell
    card = environment.from_string(_TEMPLATE.read_text()).render(
        name=printable(name),
        quoted_name=json.dumps(name),
        version=__version__,
        weights=weights,
        info=public(weights.info),
        settings=dataclasses.asdict(weights.config),
        parts={part: f"{count:,} numbers" for part, count in parts.items()},
        classifier=classifier,
        dtype=dtype,
        release_model=RELEASE_MODEL,
        arguments="" if is_release_size(weights.config) else arguments,
        differences=differences(weights.config),
    )
    return card.encode("utf-8", "replace").decode()  # settings of a file may hold half a character


def _cell(value: Any) -> str:
    """A value in one line of a table."""
    if isinstance(value, dict | list | tuple):
        value = f"`{json.dumps(value)}`"
    return printable(str(value).replace("\n", " ")).replace("|", "\\|")
