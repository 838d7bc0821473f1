"""Several runs on the same clips, as of several checkpoints: all pairs, tested side by side.

Of many pairs some differ by chance: with five runs alike, one of their ten tests falls below 0.05
in two of five reports. Holm's method (1979) corrects for that: p of the pairs, in ascending order,
is multiplied by the number of pairs that are left, and never falls. It holds whatever the tests
have to do with each other.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from micron_jax.datasets.protocols import Protocol
from micron_jax.errors import UserError
from micron_jax.evaluation.metrics import METRICS
from micron_jax.evaluation.prediction import Prediction
from micron_jax.evaluation.significance import Bootstrap, compare
from micron_jax.evaluation.summary import summarize


def compare_runs(
    tables: Mapping[str, Sequence[Prediction]],
    protocol: Protocol | None = None,
    *,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Compares all pairs of runs.

    Args:
      tables: name of each run -> its predictions.
      bootstrap: whose resamples serve all runs and pairs.

    Returns:
      {"runs": [{"file": its name, "seeds": count, "uf1", "uar", "accuracy", "intervals"}], "pairs":
      [{"first", "second": names, **`significance.compare`, each metric with "p_holm": p, corrected
      for the number of pairs}]}.

    Raises:
      UserError: two are not of the same clips with the same labels; the message names both.
    """
    bootstrap = bootstrap or Bootstrap()
    classes = protocol.classes if protocol else None
    runs = []
    for name, table in tables.items():
        summary = summarize(table, protocol, bootstrap=bootstrap)
        figures = {key: summary[key] for key in (*METRICS, "intervals")}
        runs.append({"file": name, "seeds": summary["seeds"]["count"]} | figures)
    pairs = []
    for (first, one), (second, other) in itertools.combinations(tables.items(), 2):
        try:
            result = compare(one, other, classes, bootstrap=bootstrap)
        except UserError as error:
            raise UserError(f"{first} and {second}: {error}") from None
        pairs.append({"first": first, "second": second} | result)
    for name in METRICS:
        for pair, p in zip(pairs, holm([pair[name]["p"] for pair in pairs]), strict=True):
            pair[name] |= {"p_holm": p}
    return {"runs": runs, "pairs": pairs}


def holm(p: Sequence[float]) -> list[float]:
    """Returns p of several tests, each corrected for their number (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    scaled = np.array(p, np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected.tolist()
