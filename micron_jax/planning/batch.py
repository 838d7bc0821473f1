"""The largest batch that fits, with few compilations."""

import math
from collections.abc import Callable

from micron_jax.planning.steps import StepCost, TooLarge

_ATTEMPTS = 6  # if they do not suffice, the answer fits but may not be the largest


def largest_batch(
    attempt: Callable[[int], StepCost | TooLarge], first: int
) -> tuple[int, StepCost | None]:
    """Finds the most samples that fit a device; memory grows about linearly with them.

    Args:
      attempt: samples a device -> their step.
      first: samples of the first attempt.

    Returns:
      (samples, their step); (0, None) when not even one sample fits.
    """
    steps: dict[int, StepCost | TooLarge] = {}
    samples = first
    for _ in range(_ATTEMPTS):
        steps[samples] = attempt(samples)
        low = max((n for n, step in steps.items() if step.fits), default=0)
        high = min((n for n, step in steps.items() if not step.fits), default=math.inf)
        if high - low <= 1:
            break
        samples = min(max(_samples_at_full_memory(steps), low + 1), high - 1)
    return low, steps.get(low)


def _samples_at_full_memory(steps: dict[int, StepCost | TooLarge]) -> int:
    """Extrapolates from the two steps that need nearest to the available memory."""
    available = next(iter(steps.values())).available
    near = sorted(steps, key=lambda samples: abs(steps[samples].needed - available))[:2]
    if len(near) == 1:
        return int(near[0] * available / steps[near[0]].needed)
    a, b = sorted(near)
    slope = (steps[b].needed - steps[a].needed) / (b - a)
    return int(a + (available - steps[a].needed) / slope) if slope > 0 else 2 * b
