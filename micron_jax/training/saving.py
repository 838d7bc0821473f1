"""Saving during a run: when a state is saved, and the answer to a checkpoint that fails."""

import contextlib
import dataclasses
from collections.abc import Iterator

import grain
import jax

from micron_jax.errors import UserError
from micron_jax.training import hosts
from micron_jax.training.checkpoint import Checkpoints, SaveError
from micron_jax.training.state import TrainState
from micron_jax.training.telemetry import Telemetry

SAVE_FAILED = 1000  # a reason to stop, above every signal


@dataclasses.dataclass
class Saver:
    """Saves the states of a run.

    A checkpoint that cannot be written is a warning; the run stops if `stop_at_error`, and always
    if it has several processes, as none knows of the others whether they wrote their parts.
    """

    checkpoints: Checkpoints
    stop: hosts.StopSignals
    telemetry: Telemetry
    data: grain.DatasetIterator
    stop_at_error: bool
    error: SaveError | None = None  # of the last checkpoint that was tried

    def save(self, state: TrainState, step: int, loss: float | None = None) -> None:
        """Begins to save a state that is not saved yet; see `Checkpoints.save`."""
        if step in (self.telemetry.start, self.checkpoints.latest()):
            return
        with self.telemetry.timed("checkpoint"):
            with self._answering_errors():
                self.checkpoints.wait()
            if self.error and self.stop_at_error:
                return
            self.error = None
            with self._answering_errors():
                self.checkpoints.save(step, state, self.data, validation_loss=loss)

    def check(self) -> None:
        """Warns if the save in the background has failed by now."""
        with self._answering_errors():
            self.checkpoints.check()

    def finish(self, state: TrainState, step: int, loss: float | None, *, reason: int) -> None:
        """Saves the last state, unless a failed save is the reason to stop, and waits for it.

        Raises:
          UserError: it is not saved, or another checkpoint stopped the run.
        """
        if reason != SAVE_FAILED:
            self.save(state, step, loss)
            with self._answering_errors():
                self.checkpoints.wait()
        if self.error or reason == SAVE_FAILED:
            raise UserError(
                f"{self.error or 'another process could not write its checkpoint'}; stopped "
                f"at step {step}; the last good checkpoint ({self.checkpoints.latest() or 'none'}) "
                "is kept: mend that, and the same command goes on"
            )

    @contextlib.contextmanager
    def _answering_errors(self) -> Iterator[None]:
        try:
            yield
        except SaveError as error:
            self.error = error
            latest = self.checkpoints.latest() or "none"
            self.telemetry.warn(f"{error}; the last good one is {latest}")
            if self.stop_at_error or jax.process_count() > 1:
                self.stop.ask(SAVE_FAILED)
