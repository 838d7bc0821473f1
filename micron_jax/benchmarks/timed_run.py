"""Worker process: pretrains on drawn frames for some seconds, then stops as after a signal."""

import json
import os
import signal
import statistics
import sys
import tempfile
import threading
from pathlib import Path

from micron_jax import config
from micron_jax.benchmarks.input_speed import draw_corpus
from micron_jax.files import write_json


def measure(request: dict) -> dict:
    """Pretrains on a corpus of drawn frames, which is read from disk as any other.

    Args:
      request: {"recipe", "settings", "seconds": from the end of the preparations on}.

    Returns:
      {"steps", "batch", "samples_per_second": the median of the records but the first,
      "data_share": of the time, waiting for data, "mfu", "first_loss", "last_loss"}; None:
      unknown.
    """
    from micron_jax.datasets.frames import open_frames
    from micron_jax.training import loop
    from micron_jax.training.config import parse
    from micron_jax.training.telemetry import read_metrics

    with tempfile.TemporaryDirectory() as scratch:
        values = config.override(config.load(request["recipe"]), request["settings"])
        side = parse(config.override(values, ["data.data_dir=DIR"])).model.img_size
        data_dir = draw_corpus(Path(scratch), side)
        recipe = parse(config.override(values, [f"data.data_dir={data_dir}"]))
        stop = threading.Timer(request["seconds"], os.kill, (os.getpid(), signal.SIGTERM))

        def begin(line: str) -> None:
            print(line, flush=True)
            if stop.ident is None:  # from now on a signal is a request
                stop.start()

        workdir = Path(scratch) / "run"
        try:
            result = loop.pretrain(recipe, workdir, open_frames(data_dir), notify=begin)
        finally:
            stop.cancel()
        rows = [row for row in read_metrics(workdir) if "loss" in row]
    timed = [row for row in rows[1:] if "samples_per_second" in row]
    waiting = sum(row["data_seconds"] for row in timed)
    total = waiting + sum(row["compute_seconds"] for row in timed)

    def median(name: str) -> float | None:
        values = [row[name] for row in timed if name in row]
        return statistics.median(values) if values else None

    return {
        "steps": result.step,
        "batch": recipe.batch_size,
        "samples_per_second": median("samples_per_second"),
        "data_share": waiting / total if total else None,
        "mfu": median("mfu"),
        "first_loss": rows[0]["loss"] if rows else None,
        "last_loss": rows[-1]["loss"] if rows else None,
    }


if __name__ == "__main__":
    write_json(Path(sys.argv[1]), measure(json.loads(sys.argv[2])))
