"""The summary of predictions, one dictionary for JSON, text and the report."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from micron_jax.datasets import census
from micron_jax.datasets.protocols import Protocol, of_synthetic
from micron_jax.datasets.synthetic_names import is_marked
from micron_jax.evaluation.metrics import METRICS, Confusions, classes_of, count, scores
from micron_jax.evaluation.prediction import Prediction
from micron_jax.evaluation.significance import LEVEL, Bootstrap

PAPER = "Micron-BERT (CVPR 2023)"
# Protocol -> (UF1, UAR) as shares of 1: the tables of results of arXiv 2304.03195.
PUBLISHED = {
    "composite": (0.8903, 0.8842),
    "casme2_3": (0.9034, 0.8914),
    "casme2_5": (0.8553, 0.8348),
    "samm_5": (0.8386, 0.8475),
    "smic_hs_3": (0.8550, 0.8384),
    "casme3_3": (0.5604, 0.6125),
    "casme3_4": (0.4718, 0.4913),
    "casme3_7": (0.3264, 0.3254),
}


def summarize(
    predictions: Sequence[Prediction],
    protocol: Protocol | None = None,
    *,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Computes the metrics of one experiment; of several seeds their means, all on the same clips.

    Args:
      predictions: as `predictions.combine_seeds` returns them.
      protocol: all its classes count, and its numbers of clips are compared.
      bootstrap: for the intervals; its resamples serve `significance.compare`, too.

    Returns:
      {"samples": clips, "subjects", "uf1", "uar", "accuracy": shares of 1, "intervals": {"level",
      "resamples", "unit", "uf1", "uar", "accuracy": [low, high]} or None for one subject,
      "classes": [names], "per_class": {name: {"samples", "f1", "recall", "precision", "counted"}},
      "per_set": {set: {"samples", "subjects", "uf1", "uar", "accuracy", "intervals", "classes":
      {name: clips}}}, "confusion": [[int]] summed over seeds, row label, column prediction,
      "per_subject": [{"set", "subject", "samples", "correct": mean over seeds}], "seeds": {"count",
      "runs": [{"seed", "uf1", "uar", "accuracy"}], "spread": {metric: {"std", "min", "max"}}},
      "protocol": {"name", "found", "expected", "differences", "editions": {set: version of its
      sheet}, "part": the samples that are expected, in words; empty: all} or None, "published":
      {"uf1", "uar"} or None, "largest": {"class", "uf1", "uar", "accuracy"} of always
      predicting the most frequent label}.
    """
    bootstrap = bootstrap or Bootstrap()
    classes = classes_of(predictions, protocol.classes if protocol else None)
    whole = count(predictions, classes)
    sets = {name: whole.of_set(name, classes) for name in whole.sets if name}
    synthetic = [name for name in sets if is_marked(name)]
    if protocol:
        protocol = of_synthetic(protocol, synthetic)
    published = PUBLISHED.get(protocol.name) if protocol and not synthetic else None
    return {
        **_metrics(whole, bootstrap),
        "classes": list(whole.classes),
        "per_class": _per_class(whole),
        "per_set": {
            name: _metrics(part, bootstrap) | {"classes": part.clips} for name, part in sets.items()
        },
        "confusion": whole.matrices.sum((0, 1)).tolist(),
        "per_subject": _per_subject(whole),
        "seeds": _seeds(whole),
        "protocol": _protocol(protocol, whole, predictions) if protocol else None,
        "published": dict(zip(("uf1", "uar"), published, strict=True)) if published else None,
        "largest": _largest(whole),
    }


def _metrics(confusions: Confusions, bootstrap: Bootstrap) -> dict[str, Any]:
    result = confusions.scores()
    bounds = bootstrap.intervals(confusions)
    about = {"level": LEVEL, "resamples": bootstrap.resamples, "unit": "subject"}
    return {
        "samples": int(confusions.matrices[0].sum()),
        "subjects": len(confusions.people),
        **{name: float(getattr(result, name).mean()) for name in METRICS},
        "intervals": bounds and about | {name: list(bounds[name]) for name in METRICS},
    }


def _per_class(confusions: Confusions) -> dict[str, dict[str, Any]]:
    result = confusions.scores()
    means = {name: getattr(result, name).mean(0) for name in ("f1", "recall", "precision")}
    return {
        name: {
            "samples": clips,
            **{metric: float(values[n]) for metric, values in means.items()},
            "counted": bool(confusions.counted[n]),
        }
        for n, (name, clips) in enumerate(confusions.clips.items())
    }


def _per_subject(confusions: Confusions) -> list[dict[str, Any]]:
    hits = np.trace(confusions.matrices, axis1=-2, axis2=-1).mean(0)
    clips = confusions.matrices[0].sum((1, 2))
    return [
        {"set": dataset, "subject": subject, "samples": int(number), "correct": float(correct)}
        for (dataset, subject), number, correct in zip(confusions.people, clips, hits, strict=True)
    ]


def _seeds(confusions: Confusions) -> dict[str, Any]:
    result = confusions.scores()
    values = {name: getattr(result, name) for name in METRICS}
    return {
        "count": len(confusions.seeds),
        "runs": [
            {"seed": seed, **{name: float(values[name][n]) for name in METRICS}}
            for n, seed in enumerate(confusions.seeds)
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


def _protocol(
    protocol: Protocol, confusions: Confusions, predictions: Sequence[Prediction]
) -> dict[str, Any]:
    first = confusions.seeds[0]
    clips = [(row.set, row.subject, row.label) for row in predictions if row.seed == first]
    counts = census.count(confusions.sets, confusions.classes, clips)
    editions = census.editions(protocol, counts)
    expected = census.expected_counts(protocol, editions)
    return {
        "name": protocol.name,
        "found": {name: dataclasses.asdict(part) for name, part in counts.items()},
        "expected": {name: dataclasses.asdict(part) for name, part in expected.items()},
        "differences": census.differences(protocol, counts),
        "editions": editions,
        "part": protocol.part,
    }


def _largest(confusions: Confusions) -> dict[str, Any]:
    """Returns the metrics of a constant: below them nothing was learned."""
    clips = np.array(list(confusions.clips.values()))
    matrix = np.zeros((len(clips),) * 2)
    matrix[:, clips.argmax()] = clips
    result = scores(matrix, confusions.counted)
    values = {name: float(getattr(result, name)) for name in METRICS}
    return {"class": confusions.classes[clips.argmax()], **values}
