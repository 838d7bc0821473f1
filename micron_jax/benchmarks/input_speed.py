"""The input pipeline beside a PyTorch `DataLoader`: pairs a second on the same cores, in turns."""

import contextlib
import datetime
import os
import tempfile
from pathlib import Path

from micron_jax.benchmarks import alternate
from micron_jax.benchmarks.drawn_frames import draw
from micron_jax.benchmarks.step_speed import device
from micron_jax.benchmarks.worker import Failed, Worker
from micron_jax.errors import UserError


def measure(
    data_dir: Path | None,
    *,
    peer: bool,
    size: int,
    batch: int,
    threads: int,
    workers: int,
    rounds: int,
    seconds: float,
) -> dict:
    """Times both, each in a process of its own.

    Args:
      data_dir: of a built corpus; None draws one, of `size` px, for the time of the measurement.
      peer: whether to measure the `DataLoader` too; it has as many worker processes as cores.
      batch: pairs in one.
      threads, workers: see `pipeline.make_pairs`.
      rounds, seconds: see `turns.measure`.

    Returns:
      {"ours": {"samples_per_second", "per_core", ...}, "theirs" and "ratio" (None without the
      peer), "mfu": None, "decode_limit": pairs/s that a core would reach if it did nothing but
      decode, ...}.

    Raises:
      UserError: no such corpus, or too small a one; no torch.
    """
    cores = len(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        if data_dir is None:
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            data_dir = draw(Path(scratch), size=size)
        asked = {"data_dir": str(data_dir), "batch": batch}

        def start(name: str, module: str, request: dict) -> Worker:
            try:
                return stack.enter_context(Worker(name, module, request))
            except Failed as error:
                raise UserError(f"{name}: {error}") from error

        ahead = {"threads": threads, "workers": workers}
        sides = [start("ours", "input_jax", asked | ahead)]
        if peer:
            sides.append(start("the DataLoader", "input_torch", asked | {"processes": cores}))
        try:
            found = alternate.measure(sides, samples=batch, rounds=rounds, seconds=seconds)
        except Failed as error:
            raise UserError(f"a side broke off: {error}") from error
        facts = sides[0].facts
    for side in found:
        side["per_core"] = side["samples_per_second"] / cores
        del side["peak_bytes"]  # a loader's workers have memory of their own
    ours, theirs = found[0], found[1] if peer else None
    return {
        "ours": ours,
        "theirs": theirs,
        "ratio": alternate.ratio(ours, theirs) if theirs else None,
        "mfu": None,
        "decode_limit": 1 / (2 * facts["decode_seconds"]),
        "jpeg_bytes": facts["jpeg_bytes"],
        "size": facts["size"],
        "batch": batch,
        "cores": cores,
        **ahead,
        "device": device(facts),
        "rounds": rounds,
        "date": datetime.date.today().isoformat(),
    }
