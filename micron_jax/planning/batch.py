"""The largest batch that fits, with few compilations."""

from collections.abc import Callable

from micron_jax.planning.steps import StepCost, TooLarge


def largest_batch(
    attempt: Callable[[int], StepCost | TooLarge], first: int, *, tries: int = 6
) -> tuple[int, StepCost | None]:
    """Finds the most samples that fit a device; memory grows about linearly with them.

    Args:
      attempt: samples a device -> their step.
      first: samples of the first attempt.
      tries: attempts at most; if they do not suffice, the answer fits but may not be the largest.

    Returns:
      (samples, their step); (0, None) when not even one sample fits.
    """
    steps: dict[int, StepCost | TooLarge] = {}
    samples = first
    for _ in range(tries):
        steps[samples] = attempt(samples)
        low = max((n for n, step in steps.items() if step.fits), default=0)
        high = min((n for n, step in steps.items() if not step.fits), default=None)
        if high is not None and high - low <= 1:
            break
        samples = max(_samples_at_full_memory(steps), low + 1)
        samples = samples if high is None else min(samples, high - 1)
    return low, steps.get(low)


def _samples_at_full_memory(steps: dict[int, StepCost | TooLarge]) -> int:
    """Extrapolates from the two steps that need nearest to the available memory."""
    available = next(iter(steps.values())).available
    near = sorted((abs(step.needed - available), n, step.needed) for n, step in steps.items())
    if len(near) == 1:
        [(_, samples, needed)] = near
        return int(samples * available / needed)
    (a, need_a), (b, need_b) = sorted((n, needed) for _, n, needed in near[:2])
    slope = (need_b - need_a) / (b - a)
    return int(a + (available - need_a) / slope) if slope > 0 else 2 * b
