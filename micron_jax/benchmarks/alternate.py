"""Sides measured in turn, A B A B: what slows the machine down for a while slows all of them."""

import statistics
from collections.abc import Sequence

from micron_jax.benchmarks.worker import Worker


def measure(workers: Sequence[Worker], *, samples: int, rounds: int, seconds: float) -> list[dict]:
    """Lets every side take its turn, round by round.

    Args:
      workers: the sides, ready.
      samples: that a step of theirs takes.
      rounds: how often each has its turn.
      seconds: how long a turn is, but that its last step is taken to the end.

    Returns:
      For each side {"samples_per_second": the median, "rates": of each round, "spread": of them,
      (largest - smallest) / median, "step_seconds": by the median, "peak_bytes"}.

    Raises:
      Failed: a side broke off.
    """
    rates, peaks = [[] for _ in workers], [0] * len(workers)
    for _ in range(rounds):
        for side, worker in enumerate(workers):
            told = worker.run(seconds)
            rates[side].append(samples * told["steps"] / told["seconds"])
            peaks[side] = max(peaks[side], told["peak_bytes"])
    found = []
    for rate, peak in zip(rates, peaks, strict=True):
        median = statistics.median(rate)
        found.append(
            {
                "samples_per_second": median,
                "rates": rate,
                "spread": (max(rate) - min(rate)) / median,
                "step_seconds": samples / median,
                "peak_bytes": peak,
            }
        )
    return found


def ratio(ours: dict, theirs: dict) -> float:
    """How many times as fast: the median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(ours["rates"], theirs["rates"], strict=True))
