"""Runs a few at a time: as many as fit, over all devices, each kept as soon as it is done."""

import dataclasses
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.evaluation.loso import Program, Runs
from micron_jax.files import write_whole

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

    Args:
      program: from `loso.side_by_side`.
      runs: all of them.
      todo: which of them to train.
      backbone, samples, labels: what they share; see `loso.Program`.
      epochs: of each run.
      at_once: runs of a chunk, at most all, rounded up to a multiple of the devices. A chunk that
        is not full is filled up with repeats: all are one program, and a run gets the same bits.
      stopped: asked after every epoch; an unfinished chunk is then given up.
      tick: called after every epoch with how many runs it trained, and their metrics [R].
    """
    mesh = jax.make_mesh((jax.device_count(),), ("runs",), axis_types=(AxisType.Auto,))
    apart, everywhere = NamedSharding(mesh, P("runs")), NamedSharding(mesh, P())
    width = -(-min(at_once, len(runs.key)) // mesh.size) * mesh.size
    backbone, samples, labels = jax.device_put((backbone, samples, labels), everywhere)
    for begin in range(0, len(todo), width):
        chunk = list(todo[begin : begin + width])
        filled = np.array(chunk + [chunk[0]] * (width - len(chunk)))
        part = jax.device_put(jax.tree.map(lambda a, at=filled: a[at], runs), apart)
        state, history = program.init(part, backbone, samples), []
        for epoch in range(epochs):
            state, metrics = program.epoch(state, epoch, part, backbone, samples, labels)
            history.append(metrics)
            if epoch % 8 == 7 or epoch == epochs - 1:  # lets a few epochs queue up on the device
                jax.block_until_ready(metrics)
            tick(len(chunk), metrics)
            if stopped():
                return
        probabilities = np.asarray(program.predict(state, part, backbone, samples))
        history = {name: np.stack([np.asarray(m[name]) for m in history]) for name in history[0]}
        watched = history.pop("test", None)
        for slot, number in enumerate(chunk):
            tested = int(runs.test_count[number])
            yield (
                number,
                Result(
                    probabilities[slot, :tested],
                    {name: values[:, slot] for name, values in history.items()},
                    None if watched is None else watched[:, slot, :tested],
                ),
            )


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
