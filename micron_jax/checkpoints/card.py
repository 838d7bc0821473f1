"""The model card that is written beside converted weights."""

import contextlib
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from micron_jax.checkpoints.classifier import Classifier
from micron_jax.checkpoints.release_architecture import (
    RELEASE_MODEL,
    class_arguments,
    differences,
    is_release_size,
)
from micron_jax.checkpoints.weights import Weights
from micron_jax.errors import UserError
from micron_jax.files import write_whole


def text(weights: Weights, name: str, classifier: Classifier | None = None) -> str:
    """Markdown that says of weights in a file or folder `name` only what they themselves say."""
    from micron_jax import __version__

    settings = dataclasses.asdict(weights.config)
    sizes: dict[str, int] = {}
    for path, array in weights.flat().items():
        part = "/".join(path.split("/")[:2])
        sizes[part] = sizes.get(part, 0) + np.size(array)
    card = f"""---
library_name: micron_jax
license: unknown
tags: [micro-expression, self-supervised, jax]
---
# {name}

Weights of Micron-BERT (self-supervised facial micro-expression recognition,
[arXiv 2304.03195](https://arxiv.org/abs/2304.03195)), written by micron_jax {__version__}.

## Where they come from

{_table("", weights.info.items())}

## Settings

{_table("setting", settings.items())}

## What is inside

{_table("part", ((part, f"{count:,} numbers") for part, count in sizes.items()))}

{_student(weights)}
{_classifier(classifier) if classifier else ""}

## Use

In Python, on frames that are square crops of faces, RGB, uint8 [B, H, W, 3]:

```python
import micron_jax

model = micron_jax.load({json.dumps(name)})
tokens = model.features(frames)
```

{_in_the_release(weights)}

## Parity

The weights are float32; those that were float32 before were copied bit for bit. Whether the network
computes with them what the PyTorch release does has not been measured for this file; to do so:
`micron-jax compare --checkpoint {name} --release CHECKOUT`.{_unknown(classifier)}

## License

None is given with these weights. The PyTorch release has no license, and what is converted from
its checkpoints stays under the terms of their owner; weights trained on a data set may be bound by
its terms. micron_jax's own license, Apache-2.0, covers its code and not these numbers.
"""
    return card.encode("utf-8", "replace").decode()  # settings of a file may hold half a character


def save_with(weights: Weights, path: Path, encode: Callable[[], bytes]) -> None:
    """Writes `encode()` to `path` and, beside it, the card as NAME.md; whole or not at all.

    Raises:
      UserError: one of the two is there already, or cannot be written.
    """
    beside = path.with_suffix(".md")
    for file in (path, beside):
        if file.exists():
            raise UserError(f"{file}: exists already; name a new file or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(beside, text(weights, path.name).encode())
        write_whole(path, encode())
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _table(head: str, rows) -> str:
    lines = [f"| {head} | |", "|---|---|"]
    for key, value in rows:
        if isinstance(value, dict | list | tuple):
            value = f"`{json.dumps(value)}`"
        cell = str(value).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {key} | {cell} |")
    return "\n".join(lines)


def _student(weights: Weights) -> str:
    if weights.info.get("weights") == "teacher":
        return "`params/encoder` and `params/head` are the teacher's, the student's moving average."
    teacher = "; the teacher is its moving average" if weights.teacher else ""
    return f"`params` are the student's, the network that was trained{teacher}."


def _unknown(classifier: Classifier | None) -> str:
    if classifier:
        return ""
    return " How well they recognize anything is\nnot said here, because it is not known here."


def _classifier(classifier: Classifier) -> str:
    told = classifier.evidence
    bounds = told["intervals"] or {}
    rows = ["| | samples | F1 | recall | precision |", "|---|--:|--:|--:|--:|"]
    for name in classifier.classes:
        row = told["per_class"][name]
        scores = " | ".join(f"{row[column]:.3f}" for column in ("f1", "recall", "precision"))
        rows.append(f"| {name} | {row['samples']} | {scores} |")
    means = [
        f"{metric.upper()} {told[metric]:.3f}"
        + (" (95 % over subjects {:.3f} to {:.3f})".format(*bounds[metric]) if bounds else "")
        for metric in ("uf1", "uar")
    ]
    return f"""
## The classifier

`classifier.json` and `classifier.safetensors` tell {len(classifier.classes)} classes apart, of the
protocol {told["protocol"]}, from onset and apex: `model.classify(onset, apex)`. It was trained on
everyone there; tested were classifiers that were trained alike, on {told["subjects"]} subjects that
they had not seen (split by {told["split"]}): {", ".join(means)}.

{chr(10).join(rows)}
"""


def _in_the_release(weights: Weights) -> str:
    if is_release_size(weights.config):
        how = (
            f"As a `.pth`, the release's `get_model` (micron_bert.py) builds it, `{RELEASE_MODEL}`."
        )
    else:
        given = ", ".join(f"{k}={v!r}" for k, v in class_arguments(weights).items())
        how = (
            "As a `.pth`, the release's class takes it; its `get_model` does not, which knows one "
            f"size.\n\n```python\nMaskedAutoencoderViT({given}, "
            "norm_layer=functools.partial(torch.nn.LayerNorm, eps=1e-6))\n```"
        )
    return "\n".join([how, *differences(weights.config)])
