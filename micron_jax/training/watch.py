"""Metrics of each step: read, recorded, checked for divergence and for collapsed features."""

import collections
import math
import statistics
from collections.abc import Callable

from micron_jax.training.config import PretrainConfig
from micron_jax.training.telemetry import Telemetry
from micron_jax.training.workdir import release_compiler_memory

_WINDOW, _ENOUGH = 100, 20  # losses of a spike's median, and the fewest that make one

# metric -> (lowest, highest healthy value, meaning of a value beyond). The bounds are ours.
_HEALTHY = {
    "feature_spread": (0.05, math.inf, "the CLS tokens of all frames are nearly the same"),
    "teacher_entropy": (0.01, 0.99, "the teacher puts all frames in one class, or in none"),
}


class Diverged(Exception):
    """Training went wrong; the metrics of `step` show it."""

    def __init__(self, step: int, reason: str):
        super().__init__(f"step {step}: {reason}")
        self.step = step


class HealthCheck:
    """Checks the metrics of every step, in order.

    A loss of `spike` times the median of the last 100 is a spike; 0 knows no spikes. Where losses
    lie about 0, as likelihoods may, or below it, their median absolute deviation stands for it.
    """

    def __init__(self, *, spike: float):
        self._spike, self._losses = spike, collections.deque(maxlen=_WINDOW)
        self._unwarned = dict(_HEALTHY)

    def check(self, step: int, metrics: dict[str, float]) -> str | None:
        """Returns a warning, once for each metric, if features that say nothing meet the agreement.

        Raises:
          Diverged: a metric is not finite, or the loss is a spike.
        """
        for name, value in metrics.items():
            # The square of a large update overflows before the parameters do.
            if not math.isfinite(value) and name != "update_norm":
                raise Diverged(step, f"{name} is {value}")
        loss = metrics["loss"]
        if self._spike and len(self._losses) >= _ENOUGH:
            median = statistics.median(self._losses)
            usual = max(abs(median), statistics.median(abs(x - median) for x in self._losses))
            if loss > median + (self._spike - 1) * usual:
                raise Diverged(step, f"loss is {loss:.4g}, and its median so far {median:.4g}")
        self._losses.append(loss)
        for name, (low, high, meaning) in self._unwarned.items():
            if not low <= (value := metrics.get(name, low)) <= high:
                del self._unwarned[name]
                return f"step {step}: {name} is {value:.3g}: {meaning}; the agreement has collapsed"
        return None


class StepMetrics:
    """Metrics of each step, read while the next one runs, so that no device waits for the host."""

    def __init__(
        self, config: PretrainConfig, learning_rate: Callable[[int], float], telemetry: Telemetry
    ):
        self._log_every, self._learning_rate = config.log_every, learning_rate
        self._telemetry, self._health = telemetry, HealthCheck(spike=config.spike)
        self._unread: tuple[int, dict] | None = None
        self.latest: dict[str, float] = {}

    def add(self, step: int, metrics: dict) -> None:
        """Takes the metrics of a step that may still run, and reads those of the one before."""
        self.read()
        self._unread = step, metrics

    def read(self) -> None:
        """Reads the metrics that wait, if any; raises `Diverged`."""
        if self._unread is None:
            return
        (step, metrics), self._unread = self._unread, None
        metrics = {name: float(value) for name, value in metrics.items()}
        if warning := self._health.check(step, metrics):
            self._telemetry.warn(warning)
        metrics["learning_rate"] = float(self._learning_rate(step - 1))
        self.latest = metrics
        self._telemetry.progress(metrics)
        if step == self._telemetry.total or step % self._log_every == 0:
            self._telemetry.write(step, metrics)
        if step == self._telemetry.start + 1:  # compiling is over
            release_compiler_memory()
            self._telemetry.restart_clocks(step)
