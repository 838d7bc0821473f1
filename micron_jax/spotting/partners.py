"""Partners of the frames of a clip: those about δ before and δ after each, by their times."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

HOLE = 0.5  # seconds without a frame, from which on the clip counts as two
TIE = 2.5e-3  # seconds, more than rounding to 1 ms does: of two partners as good, the farther is it


def within_clip(seconds: np.ndarray) -> np.ndarray:
    """Returns which steps from frame to frame are no `HOLE`, bool [T - 1]; `seconds` is [T]."""
    steps = np.diff(seconds)
    return (steps >= 0) & (steps <= HOLE + TIE)


def without_holes(seconds: np.ndarray) -> list[np.ndarray]:
    """The indices of T frames, in a part for each stretch between holes; `seconds` is [T]."""
    return np.split(np.arange(len(seconds)), 1 + np.flatnonzero(~within_clip(seconds)))


class _Frame(NamedTuple):
    index: int
    seconds: float
    crop: np.ndarray  # uint8 [V, V, 3]


@dataclasses.dataclass
class Partners:
    """The pairs that compare each of T frames with one before and one after it.

    The partner is the frame nearest to δ. At a clip's ends, and at the sides of a hole, the first
    and the last frame stand in for those that are not there; a frame between two holes has itself.

    Attributes:
      delta: δ, seconds.
      before, after: partners of each frame, as indices, [T].
      maps_before, maps_after: numbers of the pairs that compare them, [T].
      backward: of the pair with the frame after it, whether this frame is the other one, [T].
    """

    delta: float
    before: list[int] = dataclasses.field(default_factory=list)
    after: list[int] = dataclasses.field(default_factory=list)
    maps_before: list[int] = dataclasses.field(default_factory=list)
    maps_after: list[int] = dataclasses.field(default_factory=list)
    backward: list[bool] = dataclasses.field(default_factory=list)
    _count: int = 0  # of pairs
    _ahead: dict[tuple[int, int], int] = dataclasses.field(default_factory=dict)  # used once more

    def pair(
        self, frames: Iterable[tuple[float, np.ndarray]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (crop, the other crop) of each pair, once; 2 δ of the frames are in memory.

        Args:
          frames: (seconds, crop uint8 [V, V, 3]), in order.
        """
        window: deque[_Frame] = deque()
        waiting: deque[_Frame] = deque()  # for their partner after them
        for index, (seconds, crop) in enumerate(frames):
            frame = _Frame(index, seconds, crop)
            if window and not 0 <= seconds - window[-1].seconds <= HOLE + TIE:
                yield from self._settle_rest(waiting, window)
                window.clear()
            window.append(frame)
            waiting.append(frame)
            while waiting and seconds >= waiting[0].seconds + self.delta - TIE:
                first = waiting.popleft()
                partner = _nearest(window, first.seconds + self.delta)[-1]
                yield from self._settle(first, window, partner, stands_in=False)
        yield from self._settle_rest(waiting, window)

    def _settle_rest(self, waiting: deque[_Frame], window: deque[_Frame]) -> Iterator:
        """Settles the frames that end before their partner: the last frame stands in for it."""
        if not waiting:
            return
        last = window[-1]
        of_last = self._before(last, window)
        while waiting:
            frame = waiting.popleft()
            yield from self._settle(frame, window, last, stands_in=frame is not of_last)

    def _settle(
        self, frame: _Frame, window: deque[_Frame], after: _Frame, *, stands_in: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the pairs of a frame that no other one has had before it."""
        while len(window) > 1 and window[1].seconds <= frame.seconds - self.delta:
            window.popleft()
        before = self._before(frame, window)
        self.before.append(before.index)
        self.after.append(after.index)
        number = self._ahead.pop((frame.index, before.index), None)
        if number is None:
            number, self._count = self._count, self._count + 1
            yield frame.crop, before.crop
        self.maps_before.append(number)
        if after is frame and before is frame:
            self.maps_after.append(number)
            self.backward.append(False)
            return
        # The frame after it is met with this one again, when its own turn comes.
        number, self._count = self._count, self._count + 1
        self.maps_after.append(number)
        self.backward.append(not stands_in)
        if stands_in:
            yield frame.crop, after.crop
        else:
            self._ahead[after.index, frame.index] = number
            yield after.crop, frame.crop

    def _before(self, frame: _Frame, window: deque[_Frame]) -> _Frame:
        earlier = [each for each in window if each.index < frame.index] or [frame]
        return _nearest(earlier, frame.seconds - self.delta)[0]


def _nearest(frames: Iterable[_Frame], seconds: float) -> list[_Frame]:
    """Returns the frames that are nearest to a time, in order; there may be two."""
    distances = [(abs(frame.seconds - seconds), frame) for frame in frames]
    least = min(distance for distance, _ in distances) + TIE
    return [frame for distance, frame in distances if distance <= least]
