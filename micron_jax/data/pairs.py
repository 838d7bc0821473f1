"""Pairs of frames (t, t + delta) of one clip, by number.

A delta counts frames at 30 fps, so that one recipe serves 30 fps video and 200 fps recordings: at f
frames per second it stands for `max(1, round(delta * f / 30))` frames. Memory grows with the number
of clips, not of frames.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from micron_jax.errors import UserError


@dataclass(frozen=True)
class Clip:
    """A run of frames equally spaced in time: `count` records from number `first` of the set."""

    name: str
    first: int
    count: int
    fps: float


def deltas_at(fps: np.ndarray, delta: int) -> np.ndarray:
    """Frames at `fps` for a delta in frames at 30 fps: int64 in the shape of `fps`, at least 1."""
    return np.maximum(1, np.rint(delta * np.asarray(fps, np.float64) / 30)).astype(np.int64)


def hold_out(
    clips: Sequence[Clip], share: float, *, delta_min: int, seed: int
) -> tuple[list[Clip], list[Clip]]:
    """Splits the clips into (those for training, those for validation), in the order of `clips`.

    The choice is a function of seed and names: every host makes the same one. `share`, 0 .. 1, is
    that of the names, rounded to whole ones, and never all. Clips that share a name stay together,
    and clips too short for a pair (see `Pairs`) are for training.
    """
    usable = {clip.name for clip in clips if clip.count > deltas_at(clip.fps, delta_min)}
    count = min(round(share * len(usable)), max(len(usable) - 1, 0))
    shuffled = sorted(usable, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    held_out = set(shuffled[:count])
    training = [clip for clip in clips if clip.name not in held_out]
    return training, [clip for clip in clips if clip.name in held_out]


class Pairs:
    """All frames t that have a partner in their clip, numbered 0 .. len - 1 in order of t.

    `delta_min` and `delta_max` are the smallest and largest distance of a partner, at 30 fps.

    Raises:
      UserError: the deltas are no range of whole numbers from 1, or no clip is long enough.
    """

    def __init__(self, clips: Sequence[Clip], delta_min: int, delta_max: int):
        if not 1 <= delta_min <= delta_max:
            raise UserError(
                f"config.data.delta_min={delta_min}, config.data.delta_max={delta_max}: "
                "must be 1 <= delta_min <= delta_max"
            )
        places = [(clip.first, clip.count) for clip in clips]
        first, count = np.array(places, np.int64).reshape(-1, 2).T
        fps = np.array([clip.fps for clip in clips], np.float64)
        nearest, farthest = deltas_at(fps, delta_min), deltas_at(fps, delta_max)
        usable = count > nearest
        if not usable.any():
            longest = max(clips, key=lambda clip: clip.count, default=Clip("none", 0, 0, 30.0))
            raise UserError(
                f"no clip holds a pair: the longest, {longest.name}, has {longest.count} frames at "
                f"{longest.fps:g} fps; set config.data.delta_min (now {delta_min}) lower"
            )
        first, count, nearest, farthest = (x[usable] for x in (first, count, nearest, farthest))
        self._first, self._nearest, self._farthest = first, nearest, farthest
        self._end = first + count
        self._before = np.concatenate([[0], np.cumsum(count - nearest)])

    def __len__(self) -> int:
        return int(self._before[-1])

    def partners(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The record of each pair's frame, and the smallest and largest delta that end in its clip.

        `pairs` are numbers of pairs, integers of any shape, which the three results have, too.
        """
        clip = np.searchsorted(self._before, pairs, side="right") - 1
        t = self._first[clip] + pairs - self._before[clip]
        return t, self._nearest[clip], np.minimum(self._farthest[clip], self._end[clip] - 1 - t)

    def draw(self, pairs: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Chooses partners by random numbers in [0, 1), uniformly over the deltas in the clip.

        `pairs` are numbers of pairs, integers [b]. Returns (t, delta), int64 [b] each; the partner
        is record t + delta.
        """
        t, nearest, farthest = self.partners(pairs)
        return t, nearest + np.floor(uniform * (farthest - nearest + 1)).astype(np.int64)
