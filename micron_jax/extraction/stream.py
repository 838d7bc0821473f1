"""Clips become a stream of batches, and batches features, with bounded memory.

The stream runs on across clips, so that a thousand photographs fill their batches too. A row's
partner, δ rows before it, may lie in an earlier batch: the tokens of the last δ rows stay on the
device as the step's window. Whether the two rows are a pair of one clip, the host knows.
"""

import concurrent.futures
import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from micron_jax.data.views import normalize
from micron_jax.faces.crop import place_crop
from micron_jax.faces.landmarks import Detector
from micron_jax.models.config import ModelConfig
from micron_jax.models.micron_bert import bound
from micron_jax.training.sharding import batch_sharding
from micron_jax.video.image_files import Unreadable
from micron_jax.video.inputs import InputClip

WHAT = ("tokens", "cls", "pooled", "dma")


@dataclasses.dataclass(frozen=True)
class Place:
    """How far a stream has come: the next row is the first after these.

    Attributes:
      source: which of the inputs the last row is of; how many there are, at the very end.
      number: the last row's, in its clip; -1: of that input nothing was given out yet.
      rows, clips: how many there were.
    """

    source: int = 0
    number: int = -1
    rows: int = 0
    clips: int = 0


@dataclasses.dataclass
class Batch:
    """Up to B rows and what happened on the way to them.

    Attributes:
      images: uint8 [B, S, S, 3]; rows that are none are black.
      clip, number, seconds: of each row, int64, int64 and float64 (NaN: unknown).
      paired: bool, whether the row δ before is this row's partner.
      warm: the rows were given out before, and are there for the window only.
      clips, skipped, dropped: entries of clips that begin here, that cannot be used, and of frames
        that cannot.
      place: after the last row.
    """

    images: np.ndarray
    clip: list[int] = dataclasses.field(default_factory=list)
    number: list[int] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    paired: list[bool] = dataclasses.field(default_factory=list)
    warm: bool = False
    clips: list[dict] = dataclasses.field(default_factory=list)
    skipped: list[dict] = dataclasses.field(default_factory=list)
    dropped: list[dict] = dataclasses.field(default_factory=list)
    place: Place = Place()


def batches(
    clips: list[InputClip],
    *,
    crop: str,
    size: int,
    detect: Detector | None,
    batch: int,
    delta: int,
    start: Place,
) -> Iterator[Batch]:
    """All frames of the clips that can be used, in order, from a place on.

    Args:
      clips: what to read.
      crop: one of `faces.crop.KINDS`.
      size: side of the crops, pixels.
      detect: finds faces.
      batch: rows in a batch, B.
      delta: δ, rows between partners.
      start: where an earlier stream of the same clips ended.

    Yields:
      Batches of B rows, the last one of fewer; after a start within a clip, first the rows before
      it that a pair may need (`warm`).
    """
    window = deque([None] * delta, maxlen=delta)
    black = np.zeros((batch, size, size, 3), np.uint8)
    now = Batch(black.copy(), place=start)
    for source in range(start.source, len(clips)):
        clip, again = clips[source], source == start.source and start.number >= 0
        try:
            cut = place_crop(clip.frames(), crop, size, detect)
        except Unreadable as error:
            now.skipped.append({"clip": clip.name, "reason": str(error)})
            continue
        if again:
            index = start.clips - 1
        else:
            index = now.place.clips
            entry = {"clip": clip.name, "fps": clip.fps, "transform": cut.transform.tolist()}
            now.clips.append(entry)
            now.place = dataclasses.replace(now.place, clips=index + 1)
        before = deque(maxlen=delta)
        for number, seconds, frame in clip.read():
            if again and number <= start.number:
                if not isinstance(frame, Unreadable):
                    before.append((number, cut(frame)))
                continue
            if before:
                yield from _warm(before, index, black, window)
                before.clear()
            if isinstance(frame, Unreadable):
                now.dropped.append({"clip": clip.name, "frame": number, "reason": str(frame)})
                continue
            now.images[len(now.number)] = cut(frame)
            now.clip.append(index)
            now.number.append(number)
            now.seconds.append(np.nan if seconds is None else seconds)
            now.paired.append(window[0] == (index, number - delta * clip.stride))
            window.append((index, number))
            place = now.place
            now.place = Place(source, number, place.rows + 1, place.clips)
            if len(now.number) == batch:
                yield now
                now = Batch(black.copy(), place=now.place)
    now.place = dataclasses.replace(now.place, source=len(clips), number=-1)
    if now.number or now.skipped or now.dropped:
        yield now


def _warm(before: deque, index: int, black: np.ndarray, window: deque) -> Iterator[Batch]:
    # Padded in front, so that the window ends with the row before the first that is wanted.
    rows = [*before]
    short = -len(rows) % len(black)
    images = np.concatenate([black[:short], np.stack([image for _, image in rows])])
    for first in range(0, len(images), len(black)):
        yield Batch(images[first : first + len(black)], warm=True)
    window.extend((index, number) for number, _ in rows)


@functools.cache
def make_step(config: ModelConfig, what: tuple[str, ...], mesh: Mesh) -> Callable:
    """The jitted step(params, window, images) -> (window, features).

    Args:
      config: of the model.
      what: some of `WHAT`.
      mesh: over which a batch is spread; parameters and window are on every device.

    Returns:
      The step. Images are uint8 [B, S, S, 3], the window is [δ, 1 + N, D], and the features are
      float32: `tokens` [B, N, D], `cls` [B, D], `pooled` (the mean of the patch tokens) [B, D],
      `dma` [B, N, D], P_dma of each row as frame t + δ and the row δ before as frame t.
    """

    def step(params, window, images):
        network = bound(config, params)
        tokens = network.encode(normalize(images))
        wide = tokens.astype(jnp.float32)
        features = {
            "tokens": wide[:, 1:],
            "cls": wide[:, 0],
            "pooled": wide[:, 1:].mean(axis=1),
        }
        if "dma" in what:
            line = jnp.concatenate([window, tokens])
            earlier, window = line[: len(tokens)], line[len(tokens) :]
            features["dma"] = network.attend(earlier, tokens).astype(jnp.float32)
        return window, {name: features[name] for name in what}

    everywhere, spread = NamedSharding(mesh, P()), batch_sharding(mesh)
    return jax.jit(
        step,
        in_shardings=(everywhere, everywhere, spread),
        out_shardings=(everywhere, spread),
        donate_argnums=1,
    )


def features(
    step: Callable, params: dict, window: jax.Array, stream: Iterator[Batch]
) -> Iterator[tuple[Batch, dict[str, np.ndarray]]]:
    """Runs the step over a stream; reading, computing and fetching overlap.

    Yields:
      (batch, features of its rows), without the warm ones.
    """
    before = None
    for batch in _ahead(stream):
        window, out = step(params, window, batch.images)
        if before:
            yield _fetch(*before)
        before = None if batch.warm else (batch, out)
    if before:
        yield _fetch(*before)


def _fetch(batch: Batch, out: dict) -> tuple[Batch, dict[str, np.ndarray]]:
    rows = len(batch.number)
    return batch, {name: value[:rows] for name, value in jax.device_get(out).items()}


def _ahead(stream: Iterator[Batch]) -> Iterator[Batch]:
    """The same, the next one being made in a thread while this one is used."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        following = functools.partial(pool.submit, next, stream, None)
        future = following()
        while (batch := future.result()) is not None:
            future = following()
            yield batch
