"""Clips that show one picture only: every frame bit for bit the first one."""

import numpy as np


class Sameness:
    """Compares the frames of a clip with its first one, for as long as all are the same."""

    def __init__(self):
        self._first: np.ndarray | None = None
        self._count, self._same = 0, True

    def add(self, frame: np.ndarray) -> None:
        """Adds a frame, uint8 [H, W, 3]."""
        self._count += 1
        if self._first is None:
            self._first = frame.copy()
        elif self._same:
            self._same = np.array_equal(frame, self._first)

    @property
    def reason(self) -> str:
        """A line, if there are several frames and all are the same; else empty."""
        same = self._same and self._count > 1
        return f"all {self._count:,} frames are the same picture, bit for bit" if same else ""
