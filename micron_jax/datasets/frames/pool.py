"""Shards built side by side, by processes of this machine, or one after another in this one."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

from tqdm import tqdm

from micron_jax.datasets.frames import shard as shards
from micron_jax.datasets.frames.plan import Shard
from micron_jax.errors import UserError
from micron_jax.faces.crop import detector

POLL = 0.5  # seconds between two looks at the count of frames


def build_shards(todo: Sequence[Shard], bar: tqdm, workers: int) -> None:
    """Builds the shards by `workers` processes; none of them outlives this one, however it ends.

    Args:
      todo: shards, at least one.
      bar: counts frames.
      workers: 1, or a single shard, is done in this process.

    Raises:
      UserError: a process died, or the face detector is not installed.
      OSError, RuntimeError: a shard cannot be written.
    """
    workers = min(workers, len(todo))
    if workers > 1:
        _side_by_side(todo, bar, workers)
        return
    detect = detector(todo[0].recipe["crop"])
    for shard in todo:
        shards.build_shard(shard, detect, bar.update)


def _side_by_side(todo: Sequence[Shard], bar: tqdm, workers: int) -> None:
    context = multiprocessing.get_context("spawn")
    # A number each, without a lock that a worker could die with.
    frames, taken = context.RawArray("q", workers), context.Value("i", 0)
    ours, theirs = context.Pipe(duplex=False)[::-1]
    start = bar.n
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, context, _prepare, (todo[0].recipe["crop"], frames, taken, theirs)
    )
    try:
        waiting = {pool.submit(_build, shard) for shard in todo}
        while waiting:
            done, waiting = concurrent.futures.wait(
                waiting, POLL, concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                future.result()
            bar.update(start + sum(frames) - bar.n)
    except BrokenProcessPool:
        raise UserError(
            "a worker process died (was there memory for --workers "
            f"{workers}?); start again, with fewer: finished shards are kept"
        ) from None
    finally:
        ours.close()  # workers in the middle of a shard end here
        pool.shutdown(cancel_futures=True)


_state: dict = {}  # of a worker process


def _prepare(crop: str, frames, taken, parent: Connection) -> None:
    os.environ["OPENCV_FFMPEG_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, and that suffices
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _state["detect"] = detector(crop)
    with taken.get_lock():
        place = taken.value
        taken.value += 1

    def tick(count: int) -> None:
        frames[place] += count

    _state["tick"] = tick


def _end_with(parent: Connection) -> None:
    """A shard that nobody waits for must not go on: the next build would write it, too."""
    try:
        parent.recv()
    except (EOFError, OSError):
        os._exit(1)


def _build(shard: Shard) -> None:
    shards.build_shard(shard, _state["detect"], _state["tick"])
