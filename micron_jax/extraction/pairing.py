"""Which earlier row each row makes a pair with, by the numbers of frames or by their times."""

import dataclasses
import math
from collections import deque
from collections.abc import Iterable

from micron_jax.checks import require, within
from micron_jax.spotting.partners import HOLE, TIE
from micron_jax.video.inputs import InputClip

FARTHEST = 10.0  # seconds: the tokens of all rows up to there are held on the device
UNEVEN = 2  # times its mean rate, at most, a film has frames
OFF = 0.5  # of δ, by which frames may be nearer or farther apart


@dataclasses.dataclass(frozen=True)
class Pairing:
    """How far the two frames of a pair, t and t + δ, are apart.

    Attributes:
      rows: δ in frames, with all frames between them there.
      seconds: δ in seconds, in place of it. The partner is the earlier frame that is nearest to δ,
        no more than `OFF` nearer or farther, and none where the clip begins later; a clip that has
        a hole in time counts as two.
    """

    rows: int = 1
    seconds: float | None = None

    def __post_init__(self):
        within("", {"delta": self.rows}, delta=(1, math.inf))
        if self.seconds is not None:
            given, mend = {"delta_seconds": self.seconds}, f"must lie in 0..{FARTHEST:g}, above 0"
            require(0 < self.seconds <= FARTHEST, "", given, "delta_seconds", mend)

    def reach(self, clips: Iterable[InputClip]) -> int:
        """Returns how many rows back the partner of one may be."""
        if self.seconds is None:
            return self.rows
        rate = max((clip.fps or 0 for clip in clips if clip.count > 1), default=0)
        return 2 + math.ceil(self.seconds * rate * UNEVEN)

    def partner(self, window: deque, clip: int, number: int, seconds: float, stride: int) -> int:
        """Returns how many rows before a row its partner is; 0: it has none.

        Args:
          window: (clip, number, seconds) of the rows before it, the last one last; seconds may be
            NaN, unknown.
          clip, number, seconds: of the row.
          stride: between the numbers of two frames that follow each other.
        """
        if self.seconds is None:
            expected = clip, number - self.rows * stride
            return self.rows if window[-self.rows][:2] == expected else 0
        back, nearest, later = 0, math.inf, seconds
        for rows, (of, _, then) in enumerate(reversed(window), 1):
            if of != clip or not 0 <= later - then <= HOLE + TIE:  # nor is NaN
                return 0
            off = abs(seconds - then - self.seconds)
            if off <= nearest + TIE:  # of two as good, the farther
                back, nearest = rows, min(off, nearest)
            if seconds - then >= self.seconds - TIE:
                return back if nearest <= OFF * self.seconds else 0
            later = then
        return 0

    def reason_against(self, fps: float | None) -> str:
        """Returns why a clip of that rate gives no pair."""
        if self.seconds is None:
            return f"no two of its frames are {self.rows} apart"
        if fps is None:
            return "its frames have no times"
        return f"no two of its frames are about {self.seconds:g} s apart"
