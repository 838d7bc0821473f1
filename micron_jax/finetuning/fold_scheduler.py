"""Runs a few at a time: as many as fit, over all devices, each kept as soon as it is done."""

import contextlib
import dataclasses
import io
import os
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.files import write_whole
from micron_jax.finetuning.fold_training import Program, Runs

FOLDER = "folds"
SPARE = 0.6  # of the free memory is taken: compilers and other programs need some


@dataclasses.dataclass(frozen=True)
class Result:
    """What one run gave: `probabilities` float32 [test samples, C], in the order of its fold.

    `curves` are named, float32 [epochs] each; `watched` is what each epoch would have said of the
    test samples, [epochs, test samples, C], or None.
    """

    probabilities: np.ndarray
    curves: dict[str, np.ndarray]
    watched: np.ndarray | None


def path_of(workdir: Path, seed: int, fold: int) -> Path:
    """Where a finished run's result lies."""
    return workdir / FOLDER / f"seed{seed}_fold{fold:03d}.npz"


def save(path: Path, result: Result) -> None:
    """Writes a result, whole or not at all."""
    arrays = {f"curve_{name}": values for name, values in result.curves.items()}
    if result.watched is not None:
        arrays["watched"] = result.watched
    data = io.BytesIO()
    np.savez(data, probabilities=result.probabilities, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data.getvalue())


def read(path: Path) -> Result | None:
    """A finished run's result; None: there is none, or it cannot be read."""
    try:
        with np.load(path) as arrays:
            curves = {n.removeprefix("curve_"): arrays[n] for n in arrays if n.startswith("curve_")}
            return Result(arrays["probabilities"], curves, arrays.get("watched"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def train_runs(
    program: Program,
    runs: Runs,
    todo: Sequence[int],
    backbone: dict,
    samples: dict,
    labels,
    *,
    epochs: int,
    at_once: int,
    stopped: Callable[[], bool] = lambda: False,
    tick: Callable[[int, dict], None] = lambda count, metrics: None,
) -> Iterator[tuple[int, Result]]:
    """Trains runs, chunk by chunk, and yields each with its number once its chunk is done.

    On a CPU as many chunks are under way as it has cores: XLA runs a program of small operations
    on the thread that calls it.

    Args:
      program: from `loso.side_by_side`.
      runs: all of them.
      todo: which of them to train.
      backbone, samples, labels: what they share; see `loso.Program`.
      epochs: of each run.
      at_once: runs that are under way, at most all, parted among cores and devices and rounded up
        to a multiple of the devices. A chunk that is not full is filled up with repeats: all are
        one program, and a run gets the same bits.
      stopped: asked after every epoch; unfinished chunks are then given up.
      tick: called after every epoch of a chunk with how many runs it trained, and their metrics
        [R].
    """
    width = min(at_once, len(runs.key))
    devices = jax.devices()[:width]
    threads = min(len(os.sched_getaffinity(0)), width) if _is_one_cpu(devices) else 1
    width = -(-width // threads)
    mesh = jax.make_mesh((len(devices),), ("runs",), (AxisType.Auto,), devices=devices)
    apart, everywhere = NamedSharding(mesh, P("runs")), NamedSharding(mesh, P())
    width = -(-width // mesh.size) * mesh.size
    shared = backbone, samples, labels = jax.device_put((backbone, samples, labels), everywhere)
    alone, given_up = threading.Lock(), threading.Event()

    def train(chunk: Sequence[int]) -> list[tuple[int, Result]] | None:
        filled = np.array([*chunk, *([chunk[0]] * (width - len(chunk)))])
        part = jax.device_put(jax.tree.map(lambda a: a[filled], runs), apart)
        with alone:  # what compiles does so once, not in each thread
            state, history = program.init(part, backbone, samples), []
        for epoch in range(epochs):
            with contextlib.nullcontext() if epoch else alone:
                state, metrics = program.epoch(state, epoch, part, *shared)
            history.append(metrics)
            if epoch % 8 == 7 or epoch == epochs - 1:  # lets a few epochs queue up on the device
                jax.block_until_ready(metrics)
            with alone:
                tick(len(chunk), metrics)
                if given_up.is_set() or stopped():
                    given_up.set()
                    return None
        with alone:
            probabilities = np.asarray(program.predict(state, part, backbone, samples))
        return _results(chunk, runs, history, probabilities)

    chunks = [todo[begin : begin + width] for begin in range(0, len(todo), width)]
    with ThreadPoolExecutor(threads) as pool:
        try:
            for results in (pool.map if threads > 1 else map)(train, chunks):
                if results is None:
                    return
                yield from results
        finally:
            given_up.set()


def _is_one_cpu(devices: Sequence[jax.Device]) -> bool:
    return len(devices) == 1 and devices[0].platform == "cpu"


def _results(chunk, runs: Runs, history, probabilities) -> list[tuple[int, Result]]:
    history = {name: np.stack([np.asarray(m[name]) for m in history]) for name in history[0]}
    watched, results = history.pop("test", None), []
    for slot, number in enumerate(chunk):
        tested = int(runs.test_count[number])
        curves = {name: values[:, slot] for name, values in history.items()}
        seen = None if watched is None else watched[:, slot, :tested]
        results.append((number, Result(probabilities[slot, :tested], curves, seen)))
    return results


def fitting(program: Program, runs: Runs, backbone: dict, samples: dict, labels) -> int:
    """How many runs train at once in the memory there is: from what the compiler needs for one.

    At most all of them.
    """
    one = jax.tree.map(lambda a: a[:1], runs)
    state = jax.eval_shape(program.init, one, backbone, samples)
    compiled = program.epoch.lower(state, 0, one, backbone, samples, labels).compile()
    sizes = compiled.memory_analysis()
    if sizes is None:
        return len(runs.key)
    shared = sum(leaf.nbytes for leaf in jax.tree.leaves((backbone, samples, labels)))
    own = sizes.temp_size_in_bytes + sizes.argument_size_in_bytes + sizes.output_size_in_bytes
    own = max(own - shared, 1)
    per_device = max(1, int(SPARE * (_free_bytes() - shared) / own))
    return min(per_device * jax.device_count(), len(runs.key))


def _free_bytes() -> int:
    """Of a device's memory; of the machine's, where the devices share that."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return free // jax.device_count()
