"""What goes wrong while a run goes on: a loss that diverges, features that collapse."""

import collections
import math
import statistics

_WINDOW, _ENOUGH = 100, 20  # losses that a spike is measured against, and the fewest it takes

# metric -> (lowest, highest) that is healthy, what it means beyond. The bounds are ours.
_HEALTHY = {
    "feature_spread": (0.05, math.inf, "the CLS tokens of all frames are nearly the same"),
    "teacher_entropy": (0.01, 0.99, "the teacher puts all frames in one class, or in none"),
}


class Diverged(Exception):
    """Training went wrong.

    Attributes:
      step: the step whose metrics show it.
      reason: what they show.
    """

    def __init__(self, step: int, reason: str):
        super().__init__(f"step {step}: {reason}")
        self.step, self.reason = step, reason


class DivergenceWatch:
    """Looks at the metrics of every step, in order."""

    def __init__(self, *, spike: float):
        """A loss of `spike` times the median of the last 100 is one; 0 knows no spikes."""
        self._spike, self._losses = spike, collections.deque(maxlen=_WINDOW)

    def look(self, step: int, metrics: dict[str, float]) -> None:
        """Raises `Diverged` if a metric is not finite, or the loss is a spike."""
        for name, value in metrics.items():
            # The square of a large step overflows before its parameters do.
            if not math.isfinite(value) and name != "update_norm":
                raise Diverged(step, f"{name} is {value}")
        loss = metrics["loss"]
        if self._spike and len(self._losses) >= _ENOUGH:
            median = statistics.median(self._losses)
            if loss > self._spike * median > 0:
                raise Diverged(step, f"loss is {loss:.4g}, and its median so far {median:.4g}")
        self._losses.append(loss)


class CollapseWatch:
    """Says once of each kind that the agreement has been met by features that say nothing."""

    def __init__(self):
        self._told = set()

    def look(self, step: int, metrics: dict[str, float]) -> str | None:
        """A warning, or None."""
        for name, (low, high, meaning) in _HEALTHY.items():
            value = metrics.get(name)
            if value is None or name in self._told or low <= value <= high:
                continue
            self._told.add(name)
            return f"step {step}: {name} is {value:.3g}: {meaning}; the agreement has collapsed"
        return None
