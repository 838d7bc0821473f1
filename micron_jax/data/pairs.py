"""Pairs of frames (t, t + δ) of one clip, drawn by the times of the frames.

δ is in seconds, so that one recipe serves films of 25 and of 200 frames per second, and films whose
rate varies.
"""

import dataclasses
import hashlib
import zlib
from collections.abc import Sequence

import numpy as np

from micron_jax.errors import UserError

DELTA_SECONDS = (5 / 30, 11 / 30)  # of the recipes: 5 to 11 frames at 30 per second
TOLERANCE = 1e-3  # seconds: WebM rounds times to milliseconds


@dataclasses.dataclass(frozen=True)
class Clip:
    """A run of frames: `count` records from number `first` of the set, none missing between them.

    Attributes:
      fps: frames per second, nominal.
      seconds: of its frames, increasing, float64 [count]; None: equally spaced, at `fps`.
    """

    name: str
    first: int
    count: int
    fps: float
    seconds: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)

    def times(self) -> np.ndarray:
        """Returns the seconds of its frames, float64 [count]."""
        return np.arange(self.count) / self.fps if self.seconds is None else self.seconds


def partner_ranges(
    clips: Sequence[Clip], delta_seconds: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the partners of all frames: those later in the clip by a time within the bounds.

    Args:
      clips: F frames in all.
      delta_seconds: the smallest and the largest δ, both included, to within `TOLERANCE`.

    Returns:
      (record of each frame, the distances of its first and of its last partner in records), int64
      [F] each. A frame has no partner where the second exceeds the third.

    Raises:
      UserError: the bounds are no range of positive numbers.
    """
    low, high = delta_seconds
    if not 0 < low <= high < np.inf:
        raise UserError(
            f"config.data.delta_seconds={delta_seconds}: must be 0 < smallest <= largest"
        )
    first, count = np.array([(c.first, c.count) for c in clips], np.int64).reshape(-1, 2).T
    place = np.arange(count.sum())
    record = place + np.repeat(first - (np.cumsum(count) - count), count)
    if not len(place):
        return record, record, record
    # All clips lie on one line of time, farther from each other than any δ.
    seconds = [clip.times() for clip in clips if clip.count]
    ends = [(times[0], times[-1] + high + 1) for times in seconds]
    begin, end = np.array(ends, np.float64).T
    shift = np.cumsum(end - begin) - end
    line = np.concatenate(seconds) + np.repeat(shift, count[count > 0])
    nearest = np.searchsorted(line, line + (low - TOLERANCE), side="left") - place
    farthest = np.searchsorted(line, line + (high + TOLERANCE), side="right") - 1 - place
    return record, np.maximum(nearest, 1), farthest


def give_pairs(clips: Sequence[Clip], delta_seconds: tuple[float, float]) -> np.ndarray:
    """Returns which clips hold a pair: bool [number of clips]; see `partner_ranges`."""
    _, nearest, farthest = partner_ranges(clips, delta_seconds)
    before = np.concatenate([[0], np.cumsum(nearest <= farthest)])
    end = np.cumsum([clip.count for clip in clips], dtype=np.int64)
    begin = end - np.array([clip.count for clip in clips], np.int64)
    return before[end] > before[begin]


def pairless(clips: Sequence[Clip], delta_seconds: tuple[float, float]) -> list[dict[str, str]]:
    """Lists the clips that hold no pair: [{"clip", "reason"}], in the order of `clips`."""
    usable = give_pairs(clips, delta_seconds)
    return [
        {"clip": clip.name, "reason": _why_pairless(clip, *delta_seconds)}
        for clip, gives in zip(clips, usable, strict=True)
        if not gives
    ]


def _why_pairless(clip: Clip, low: float, high: float) -> str:
    if clip.count < 2:
        return "one frame"
    times = clip.times()
    rate, length = f"{clip.count} frames, {clip.fps:.4g} per second", times[-1] - times[0]
    if length < low - TOLERANCE:
        return f"{rate}: {length:.3g} s long, and a pair needs {low:.3g} s"
    if (step := np.diff(times).min()) > high + TOLERANCE:
        return f"{rate}: {step:.3g} s from frame to frame, and a pair spans at most {high:.3g} s"
    return f"{rate}: no two of them are {low:.3g} to {high:.3g} s apart"


def hold_out(
    clips: Sequence[Clip], share: float, *, delta_seconds: tuple[float, float], seed: int
) -> tuple[list[Clip], list[Clip]]:
    """Splits the clips into (those for training, those for validation), in the order of `clips`.

    The choice is a function of seed and names: every host makes the same one. `share`, 0 .. 1, is
    that of the names, rounded to whole ones, and never all. Clips that share a name stay together,
    and clips without a pair (see `partner_ranges`) are for training.
    """
    gives = give_pairs(clips, delta_seconds)
    usable = {clip.name for clip, pair in zip(clips, gives, strict=True) if pair}
    count = min(round(share * len(usable)), max(len(usable) - 1, 0))
    shuffled = sorted(usable, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    held_out = set(shuffled[:count])
    training = [clip for clip in clips if clip.name not in held_out]
    return training, [clip for clip in clips if clip.name in held_out]


class Pairs:
    """All frames t that have a partner in their clip, numbered 0 .. len - 1 in order of t.

    Memory is 6 to 8 bytes a frame in most corpora: 64 MB for 8 million.

    Raises:
      UserError: see `partner_ranges`; or no clip holds a pair.
    """

    def __init__(self, clips: Sequence[Clip], delta_seconds: tuple[float, float]):
        record, nearest, farthest = partner_ranges(clips, delta_seconds)
        paired = nearest <= farthest
        if not paired.any():
            raise UserError(_no_pair(clips, delta_seconds))
        self._record, self._nearest, self._farthest = (
            numbers[paired].astype(np.min_scalar_type(numbers[paired].max()))
            for numbers in (record, nearest, farthest)
        )

    def __len__(self) -> int:
        return len(self._record)

    def digest(self) -> int:
        """Returns a checksum of all partners: equal for equal pairs alone, almost surely."""
        parts = (self._record, self._nearest, self._farthest)
        return zlib.crc32(b"".join(b"%d" % zlib.crc32(part) for part in parts))

    def partners(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The record of each pair's frame, and the distances of its first and last partner.

        `pairs` are numbers of pairs, integers of any shape, which the three results, int64, have,
        too.
        """
        parts = (self._record, self._nearest, self._farthest)
        return tuple(part[pairs].astype(np.int64) for part in parts)

    def draw(self, pairs: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Chooses partners by random numbers in [0, 1), uniformly over the frames within δ.

        `pairs` are numbers of pairs, integers [b]. Returns (t, distance), int64 [b] each; the
        partner is record t + distance.
        """
        t, nearest, farthest = self.partners(pairs)
        return t, nearest + np.floor(uniform * (farthest - nearest + 1)).astype(np.int64)


def _no_pair(clips: Sequence[Clip], delta_seconds: tuple[float, float]) -> str:
    if not clips:
        return "no clip holds a pair: there are no clips"
    longest = max(clips, key=lambda clip: clip.count)
    return (
        f"no clip holds a pair: {longest.name}, which has the most frames: "
        f"{_why_pairless(longest, *delta_seconds)}; set config.data.delta_seconds "
        f"(now {delta_seconds[0]:.3g}, {delta_seconds[1]:.3g}) to suit, or the frame rates of the "
        "corpus, if they are wrong"
    )
