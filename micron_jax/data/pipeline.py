"""Batches of frame pairs, read and decoded ahead of the training step.

The order is a function of (seed, batch number) alone: threads, worker processes and hosts share the
work and change no batch. Augmentation runs on the device, see `views`.
"""

import contextlib
import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grain
import numpy as np
from absl import flags

from micron_jax.children import signals_left_to_parent
from micron_jax.data.pairs import Clip, Pairs
from micron_jax.errors import UserError
from micron_jax.video.image_files import decode_jpeg

Batch = dict[str, np.ndarray]
PLACES = ("index", "delta")  # of a batch, which tell where its frames come from

# Draws more arrays from a frame t, uint8 [H, W, 3], by a generator of their own.
Draw = Callable[[np.ndarray, np.random.Generator], dict[str, np.ndarray]]


def read_pairs(source: Any, index: np.ndarray, delta: np.ndarray) -> Batch:
    """Reads and decodes pairs of frames.

    Args:
      source: `source.__getitems__([record, ...])` gives dicts with JPEG bytes in "image".
      index: records of the frames t, integers [b].
      delta: distance of each partner in records, integers [b].

    Returns:
      {"cur": frames t, uint8 [b, H, W, 3], "ref": frames t + delta, likewise, "index": int64 [b],
      "delta": int32 [b]}.
    """
    index, delta = np.asarray(index, np.int64), np.asarray(delta, np.int32)
    records = source.__getitems__([*index.tolist(), *(index + delta).tolist()])
    first = decode_jpeg(records[0]["image"])
    frames = np.empty((len(records), *first.shape), np.uint8)
    frames[0] = first
    for place, record in zip(frames[1:], records[1:], strict=True):
        place[:] = decode_jpeg(record["image"])
    cur, ref = np.split(frames, 2)
    return {"cur": cur, "ref": ref, "index": index, "delta": delta}


_HELD_OUT = 2**32 - 1  # no batch of a training has this number


