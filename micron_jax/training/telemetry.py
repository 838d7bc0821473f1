"""What a run tells while it runs: JSON lines, TensorBoard, a progress bar."""

import json
import math
import sys
import time
from pathlib import Path

import tensorboardX
import tqdm

from micron_jax.files import write_whole

METRICS_FILE = "metrics.jsonl"


def read_metrics(workdir: Path) -> list[dict]:
    """The metrics of a run, a dict a line; a line cut short by a kill is left out."""
    path = workdir / METRICS_FILE
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


class Telemetry:
    """Writes metrics and shows progress; only on the process that is told to."""

    def __init__(self, workdir: Path, *, start: int, total: int, batch_size: int, active: bool):
        """Goes on at step `start` of `total`: lines of later steps, of a lost run, are dropped."""
        self._active, self._batch_size = active, batch_size
        self._bar = tqdm.tqdm(
            total=total,
            initial=start,
            unit="step",
            disable=not active,
            mininterval=0.5 if sys.stderr.isatty() else 20,
            dynamic_ncols=True,
        )
        self._since = (time.perf_counter(), start)
        if active:
            kept = [row for row in read_metrics(workdir) if row["step"] <= start]
            lines = "".join(json.dumps(row) + "\n" for row in kept)
            write_whole(workdir / METRICS_FILE, lines.encode())
            self._lines = (workdir / METRICS_FILE).open("a")
            self._board = tensorboardX.SummaryWriter(
                str(workdir / "tensorboard"), purge_step=start + 1
            )

    def begin(self, step: int, at: float) -> None:
        """Starts the clock of the rate: what came before (compiling, drawing) does not count."""
        self._since = (at, step)

    def progress(self, metrics: dict[str, float]) -> None:
        """One step is done."""
        shown = {name: f"{metrics[name]:.4f}" for name in ("loss", "reconstruction", "agreement")}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def write(self, step: int, metrics: dict[str, float], at: float) -> None:
        """Records the metrics of a step and, from the clock when it was given out, the rate."""
        then, before = self._since
        if step > before:
            rate = (step - before) * self._batch_size / (at - then)
            metrics = metrics | {"samples_per_second": round(rate, 3)}
        self._since = (at, step)
        if self._active:
            self._lines.write(json.dumps({"step": step} | metrics) + "\n")
            self._lines.flush()
            for name, value in metrics.items():
                self._board.add_scalar(f"train/{name}", value, step)

    def close(self) -> None:
        self._bar.close()
        if self._active:
            self._lines.close()
            self._board.close()


def not_finite(metrics: dict[str, float]) -> str | None:
    """The name of the first metric that is NaN or infinite, or None."""
    return next((name for name, value in metrics.items() if not math.isfinite(value)), None)
