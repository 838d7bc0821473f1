"""Everything that is said of some predictions, as one dictionary: for JSON, text and the report."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from micron_jax.datasets import census
from micron_jax.datasets.protocols import Protocol
from micron_jax.evaluation.intervals import LEVEL, METRICS, RESAMPLES, intervals
from micron_jax.evaluation.metrics import scores
from micron_jax.evaluation.prediction import Prediction
from micron_jax.evaluation.published import PUBLISHED
from micron_jax.evaluation.tally import Tally, classes_of, tally


def summarize(
    predictions: Sequence[Prediction],
    protocol: Protocol | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """The metrics of one experiment; of several seeds their means, all on the same clips.

    Args:
      predictions: as `predictions.combine` gives them.
      protocol: whose classes all count, and with whose numbers the clips are compared.
      resamples: of the bootstrap.
      seed: of the bootstrap.

    Returns:
      {"samples": clips, "subjects", "uf1", "uar", "accuracy": shares of 1, "intervals": {"level",
      "resamples", "unit", "uf1", "uar", "accuracy": [low, high]} or None for one subject,
      "classes": [names], "per_class": {name: {"samples", "f1", "recall", "precision", "counted"}},
      "per_set": {set: {"samples", "subjects", "uf1", "uar", "accuracy", "intervals", "classes":
      {name: clips}}}, "confusion": [[int]] summed over seeds, row label, column prediction,
      "per_subject": [{"set", "subject", "samples", "correct": mean over seeds}], "seeds": {"count",
      "runs": [{"seed", "uf1", "uar", "accuracy"}], "spread": {metric: {"std", "min", "max"}}},
      "protocol": {"name", "found", "expected", "differences"} or None, "published": {"uf1", "uar"}
      or None, "largest": {"class", "uf1", "uar", "accuracy"} of always predicting the most frequent
      label}.
    """
    known = classes_of(predictions, protocol.classes if protocol else None)
    whole = tally(predictions, known)
    return {
        **_metrics(whole, resamples, seed),
        "classes": list(whole.classes),
        "per_class": _per_class(whole),
        "per_set": {
            name: _metrics(part := whole.part(name, known), resamples, seed)
            | {"classes": _numbers(part)}
            for name in whole.sets
            if name
        },
        "confusion": whole.confusion.sum((0, 1)).tolist(),
        "per_subject": _per_subject(whole),
        "seeds": _seeds(whole),
        "protocol": _fit(protocol, whole, predictions) if protocol else None,
        "published": _published(protocol),
        "largest": _largest(whole),
    }


def _metrics(part: Tally, resamples: int, seed: int) -> dict[str, Any]:
    result = scores(part.confusion.sum(1), part.counted)
    bounds = intervals(part, resamples, seed)
    return {
        "samples": int(part.confusion[0].sum()),
        "subjects": len(part.people),
        **{name: float(getattr(result, name).mean()) for name in METRICS},
        "intervals": bounds
        and {
            "level": LEVEL,
            "resamples": resamples,
            "unit": "subject",
            **{name: list(bounds[name]) for name in METRICS},
        },
    }


def _numbers(part: Tally) -> dict[str, int]:
    """Clips of each label."""
    labeled = part.confusion[0].sum((0, 2))
    return {name: int(n) for name, n in zip(part.classes, labeled, strict=True)}


def _per_class(whole: Tally) -> dict[str, dict[str, Any]]:
    result = scores(whole.confusion.sum(1), whole.counted)
    return {
        name: {
            "samples": number,
            **{
                metric: float(getattr(result, metric)[:, n].mean())
                for metric in ("f1", "recall", "precision")
            },
            "counted": bool(whole.counted[n]),
        }
        for n, (name, number) in enumerate(_numbers(whole).items())
    }


def _per_subject(whole: Tally) -> list[dict[str, Any]]:
    hits = np.trace(whole.confusion, axis1=-2, axis2=-1).mean(0)
    return [
        {"set": dataset, "subject": subject, "samples": int(matrix.sum()), "correct": float(hit)}
        for (dataset, subject), matrix, hit in zip(
            whole.people, whole.confusion[0], hits, strict=True
        )
    ]


def _seeds(whole: Tally) -> dict[str, Any]:
    result = scores(whole.confusion.sum(1), whole.counted)
    values = {name: getattr(result, name) for name in METRICS}
    return {
        "count": len(whole.seeds),
        "runs": [
            {"seed": seed, **{name: float(values[name][n]) for name in METRICS}}
            for n, seed in enumerate(whole.seeds)
        ],
        "spread": {
            name: {
                "std": float(value.std(ddof=1)) if len(value) > 1 else None,
                "min": float(value.min()),
                "max": float(value.max()),
            }
            for name, value in values.items()
        },
    }


def _fit(protocol: Protocol, whole: Tally, predictions: Sequence[Prediction]) -> dict[str, Any]:
    clips = [(one.set, one.subject, one.label) for one in predictions if one.seed == whole.seeds[0]]
    counts = census.count(whole.sets, whole.classes, clips)
    return {
        "name": protocol.name,
        "found": {name: dataclasses.asdict(part) for name, part in counts.items()},
        "expected": {name: dataclasses.asdict(part) for name, part in protocol.expected.items()},
        "differences": census.differences(protocol, counts),
    }


def _largest(whole: Tally) -> dict[str, Any]:
    """What needs no face: the bar below which nothing was learned."""
    labeled = whole.confusion[0].sum((0, 2))
    always = np.zeros((len(labeled),) * 2)
    always[:, labeled.argmax()] = labeled
    result = scores(always, whole.counted)
    values = {name: float(getattr(result, name)) for name in METRICS}
    return {"class": whole.classes[labeled.argmax()], **values}


def _published(protocol: Protocol | None) -> dict[str, float] | None:
    if protocol is None or protocol.name not in PUBLISHED:
        return None
    return dict(zip(("uf1", "uar"), PUBLISHED[protocol.name], strict=True))
