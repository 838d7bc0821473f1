"""Candidate micro-expressions: the peaks of an energy over time that last as long as one."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from scipy.signal import find_peaks, peak_widths

from micron_jax.spotting.partners import within_clip

SHORTEST, LONGEST = 1 / 25, 1 / 2  # seconds, of a micro-expression
FOOT = 0.8  # of a peak's prominence, down from its top: where an interval begins and ends
STANDS_OUT = 4.0  # standard deviations of the energy's noise: less is no candidate


@dataclasses.dataclass(frozen=True)
class Interval:
    """A candidate.

    Attributes:
      onset, apex, offset: first, highest and last frame, as indices of the timeline.
      energy: at the apex.
      strength: its prominence, in standard deviations of the energy's noise.
      part: of the face, where the map at the apex has the most; empty where crops are no faces. A
        blink is a candidate of the eyes.
      confidence: probability that it is a micro-expression (`confidence`); NaN where nothing has
        learned it.
    """

    onset: int
    apex: int
    offset: int
    energy: float
    strength: float
    part: str = ""
    confidence: float = math.nan

    @property
    def frames(self) -> list[int]:
        """Onset, apex and offset."""
        return [self.onset, self.apex, self.offset]


def find_intervals(energy: np.ndarray, seconds: np.ndarray) -> list[Interval]:
    """Returns the peaks that last as long as a micro-expression, strongest first.

    Args:
      energy: [T].
      seconds: of the frames, increasing, [T]; no peak reaches across a `partners.HOLE`.
    """
    if len(energy) < 3:
        return []
    # Of the steps from frame to frame: a bump that fills half of a short clip is no noise.
    steps = np.abs(np.diff(energy, prepend=energy[0]))
    noise = max(1.4826 * float(np.median(steps)) / 2**0.5, 1e-6 * float(energy.max()), 1e-12)
    holes = 1 + np.flatnonzero(~within_clip(seconds))
    intervals = []
    for piece in np.split(np.arange(len(energy)), holes):
        if len(piece) > 2:
            intervals += _find_in(energy[piece], seconds[piece], noise, int(piece[0]))
    return sorted(intervals, key=lambda interval: -interval.strength)


def _find_in(
    energy: np.ndarray, seconds: np.ndarray, noise: float, first: int
) -> Iterator[Interval]:
    # What is highest at a clip's very end has not been seen to come, or to go.
    peaks, properties = find_peaks(energy, prominence=STANDS_OUT * noise)
    _, _, begins, ends = peak_widths(energy, peaks, rel_height=FOOT)
    durations = np.diff(np.interp([begins, ends], np.arange(len(seconds)), seconds), axis=0)[0]
    for apex, prominence, begin, end, duration in zip(
        peaks, properties["prominences"], begins, ends, durations, strict=True
    ):
        around = (seconds[apex + 1] - seconds[apex - 1]) / 2
        if SHORTEST <= duration <= LONGEST + around:
            onset, offset, apex = round(begin), round(end), int(apex)
            strength = float(prominence) / noise
            frames = first + onset, first + apex, first + offset
            yield Interval(*frames, float(energy[apex]), strength)
