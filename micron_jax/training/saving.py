"""Saving during a run: when a state is saved, and the answer to a checkpoint that fails."""

import contextlib
from collections.abc import Iterator

import grain
import jax

from micron_jax.errors import UserError
from micron_jax.training import hosts
from micron_jax.training.checkpoint import Checkpoints, SaveError
from micron_jax.training.state import TrainState
from micron_jax.training.telemetry import Telemetry

SAVE_FAILED = 1000  # a reason to stop, above every signal


class Saver:
    """Saves the states of a run from step `start` on.

    A checkpoint that cannot be written is a warning; the run stops if the config says so, and
    always if it has several processes, as none knows of the others whether they wrote their parts.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        stop: hosts.StopSignals,
        telemetry: Telemetry,
        *,
        start: int,
        stop_at_error: bool,
    ):
        self._checkpoints, self._stop, self._telemetry = checkpoints, stop, telemetry
        self._start, self._stop_at_error = start, stop_at_error
        self._error: SaveError | None = None  # of the last checkpoint that was tried

    def save(
        self, state: TrainState, step: int, data: grain.DatasetIterator, loss: float | None = None
    ) -> None:
        """Begins to save a state that is not saved yet; see `Checkpoints.save`."""
        if step in (self._start, self._checkpoints.latest()):
            return
        with self._telemetry.timed("checkpoint"):
            with self._answering_errors():
                self._checkpoints.wait()
            if self._error and self._stop_at_error:
                return
            self._error = None
            with self._answering_errors():
                self._checkpoints.save(step, state, data, validation_loss=loss)

    def check(self) -> None:
        """Warns if the save in the background has failed by now."""
        with self._answering_errors():
            self._checkpoints.check()

    def finish(
        self,
        state: TrainState,
        step: int,
        data: grain.DatasetIterator,
        loss: float | None,
        *,
        reason: int,
    ) -> None:
        """Saves the last state, unless a failed save is the reason to stop, and waits for it.

        Raises:
          UserError: it is not saved, or another checkpoint stopped the run.
        """
        if reason != SAVE_FAILED:
            self.save(state, step, data, loss)
            with self._answering_errors():
                self._checkpoints.wait()
        if self._error or reason == SAVE_FAILED:
            raise UserError(
                f"{self._error or 'another process could not write its checkpoint'}; stopped "
                f"at step {step}; the last good checkpoint ({self._latest()}) is kept: mend that, "
                "and the same command goes on"
            )

    def _latest(self) -> int | str:
        return self._checkpoints.latest() or "none"

    @contextlib.contextmanager
    def _answering_errors(self) -> Iterator[None]:
        try:
            yield
        except SaveError as error:
            self._error = error
            self._telemetry.warn(f"{error}; the last good one is {self._latest()}")
            if self._stop_at_error or jax.process_count() > 1:
                self._stop.ask(SAVE_FAILED)