class PairIterator(grain.DatasetIterator):
    """Iterator of batches, endless or of some epochs, with a state that grain's checkpoints save.

    The state is the number of the next batch and the settings that define it. It restores under
    another number of threads, workers or hosts. `pairs` and `steps_per_epoch`, whole batches, count
    an epoch.
    """

    def __init__(self, batches: grain.MapDataset, identity: dict, workers: int, threads: int):
        super().__init__()
        self.pairs = identity["pairs"]
        self.steps_per_epoch = self.pairs // identity["batch_size"]
        self._batches, self._identity = batches, identity
        self._workers, self._threads = workers, threads
        self._start(0)

    def _start(self, batch: int) -> None:
        self._next = batch
        # Every thread holds one batch: more would only cost memory.
        ahead = grain.ReadOptions(num_threads=self._threads, prefetch_buffer_size=self._threads)
        rest = self._batches[batch:].to_iter_dataset(ahead)
        if self._workers:
            if not flags.FLAGS.is_parsed():  # grain's workers read flags, which absl.app parses
                flags.FLAGS.mark_as_parsed()
            rest = rest.mp_prefetch(grain.MultiprocessingOptions(num_workers=self._workers))
        self._ahead, self._started = iter(rest), False

    def __next__(self) -> Batch:
        self._assert_not_closed()
        with contextlib.nullcontext() if self._started else signals_left_to_parent():
            batch = next(self._ahead)  # the first one starts the workers
        self._started = True
        self._next += 1
        if self._workers:
            # Theirs lies in shared memory. JAX keeps the arrays it is given, without a copy on a
            # CPU, even beyond the end of the run: then nobody would remove the shared memory.
            batch = {name: np.array(rows) for name, rows in batch.items()}
        return batch

    def get_state(self) -> dict[str, Any]:
        return {"batch": self._next, **self._identity}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from where `get_state` was called.

        Raises:
          UserError: the state comes from other data, or from another batch size, seed or delta.
        """
        differences = ", ".join(
            f"{name} was {state.get(name)} and is {value}"
            for name, value in self._identity.items()
            if state.get(name) != value
        )
        if differences:
            raise UserError(
                f"the checkpoint's place in the data does not fit: {differences}; "
                "resume with the settings of the run, or begin in a new workdir"
            )
        self._ahead.close()
        self._start(state["batch"])

    def close(self) -> None:
        if not self._closed and hasattr(self, "_ahead"):
            self._ahead.close()
        super().close()


def make_pairs(
    source: Any,
    clips: Sequence[Clip],
    *,
    batch_size: int,
    delta_seconds: tuple[float, float],
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
    workers: int = 0,
    threads: int = 8,
    shuffle: bool = True,
    epochs: int | None = None,
    draw: Draw | None = None,
) -> PairIterator:
    """Batches of pairs (t, t + delta), in a new order and with new partners in each epoch.

    Epochs follow one another without a seam: a batch may hold the last pairs of one and the
    first of the next. Only the remainder of the very last epoch is dropped.

    Args:
      source: random access to the records, see `read_pairs`.
      batch_size: pairs in a batch over all processes, B. Of its rows, process p of P gets
        [p * B / P, (p + 1) * B / P): together they see the batches that one alone would.
      delta_seconds: the smallest and the largest δ; see `pairs.partner_ranges`.
      seed: of order and partners, 0 .. 2**32 - 1.
      process_index, process_count: p and P.
      workers: processes that read ahead; threads suffice, as JPEG decoding does without the GIL.
      threads: per process; each holds one batch.
      shuffle: False leaves the pairs in order of t.
      epochs: None repeats for ever.
      draw: makes further arrays of each pair, by a generator of its `seed`, batch and row alone.

    Returns:
      An iterator of `read_pairs` batches of b = B / P rows.

    Raises:
      UserError: the batch size is larger than the number of pairs or cannot be shared out evenly,
        a number is out of range, or no clip holds a pair.
    """
    pairs = Pairs(clips, delta_seconds)
    if not 1 <= batch_size <= len(pairs):
        raise UserError(
            f"config.batch_size={batch_size}: must lie in 1..{len(pairs)}, the number of pairs"
        )
    if not 0 <= seed < 2**32:
        raise UserError(f"config.seed={seed}: must lie in 0..2**32 - 1")
    for field, number, least in (("workers", workers, 0), ("threads", threads, 1)):
        if number < least:
            raise UserError(f"config.data.{field}={number}: must be at least {least}")
    rows = _rows(batch_size, process_index, process_count)
    order = grain.MapDataset.range(len(pairs)).seed(seed)
    if shuffle:
        order = order.shuffle()
    order = order.repeat(epochs)  # another order in each epoch
    read = _ReadBatch(source, pairs, order, batch_size, rows, seed, draw)
    batches = grain.MapDataset.range(len(order) // batch_size).map(read)
    identity = dict(pairs=len(pairs), batch_size=batch_size, delta_seconds=[*delta_seconds])
    identity |= dict(partners=pairs.digest(), seed=seed, shuffle=shuffle)
    return PairIterator(batches, identity, workers, threads)


def held_out_batches(
    source: Any,
    clips: Sequence[Clip],
    *,
    batches: int,
    batch_size: int,
    delta_seconds: tuple[float, float],
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
    threads: int = 4,
    draw: Draw | None = None,
) -> grain.IterDataset:
    """The same few batches at each iteration: pairs spread evenly over the clips.

    Each frame has one partner, drawn from `seed`. With fewer pairs than places, some come more than
    once. The other arguments are those of `make_pairs`.
    """
    pairs = Pairs(clips, delta_seconds)
    count = batches * batch_size
    rows = _rows(batch_size, process_index, process_count)
    numbers = (np.arange(count) * len(pairs) // count).reshape(batches, batch_size)[:, rows]
    # A partner belongs to its pair, so that another number of batches changes none.
    uniform = np.random.Generator(np.random.Philox(key=[seed, 0])).random(len(pairs))

    def read(batch: int) -> Batch:
        frames = read_pairs(source, *pairs.draw(numbers[batch], uniform[numbers[batch]]))
        return frames | _drawn(draw, frames, rows, (seed, _HELD_OUT, batch))

    ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
    return grain.MapDataset.range(batches).map(read).to_iter_dataset(ahead)


def _drawn(draw: Draw | None, frames: Batch, rows: slice, key: tuple[int, ...]) -> Batch:
    """More arrays of each row of a batch, none of which depends on the number of processes."""
    if draw is None:
        return {}
    drawn = [
        draw(cur, np.random.default_rng([*key, row]))
        for row, cur in zip(range(rows.start, rows.stop), frames["cur"], strict=True)
    ]
    return {name: np.stack([arrays[name] for arrays in drawn]) for name in drawn[0]}


def _rows(batch_size: int, process_index: int, process_count: int) -> slice:
    """The rows of a batch that a process reads."""
    if batch_size % process_count:
        raise UserError(
            f"config.batch_size={batch_size}: does not divide among {process_count} processes"
        )
    share = batch_size // process_count
    return slice(process_index * share, (process_index + 1) * share)


@dataclass(frozen=True)
class _ReadBatch:
    """Batch number -> this process's rows of it. A class, as workers must be able to pickle it."""

    source: Any
    pairs: Pairs
    order: grain.MapDataset
    batch_size: int
    rows: slice
    seed: int
    draw: Draw | None

    def __setstate__(self, state: dict[str, Any]):
        self.__dict__.update(state)
        _end_with_parent()

    def __call__(self, number: int) -> Batch:
        # Not grain's `batch` and `random_map`: on every host they would draw the whole global
        # batch, at 0.2 ms a pair under the GIL.
        first = number * self.batch_size
        numbers = range(first, first + self.batch_size)[self.rows]
        order = np.array([self.order[n] for n in numbers], np.int64)
        uniform = np.random.Generator(np.random.Philox(key=[self.seed, number]))
        index, delta = self.pairs.draw(order, uniform.random(self.batch_size)[self.rows])
        frames = read_pairs(self.source, index, delta)
        return frames | _drawn(self.draw, frames, self.rows, (self.seed, number))


@functools.cache
def _end_with_parent() -> None:
    """Ends this worker process when the run is killed; grain's would wait for it for ever."""
    parent = multiprocessing.parent_process()

    def wait_and_end():
        parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=wait_and_end, daemon=True).start()
