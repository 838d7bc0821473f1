"""Training telemetry: JSON lines, TensorBoard, a progress bar, a profile."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import tqdm
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from micron_jax.files import write_whole, writing
from micron_jax.training import hosts
from micron_jax.training.config import PretrainConfig
from micron_jax.training.flops import peak_flops, train_flops

METRICS_FILE, EVENTS_FOLDER = "metrics.jsonl", "tensorboard"
_SECONDS = 60  # from an error of TensorBoard's file to the next try


def read_metrics(workdir: Path) -> list[dict]:
    """Returns the metrics of a run, a dict a line, without lines that are damaged or cut short.

    The lines of a validation have names of their own, `validation_loss` and so on.
    """
    path = workdir / METRICS_FILE
    rows = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                rows.append(row)
    return rows


class Telemetry:
    """Writes metrics and shows progress, on one process of a run.

    It warns of a full disk and goes on: the lines wait until there is room.
    """

    def __init__(self, workdir: Path, config: PretrainConfig, *, start: int, total: int):
        """Goes on at step `start` of `total`; removes the lines of later steps, of a lost run.

        Raises:
          UserError: the workdir cannot be written.
        """
        self.start, self.total = start, total
        self._active, self._batch_size = hosts.is_chief(), config.batch_size
        self._unwritable = set()  # what failed when it was last tried
        peak = peak_flops(jax.devices()[0].device_kind)
        flops = train_flops(config.model, config.views, config.objective)
        self._mfu_per_rate = flops / (jax.device_count() * peak) if peak else None
        self._bar = tqdm.tqdm(
            total=total,
            initial=start,
            unit="step",
            disable=not self._active,
            mininterval=0.5 if sys.stderr.isatty() else 20,
            dynamic_ncols=True,
        )
        self.restart_clocks(start)
        if self._active:
            rows = [row for row in read_metrics(workdir) if row["step"] <= start]
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            with writing(workdir):
                write_whole(workdir / METRICS_FILE, lines.encode())
                # Not buffered: of a line that fails, the rest can follow what was written.
                self._lines = (workdir / METRICS_FILE).open("ab", buffering=0)
            self._unwritten = b""
            self._events = EventFolder(workdir / EVENTS_FOLDER, first_step=start + 1)

    def restart_clocks(self, step: int) -> None:
        """Restarts the clocks: the time before (compiling, drawing) does not count."""
        self._start_time, self._start_step = time.perf_counter(), step
        self._seconds = {"data": 0.0, "checkpoint": 0.0}

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Counts the time within as waiting for `data`, or for a `checkpoint`."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += time.perf_counter() - before

    def progress(self, metrics: dict[str, float]) -> None:
        """Moves the bar by one step; compiling, before the first, does not count in its rate."""
        if self._bar.n == self.start:
            self._bar.unpause()
        shown = {name: f"{metrics[name]:.4f}" for name in ("loss", "reconstruction", "agreement")}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Records the metrics of a step, the rate since the last record and the time by part.

        Seconds are a mean step's; `compute_seconds` is the rest beside data and checkpoints. While
        the host waits for data the device may still compute: `data_seconds` that dominate mean that
        the run is short of data.
        """
        if (steps := step - self._start_step) > 0:
            elapsed = time.perf_counter() - self._start_time
            rate = steps * self._batch_size / elapsed
            seconds = {name: value / steps for name, value in self._seconds.items()}
            seconds["compute"] = elapsed / steps - sum(seconds.values())
            metrics = metrics | {
                "samples_per_second": round(rate, 3),
                "samples_per_second_per_device": round(rate / jax.device_count(), 3),
                **{f"{name}_seconds": round(value, 6) for name, value in seconds.items()},
            }
            if self._mfu_per_rate:
                metrics["mfu"] = round(rate * self._mfu_per_rate, 4)
        self.restart_clocks(step)
        self._record("train", step, metrics)

    def write_validation(self, step: int, losses: dict[str, float]) -> None:
        """Records the losses of a validation, in a line of their own."""
        self._record("validation", step, losses, prefix="validation_")

    def _record(self, group: str, step: int, metrics: dict[str, float], prefix: str = "") -> None:
        if self._active:
            row = {"step": step} | {f"{prefix}{name}": value for name, value in metrics.items()}
            self._unwritten += (json.dumps(row) + "\n").encode()
            with self.tolerated(METRICS_FILE):
                self._write_lines()
            with self.tolerated(EVENTS_FOLDER):
                self._events.add(step, {f"{group}/{name}": v for name, v in metrics.items()})

    def _write_lines(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[self._lines.write(self._unwritten) :]

    @contextlib.contextmanager
    def tolerated(self, what: str) -> Iterator[None]:
        """Warns of an `OSError` within, once until it goes well again; the run goes on."""
        try:
            yield
            self._unwritable.discard(what)
        except OSError as error:
            if what not in self._unwritable:
                self._unwritable.add(what)
                self.warn(f"{what}: not written ({error.strerror}); the run goes on")

    def warn(self, message: str) -> None:
        """Writes a warning above the progress bar."""
        if self._active:
            self._bar.write(f"warning: {message}", file=sys.stderr)

    def close(self) -> None:
        """Writes the lines that wait, and ends the bar."""
        if self._active:
            with self.tolerated(METRICS_FILE):
                self._write_lines()
            with self.tolerated(EVENTS_FOLDER):
                self._events.close()
            self._lines.close()
        self._bar.close()


class EventFolder:
    """Scalars in TensorBoard's format, on a disk that may be full for a while.

    tensorboardX's own `SummaryWriter` hands them to a thread that ends at its first error, after
    which the run would wait for ever at a queue that nobody empties.
    """

    def __init__(self, folder: Path, *, first_step: int):
        """TensorBoard hides the events from `first_step` on of earlier files, of a lost run."""
        self._folder, self._first_step, self._files, self._writer = folder, first_step, 0, None
        self._try_at = 0.0

    def add(self, step: int, values: dict[str, float]) -> None:
        """Records scalars by name; raises `OSError` if they cannot be written.

        Then nothing more is tried for a minute, and a new file begins.
        """
        if time.monotonic() < self._try_at:
            return
        event = Event(wall_time=time.time(), step=step)
        for name, value in values.items():
            event.summary.MergeFrom(scalar(name, value))
        try:
            if self._writer is None:
                self._open()
            self._writer.write_event(event)
            self._writer.flush()
        except OSError:
            # It may hold half an event, and TensorBoard reads nothing behind that.
            with contextlib.suppress(OSError):
                self.close()
            self._writer, self._first_step = None, step + 1
            self._try_at = time.monotonic() + _SECONDS
            raise

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files += 1  # the names of files differ by seconds, which may be the same
        self._writer = EventsWriter(str(self._folder / "events"), f".{self._files}")
        start = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(step=self._first_step, session_log=start))

    def close(self) -> None:
        """Raises `OSError` if the last events cannot be written."""
        if self._writer:
            self._writer.close()


class Profiler:
    """Records the steps `first` to `last` with jax's profiler, for TensorBoard; 0 is no step."""

    def __init__(self, folder: Path, first: int, last: int):
        self._folder, self._first, self._last, self._running = folder, first, last, False

    def before(self, step: int) -> None:
        """Call before each step is dispatched."""
        if step == self._first:
            jax.profiler.start_trace(str(self._folder))
            self._running = True

    def after(self, step: int, result) -> None:
        """Call after each step is dispatched, with any of its arrays."""
        if self._running and step >= self._last:
            jax.block_until_ready(result)
            self.close()

    def close(self) -> None:
        """Writes the profile, also of a window whose end the run did not reach."""
        if self._running:
            jax.profiler.stop_trace()
            self._running = False
