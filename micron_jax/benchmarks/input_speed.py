"""Speed of the input pipeline beside a PyTorch `DataLoader`, on the same cores, in pairs/s."""

import contextlib
import datetime
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

from micron_jax.benchmarks.step_speed import device
from micron_jax.benchmarks.worker import Failed, Worker, measure_in_turns, ratio
from micron_jax.datasets.frames.builder import build
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
    """Measures both, each in a process of its own.

    Args:
      data_dir: of a built corpus; None draws a temporary one of `size` px.
      peer: whether to measure the `DataLoader`, too; it has as many processes as there are cores.
      size: side of drawn frames, px.
      batch: pairs in a batch.
      threads, workers: see `pipeline.make_pairs`.
      rounds, seconds: see `worker.measure_in_turns`.

    Returns:
      {"ours": {"samples_per_second", "per_core", ...}, "theirs" and "ratio" (None without the
      peer), "mfu": None, "decode_limit": pairs/s of a core that only decodes, ...}.

    Raises:
      UserError: the corpus is missing or too small; torch is missing.
    """
    cores = len(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        if data_dir is None:
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            data_dir = draw_corpus(Path(scratch), size)
        request = {"data_dir": str(data_dir), "batch": batch}

        def start(name: str, module: str, request: dict) -> Worker:
            try:
                return stack.enter_context(Worker(name, module, request))
            except Failed as error:
                raise UserError(f"{name}: {error}") from error

        ahead = {"threads": threads, "workers": workers}
        sides = [start("ours", "input_jax", request | ahead)]
        if peer:
            sides.append(start("the DataLoader", "input_torch", request | {"processes": cores}))
        results = measure_in_turns(sides, samples=batch, rounds=rounds, seconds=seconds)
        facts = sides[0].facts
    for side in results:
        side["per_core"] = side["samples_per_second"] / cores
        del side["peak_bytes"]  # a loader's processes have their own memory
    jax, torch = results[0], results[1] if peer else None
    return {
        "ours": jax,
        "theirs": torch,
        "ratio": ratio(jax, torch) if torch else None,
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


def draw_corpus(scratch: Path, size: int, clips: int = 8, frames: int = 64) -> Path:
    """Builds a corpus of soft shapes under sensor noise, JPEGs of about 22 kB at 224 px."""
    rng, source = np.random.default_rng(0), scratch / "source"
    for clip in range(clips):
        (source / f"clip{clip}").mkdir(parents=True)
        coarse = rng.integers(30, 225, (14, 14, 3)).astype(np.float32)
        face = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        for number in range(frames):
            noisy = np.roll(face, number, axis=1) + rng.normal(0, 4, face.shape)
            path = source / f"clip{clip}" / f"{number}.jpg"
            cv2.imwrite(str(path), np.clip(noisy, 0, 255).astype(np.uint8))
    build(source, scratch / "data", size=size, crop="whole")
    return scratch / "data"
