"""Candidate micro-expressions: the peaks of an energy over time that last as long as one."""

import dataclasses

import numpy as np
from scipy.signal import find_peaks, peak_widths

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
    """

    onset: int
    apex: int
    offset: int
    energy: float
    strength: float
    part: str = ""

    @property
    def frames(self) -> list[int]:
        """Onset, apex and offset."""
        return [self.onset, self.apex, self.offset]


def find_intervals(energy: np.ndarray, fps: float) -> list[Interval]:
    """Returns the peaks that last as long as a micro-expression, strongest first.

    Args:
      energy: [T].
    """
    if len(energy) < 3:
        return []
    # Of the steps from frame to frame: a bump that fills half of a short clip is no noise.
    steps = np.abs(np.diff(energy, prepend=energy[0]))
    noise = max(1.4826 * float(np.median(steps)) / 2**0.5, 1e-6 * float(energy.max()), 1e-12)
    # Zeros around it: motion at a clip's very end has a peak, too.
    padded = np.concatenate([[0], energy, [0]])
    peaks, properties = find_peaks(padded, prominence=STANDS_OUT * noise)
    _, _, begins, ends = peak_widths(padded, peaks, rel_height=FOOT)
    intervals = []
    for apex, prominence, begin, end in zip(
        peaks - 1, properties["prominences"], begins, ends, strict=True
    ):
        if SHORTEST <= (end - begin) / fps <= LONGEST + 1 / fps:
            onset, offset = max(0, round(begin) - 1), min(len(energy) - 1, round(end) - 1)
            strength = float(prominence) / noise
            intervals.append(Interval(onset, int(apex), offset, float(energy[apex]), strength))
    return sorted(intervals, key=lambda interval: -interval.strength)
