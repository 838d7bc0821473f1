"""Scheduling of folds: batches that fit into memory, over all devices, or threads of a CPU."""

import contextlib
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.finetuning.fold_arrays import FoldArrays, SharedArrays
from micron_jax.finetuning.fold_files import FoldResult
from micron_jax.finetuning.fold_training import FoldFunctions

MEMORY_SHARE = 0.6  # of the free memory: compilers and other programs need some
EPOCHS_IN_FLIGHT = 8  # epochs that may queue up on a device


class FoldScheduler:
    """Trains folds, batch by batch.

    On a CPU as many batches are under way as it has cores: XLA runs a program of small operations
    on the thread that calls it.
    """

    def __init__(
        self,
        functions: FoldFunctions,
        folds: FoldArrays,
        shared: SharedArrays,
        *,
        epochs: int,
        at_once: int,
        moved: Mapping[str, Mapping[str, np.ndarray]] | None = None,
        stopped: Callable[[], bool] = lambda: False,
        on_epoch: Callable[[int], None] = lambda count: None,
    ):
        """Spreads the arrays over the devices.

        Args:
          functions: from `FoldTraining.side_by_side`.
          at_once: folds that are under way, at most all, split among cores and devices and rounded
            up to a multiple of the devices. A batch that is not full is filled up with repeats:
            all batches are one program, and a fold gets the same bits.
          moved: name of an error of keyframes -> `SharedArrays.samples` under it, on which each
            fold is tested once more.
          stopped: asked after every epoch; if true, unfinished batches are given up.
          on_epoch: called after every epoch of a batch with its number of folds.
        """
        at_once = min(at_once, len(folds.key))
        devices = jax.devices()[:at_once]
        one_cpu = len(devices) == 1 and devices[0].platform == "cpu"
        mesh = jax.make_mesh((len(devices),), ("folds",), (AxisType.Auto,), devices=devices)
        self._threads = min(len(os.sched_getaffinity(0)), at_once) if one_cpu else 1
        a_thread = math.ceil(at_once / self._threads)
        self._width = math.ceil(a_thread / mesh.size) * mesh.size
        self._sharding = NamedSharding(mesh, P("folds"))
        self._everywhere = NamedSharding(mesh, P())
        self._shared = jax.device_put(shared, self._everywhere)
        self._moved = moved or {}
        self._functions, self._folds, self._epochs = functions, folds, epochs
        self._stopped, self._on_epoch = stopped, on_epoch
        self._lock, self._given_up = threading.Lock(), threading.Event()

    def train(self, numbers: Sequence[int]) -> Iterator[tuple[int, FoldResult]]:
        """Trains the folds of these numbers, and yields each once its batch is done."""
        begins = range(0, len(numbers), self._width)
        self._given_up.clear()
        batches = [numbers[begin : begin + self._width] for begin in begins]
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                for results in (pool.map if self._threads > 1 else map)(self._train, batches):
                    if results is None:
                        return
                    yield from results
            finally:
                self._given_up.set()

    def _train(self, batch: Sequence[int]) -> list[tuple[int, FoldResult]] | None:
        """Trains one batch; None: it is given up."""
        filled = np.array([*batch, *([batch[0]] * (self._width - len(batch)))])
        folds = jax.device_put(self._folds[filled], self._sharding)
        with self._lock:  # one thread compiles, the others find it compiled
            state, history = self._functions.init(folds, self._shared), []
        for epoch in range(self._epochs):
            with contextlib.nullcontext() if epoch else self._lock:
                state, metrics = self._functions.epoch(state, epoch, folds, self._shared)
            history.append(metrics)
            if (epoch + 1) % EPOCHS_IN_FLIGHT == 0 or epoch + 1 == self._epochs:
                jax.block_until_ready(metrics)
            with self._lock:
                self._on_epoch(len(batch))
                if self._given_up.is_set() or self._stopped():
                    self._given_up.set()
                    return None
        with self._lock:
            probabilities = np.asarray(self._functions.predict(state, folds, self._shared))
            moved = {}
            for name, samples in self._moved.items():
                shared = self._shared.replace(samples=jax.device_put(samples, self._everywhere))
                moved[name] = np.asarray(self._functions.predict(state, folds, shared))
        return self._results(batch, history, probabilities, moved)

    def _results(self, batch, history, probabilities, moved) -> list[tuple[int, FoldResult]]:
        curves = {name: np.stack([np.asarray(m[name]) for m in history]) for name in history[0]}
        test_curves, results = curves.pop("test", None), []
        for slot, number in enumerate(batch):
            count = int(self._folds.test_count[number])
            own = {name: values[:, slot] for name, values in curves.items()}
            test_curve = None if test_curves is None else test_curves[:, slot, :count]
            errors = {name: values[slot, :count] for name, values in moved.items()}
            result = FoldResult(probabilities[slot, :count], own, test_curve, errors)
            results.append((number, result))
        return results


def fitting(functions: FoldFunctions, folds: FoldArrays, shared: SharedArrays) -> int:
    """Returns how many folds train at once in the free memory, at most all of them.

    The compiler tells the memory that one needs.
    """
    one = folds[:1]
    state = jax.eval_shape(functions.init, one, shared)
    compiled = functions.epoch.lower(state, 0, one, shared).compile()
    sizes = compiled.memory_analysis()
    if sizes is None:
        return len(folds.key)
    common = sum(leaf.nbytes for leaf in jax.tree.leaves(shared))
    own = sizes.temp_size_in_bytes + sizes.argument_size_in_bytes + sizes.output_size_in_bytes
    own = max(own - common, 1)
    per_device = max(1, int(MEMORY_SHARE * (_free_bytes() - common) / own))
    return min(per_device * jax.device_count(), len(folds.key))


def _free_bytes() -> int:
    """Free memory of a device; of the machine, where the devices share that."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return free // jax.device_count()
