"""Shards built side by side, by processes of this machine, or one after another in this one."""

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

from tqdm import tqdm

from micron_jax.children import signals_left_to_parent
from micron_jax.datasets.frames.plan import Shard
from micron_jax.datasets.frames.shard import build_shard
from micron_jax.errors import UserError
from micron_jax.faces.crop import detector
from micron_jax.video import film

POLL = 0.5  # seconds between two looks at the count of frames


def build_shards(shards: Sequence[Shard], bar: tqdm, workers: int) -> None:
    """Builds the shards by `workers` processes; none outlives this one, however it ends.

    Args:
      workers: 1, or a single shard, is done in this process.

    Raises:
      UserError: a process died.
      OSError, RuntimeError: a shard cannot be written.
    """
    workers = min(workers, len(shards))
    if workers > 1:
        _side_by_side(shards, bar, workers)
        return
    detect = detector(shards[0].recipe["crop"])
    for shard in shards:
        build_shard(shard, detect, bar.update)


def _side_by_side(shards: Sequence[Shard], bar: tqdm, workers: int) -> None:
    context = multiprocessing.get_context("spawn")
    # A number each, without a lock that a worker could die with.
    frames, counter = context.RawArray("q", workers), context.Value("i", 0)
    own_end, workers_end = context.Pipe(duplex=False)[::-1]
    start = bar.n
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, context, _prepare, (shards[0].recipe["crop"], frames, counter, workers_end)
    )
    try:
        with signals_left_to_parent():  # the first submissions start the workers
            waiting = {pool.submit(_build, shard) for shard in shards}
        while waiting:
            done, waiting = concurrent.futures.wait(
                waiting, POLL, concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                future.result()
            bar.update(start + sum(frames) - bar.n)
    except BrokenProcessPool:
        raise UserError(
            f"a worker process died (was there memory for workers={workers}?); start again, with "
            "fewer: finished shards stay"
        ) from None
    finally:
        own_end.close()  # workers in the middle of a shard end here
        pool.shutdown(cancel_futures=True)


_state: dict = {}  # of a worker process


def _prepare(crop: str, frames, counter, parent: Connection) -> None:
    film.THREADS = 1  # films are decoded side by side
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _state["detect"] = detector(crop)
    with counter.get_lock():
        place = counter.value
        counter.value += 1

    def tick(count: int) -> None:
        frames[place] += count

    _state["tick"] = tick


def _end_with(parent: Connection) -> None:
    """Ends this process with its parent: the next build would write the same shard."""
    try:
        parent.recv()
    except (EOFError, OSError):
        os._exit(1)


def _build(shard: Shard) -> None:
    build_shard(shard, _state["detect"], _state["tick"])
