"""Alternate measurement of several sides, A B A B, so that a slow machine slows all of them."""

import statistics
from collections.abc import Sequence

from micron_jax.benchmarks.worker import Failed, Worker
from micron_jax.errors import UserError


def measure(workers: Sequence[Worker], *, samples: int, rounds: int, seconds: float) -> list[dict]:
    """Measures every side in turn, round by round.

    Args:
      samples: in a step.
      rounds: number of turns of each side.
      seconds: of a turn; its last step is done to the end.

    Returns:
      For each side {"samples_per_second": the median, "rates": of each round, "spread":
      (largest - smallest) / median, "step_seconds": from the median, "peak_bytes"}.

    Raises:
      UserError: a side broke off.
    """
    rates, peaks = [[] for _ in workers], [0] * len(workers)
    for _ in range(rounds):
        for side, worker in enumerate(workers):
            try:
                turn = worker.run(seconds)
            except Failed as error:
                raise UserError(f"a side broke off: {error}") from error
            rates[side].append(samples * turn["steps"] / turn["seconds"])
            peaks[side] = max(peaks[side], turn["peak_bytes"])
    return [
        {
            "samples_per_second": (median := statistics.median(rate)),
            "rates": rate,
            "spread": (max(rate) - min(rate)) / median,
            "step_seconds": samples / median,
            "peak_bytes": peak,
        }
        for rate, peak in zip(rates, peaks, strict=True)
    ]


def ratio(side: dict, other: dict) -> float:
    """Returns how many times as fast a side is: the median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(side["rates"], other["rates"], strict=True))
