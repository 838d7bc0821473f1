"""Runs of a clip's frames: those between two gaps, as they stand in the index of the set."""

from typing import Any


class Runs:
    """Parts the frames of a clip into runs, and notes runs and gaps in a shard's report.

    A run ends where a frame cannot be decoded, where numbers leave one out, and where time stands
    still or steps back. No pair crosses a gap, although its times may be known: a gap can hide a
    cut, and a decoder often damages the frames beside a loss.
    """

    def __init__(self, clip: str, fps: float, step: int, report: dict[str, Any]):
        """Begins a clip.

        Args:
          fps: nominal rate of its frames.
          step: between the numbers of frames that follow each other.
          report: see `shard.build_shard`.
        """
        self._clip, self._fps, self._step, self._report = clip, fps, step, report
        self._run: dict[str, Any] | None = None
        self._gap: dict[str, Any] | None = None
        self._count, self._number = 0, None

    def add(self, number: int, seconds: float) -> str:
        """Adds a frame, by its number and time; returns the name of its run."""
        if self._number is not None:
            missing = round((number - self._number) / self._step) - 1
            if missing > 0:
                self._note(f"frame {self._number + self._step} is missing", missing)
                self._run = None
            elif self._run and round(seconds, 6) <= self._report["seconds"][-1]:
                self._note(f"frame {number} is not later than the one before it", 0)
                self._run = None
        self._number, self._gap = number, None
        if self._run is None:
            self._count += 1
            name = self._clip if self._count == 1 else f"{self._clip}#{self._count}"
            self._run = {"name": name, "first": self._report["frames"], "count": 0}
            self._run["fps"] = self._fps
            self._report["clips"].append(self._run)
        self._run["count"] += 1
        self._report["frames"] += 1
        self._report["seconds"].append(round(seconds, 6))
        return self._run["name"]

    def drop(self, number: int, reason: str) -> None:
        """Notes a frame that cannot be decoded; several that follow each other are one gap."""
        if self._gap is None:
            self._gap = self._note(reason, 0)
        self._gap["frames"] += 1
        self._number, self._run = number, None

    def _note(self, reason: str, frames: int) -> dict[str, Any]:
        gap = {"clip": self._clip, "reason": reason, "frames": frames}
        self._report["dropped"].append(gap)
        return gap
