"""The largest batch that fits, with few compilations."""

from collections.abc import Callable

from micron_jax.planning.steps import Step, TooLarge


def largest_batch(
    attempt: Callable[[int], Step | TooLarge], first: int, *, tries: int = 6
) -> tuple[int, Step | None]:
    """Finds the most samples a device can take; what they need grows about linearly with them.

    Args:
      attempt: samples a device -> the step with them.
      first: where to begin.
      tries: attempts at most; the answer has been seen to fit, and may then not be the largest.

    Returns:
      (samples, their step); (0, None) when not even one sample fits.
    """
    fits: dict[int, Step] = {}
    fails: dict[int, TooLarge | Step] = {}
    here = first
    for _ in range(tries):
        step = attempt(here)
        (fits if step.fits else fails)[here] = step
        low, high = max(fits, default=0), min(fails, default=None)
        if high is not None and high - low <= 1:
            break
        here = _next(fits, fails, low, high)
    best = max(fits, default=0)
    return best, fits.get(best)


def _next(fits: dict, fails: dict, low: int, high: int | None) -> int:
    """Where memory would be full on the line through the two points nearest to that."""
    known = sorted((samples, step.needed) for samples, step in (fits | fails).items())
    available = next(iter((fits or fails).values())).available
    if len(known) == 1:
        (samples, needed) = known[0]
        guess = int(samples * available / needed)
    else:
        near = sorted(known, key=lambda point: abs(point[1] - available))[:2]
        (a, need_a), (b, need_b) = sorted(near)
        slope = (need_b - need_a) / (b - a)
        guess = int(a + (available - need_a) / slope) if slope > 0 else 2 * b
    guess = max(guess, low + 1)
    return guess if high is None else min(guess, high - 1)
