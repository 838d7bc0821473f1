"""The seconds of a film's frames."""

import math
from collections.abc import Callable
from fractions import Fraction

import av

APART = 10  # s: streams of one recording do not begin further apart
USUAL = 25.0  # frames per second of films that do not tell


class Clock:
    """The seconds of frames from the beginning of a film, which always grow."""

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        fps: float | None,
        slower: float,
        header: Callable,
        begin: int | None = None,
    ):
        """Takes an opened film.

        Args:
          fps: frames per second of the recording, in place of the film's own times.
          slower: how many seconds of the film are a second of the recording.
          header: gives the film's `Header`.
          begin: the time of the first frame, in units of the stream; None: as the film tells.
        """
        self._fps, self._slower, self._header, self._latest = fps, slower, header, -math.inf
        self._unit = stream.time_base
        self._start = Fraction(0)  # AVI begins at 0; its streams tell the order of decoding only
        if container.format.name != "avi":
            start, own = Fraction(container.start_time or 0, av.time_base), stream.start_time or 0
            apart = own * self._unit - start
            # FFmpeg rounds the start of the film to microseconds, not that of the stream.
            self._start = start / self._unit if 1e-6 < abs(apart) < APART else Fraction(own)
        if begin is not None:
            self._start = Fraction(begin)
        # Whole numbers, for fractions are slow: seconds are (pts · times − begins) / per.
        self._times = self._start.denominator * self._unit.numerator
        self._begins = self._start.numerator * self._unit.numerator
        self._per = self._start.denominator * self._unit.denominator

    def seconds(self, number: int, pts: int | None) -> float:
        """Returns the time of a frame; those without a time of their own follow at the rate."""
        if self._fps:
            return number / self._fps
        if pts is None:
            seconds = number * self._step()
        else:
            seconds = (pts * self._times - self._begins) / self._per / self._slower
        if seconds <= self._latest:  # two frames of one time, or a step back
            seconds = self._latest + self._step() / 2
        self._latest = seconds
        return seconds

    def _step(self) -> float:
        return 1 / (self._header().fps or USUAL)
