"""Candidate micro-expressions: the peaks of an energy over time that last as long as one."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks, peak_widths

from micron_jax.spotting.partners import without_holes

SHORTEST, LONGEST = 1 / 25, 1 / 2  # seconds, of a micro-expression
FOOT = 0.8  # of a peak's prominence, down from its top: what is below it is in the noise
# Of the distance from the apex to the foot: there a motion of steady speed begins or ends. One that
# starts smoothly does so a little farther: half a wave at 1.42, one of least jerk at 1.49.
WHOLE = 1.25
SMOOTH = 0.01  # seconds: standard deviation of a Gaussian; 200 frames a second put noise on a peak
STANDS_OUT = 4.0  # standard deviations of the energy's noise: less is no candidate


@dataclasses.dataclass(frozen=True)
class Interval:
    """A candidate.

    Attributes:
      onset, apex, offset: first, highest and last frame, as indices of the timeline.
      energy: at the apex.
      prominence: how far it stands above the energy before and after it.
      strength: the same in standard deviations of the energy's noise.
      part: of the face, where the map at the apex has the most; empty where crops are no faces. A
        blink is a candidate of the eyes.
      confidence: probability that it is a micro-expression (`confidence`); NaN where nothing has
        learned it.
    """

    onset: int
    apex: int
    offset: int
    energy: float
    prominence: float
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
    intervals = []
    for piece in without_holes(seconds):
        if len(piece) > 2:
            intervals += _find_in(energy[piece], seconds[piece], noise, int(piece[0]))
    return sorted(intervals, key=lambda interval: -interval.strength)


def _find_in(
    energy: np.ndarray, seconds: np.ndarray, noise: float, first: int
) -> Iterator[Interval]:
    rate = (len(seconds) - 1) / max(seconds[-1] - seconds[0], 1e-6)
    smooth = gaussian_filter1d(energy.astype(np.float64), SMOOTH * rate)
    # What is highest at a clip's very end has not been seen to come, or to go.
    peaks, properties = find_peaks(smooth, prominence=STANDS_OUT * noise)
    _, _, *feet = peak_widths(smooth, peaks, rel_height=FOOT)
    begins, ends = np.clip(peaks + WHOLE * (np.array(feet) - peaks), 0, len(energy) - 1)
    durations = np.diff(np.interp([begins, ends], np.arange(len(seconds)), seconds), axis=0)[0]
    for apex, prominence, begin, end, duration in zip(
        peaks, properties["prominences"], begins, ends, durations, strict=True
    ):
        around = (seconds[apex + 1] - seconds[apex - 1]) / 2
        if SHORTEST <= duration <= LONGEST + around:
            onset, offset, apex = round(begin), round(end), int(apex)
            frames = first + onset, first + apex, first + offset
            heights = float(energy[apex]), float(prominence), float(prominence) / noise
            yield Interval(*frames, *heights)
