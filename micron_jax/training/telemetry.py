"""What a run tells while it runs: JSON lines, TensorBoard, a progress bar, a profile."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import tqdm

from micron_jax.errors import UserError
from micron_jax.files import write_whole
from micron_jax.training.board import Board

METRICS_FILE = "metrics.jsonl"


def read_metrics(workdir: Path) -> list[dict]:
    """The metrics of a run, a dict a line; a line cut short by a kill is left out.

    Lines of a validation have names of their own, `validation_loss` and so on.
    """
    path = workdir / METRICS_FILE
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


class Telemetry:
    """Writes metrics and shows progress; only on the process that is told to.

    A disk that is full is told of and stops nothing: the lines are kept until there is room.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        start: int,
        total: int,
        batch_size: int,
        devices: int,
        flops: float,
        peak: float | None,
        active: bool,
    ):
        """Goes on at step `start` of `total`: lines of later steps, of a lost run, are dropped.

        Args:
          workdir: of the run.
          start, total: steps.
          batch_size: samples a step, over all `devices`.
          devices: over which the work is spread.
          flops: of a sample, see `flops.train_flops`.
          peak: FLOP/s of a device; None leaves out the MFU.
          active: whether this process writes.

        Raises:
          UserError: the workdir cannot be written.
        """
        self._active, self._batch_size, self._devices = active, batch_size, devices
        self._told = set()  # what could not be written when it was last tried
        self._utilisation = flops / (devices * peak) if peak else None
        self._bar = tqdm.tqdm(
            total=total,
            initial=start,
            unit="step",
            disable=not active,
            mininterval=0.5 if sys.stderr.isatty() else 20,
            dynamic_ncols=True,
        )
        self.begin(start)
        if active:
            kept = [row for row in read_metrics(workdir) if row["step"] <= start]
            lines = "".join(json.dumps(row) + "\n" for row in kept)
            try:
                write_whole(workdir / METRICS_FILE, lines.encode())
                # Not buffered: what of a line was written is known, and the rest goes behind it.
                self._lines = (workdir / METRICS_FILE).open("ab", buffering=0)
            except OSError as error:
                raise UserError(f"{workdir}: cannot be written ({error.strerror})") from error
            self._unwritten = b""
            self._board = Board(workdir / "tensorboard", begin=start + 1)

    def begin(self, step: int) -> None:
        """Starts the clocks: what came before (compiling, drawing) does not count."""
        self._since, self._from = time.perf_counter(), step
        self._spent = {"data": 0.0, "checkpoint": 0.0}

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Counts the time within as waiting for `data`, or for a `checkpoint`."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self._spent[part] += time.perf_counter() - before

    def progress(self, metrics: dict[str, float]) -> None:
        """One step is done."""
        shown = {name: f"{metrics[name]:.4f}" for name in ("loss", "reconstruction", "agreement")}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Records the metrics of a step, the rate since the last record, and where the time went.

        Seconds are a mean step's. What is neither `data_seconds` nor `checkpoint_seconds` is
        `compute_seconds`: while the host waits for data the device may still be at work, so that
        a run with much of the first is one that is short of data.
        """
        steps = step - self._from
        if steps > 0:
            passed = time.perf_counter() - self._since
            rate = steps * self._batch_size / passed
            seconds = {name: spent / steps for name, spent in self._spent.items()}
            seconds["compute"] = passed / steps - sum(seconds.values())
            metrics = metrics | {
                "samples_per_second": round(rate, 3),
                "samples_per_second_per_device": round(rate / self._devices, 3),
                **{f"{name}_seconds": round(value, 6) for name, value in seconds.items()},
            }
            if self._utilisation:
                metrics["mfu"] = round(rate * self._utilisation, 4)
        self.begin(step)
        self._record("train", step, metrics)

    def write_validation(self, step: int, losses: dict[str, float]) -> None:
        """Records the losses of a validation, in a line of their own."""
        self._record("validation", step, losses, prefix="validation_")

    def _record(self, board: str, step: int, metrics: dict[str, float], prefix: str = "") -> None:
        if self._active:
            row = {"step": step} | {f"{prefix}{name}": value for name, value in metrics.items()}
            self._unwritten += (json.dumps(row) + "\n").encode()
            with self.tolerated(METRICS_FILE):
                self._write_lines()
            with self.tolerated("tensorboard"):
                self._board.add(step, {f"{board}/{name}": v for name, v in metrics.items()})

    def _write_lines(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[self._lines.write(self._unwritten) :]

    @contextlib.contextmanager
    def tolerated(self, what: str) -> Iterator[None]:
        """Warns of an `OSError` within, once until it goes well again; the run goes on."""
        try:
            yield
            self._told.discard(what)
        except OSError as error:
            if what not in self._told:
                self._told.add(what)
                self.warn(f"{what}: not written ({error.strerror}); the run goes on")

    def warn(self, message: str) -> None:
        """Says something above the progress bar."""
        if self._active:
            self._bar.write(f"warning: {message}", file=sys.stderr)

    def close(self) -> None:
        if self._active:
            with self.tolerated(METRICS_FILE):
                self._write_lines()
            with self.tolerated("tensorboard"):
                self._board.close()
            self._lines.close()
        self._bar.close()


class Profiler:
    """Records the steps of a window with jax's profiler, for TensorBoard."""

    def __init__(self, folder: Path, window: tuple[int, int]):
        """Of the steps `window[0]` to `window[1]`, both included; (0, 0) is none."""
        self._folder, self._window, self._running = folder, window, False

    def before(self, step: int) -> None:
        """Call before each step is given out."""
        if step == self._window[0]:
            jax.profiler.start_trace(str(self._folder))
            self._running = True

    def after(self, step: int, result) -> None:
        """Call after each step is given out, with any array of its."""
        if self._running and step >= self._window[1]:
            jax.block_until_ready(result)
            self.close()

    def close(self) -> None:
        """Writes what there is, of a window that the run did not reach the end of."""
        if self._running:
            jax.profiler.stop_trace()
            self._running = False
