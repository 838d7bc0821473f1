"""The annotated video: the face, the map over it on one scale, the energy with a cursor."""

import contextlib
from pathlib import Path

import cv2
import numpy as np

from micron_jax.spotting.timeline import Timeline
from micron_jax.video.film_writer import FilmWriter
from micron_jax.visualization.figures import MOMENTS, scale_of
from micron_jax.visualization.overlay import LABELS, overlay

SIDE, CURVE, LINE = 360, 120, 26  # px: of the longer side of a face, heights of curve and of text
BAR = 70  # px: width of the legend
FASTEST = 30.0  # frames per second that are shown; faster recordings are slowed down
FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, GRAY, RED = (255, 255, 255), (150, 150, 150), (235, 64, 52)


class AnnotatedVideo(contextlib.AbstractContextManager):
    """Writes an MP4, a frame of the timeline at a time, whole or not at all; see `FilmWriter`."""

    def __init__(self, path: Path, timeline: Timeline, *, aspect: float = 1.0):
        """Opens the file; OSError if it cannot be written."""
        self._timeline, self._top = timeline, scale_of(timeline)
        self._candidates = [*enumerate(timeline.intervals[:MOMENTS], 1)]
        width, height = SIDE * min(1, aspect), SIDE * min(1, 1 / aspect)
        self._face = (round(width / 2) * 2, round(height / 2) * 2)
        self._width = 2 * self._face[0] + BAR
        self._curve = self._draw_curve()
        self._bar = self._draw_bar()
        self._slower = max(1.0, timeline.fps / FASTEST)
        self._speed = "" if self._slower == 1 else f"  slowed {self._slower:.1f}x"
        self._film = FilmWriter(path, self._width, self._face[1] + LINE + CURVE)

    def add(self, index: int, crop: np.ndarray) -> None:
        """Appends frame `index` of the timeline; crop uint8 [V, V, 3]."""
        timeline, (width, height) = self._timeline, self._face
        face = cv2.resize(crop, self._face, interpolation=cv2.INTER_CUBIC)
        mapped = overlay(face, timeline.maps[index], self._top)
        line = np.zeros((LINE, self._width, 3), np.uint8)
        when = f"{timeline.seconds[index]:7.2f} s  frame {timeline.numbers[index]}{self._speed}"
        _write(line, when, (6, 18))
        for rank, interval in self._candidates:
            if interval.onset <= index <= interval.offset:
                _write(line, f"candidate {rank} {interval.part}", (width + 6, 18), RED)
                cv2.rectangle(mapped, (1, 1), (width - 2, height - 2), RED, 3)
        curve, x = self._curve.copy(), self._x(index)
        cv2.line(curve, (x, 0), (x, CURVE - 1), WHITE, 1)
        frame = np.vstack([np.hstack([face, mapped, self._bar]), line, curve])
        seconds = timeline.seconds[index] - timeline.seconds[0]
        self._film.add(frame, seconds * self._slower)

    def __exit__(self, *error) -> None:
        self._film.__exit__(*error)

    def _x(self, index: int) -> int:
        seconds = self._timeline.seconds - self._timeline.seconds[0]
        return 8 + round(float(seconds[index] / max(seconds[-1], 1e-9)) * (self._width - 17))

    def _draw_curve(self) -> np.ndarray:
        curve = np.zeros((CURVE, self._width, 3), np.uint8)
        energy, floor = self._timeline.energy, CURVE - 8
        for _, interval in self._candidates:
            corners = (self._x(interval.onset), 0), (self._x(interval.offset), CURVE - 1)
            cv2.rectangle(curve, *corners, (90, 25, 20), -1)
        points = [
            (self._x(n), floor - round(float(e) / self._top * (floor - 22)))
            for n, e in enumerate(energy)
        ]
        cv2.polylines(curve, [np.array(points, np.int32)], False, (253, 190, 60), 1, cv2.LINE_AA)
        for rank, interval in self._candidates:
            _write(curve, str(rank), (points[interval.apex][0] - 4, 13), RED)
        _write(curve, "energy", (10, 14), GRAY)
        return curve

    def _draw_bar(self) -> np.ndarray:
        height = self._face[1]
        bar = np.zeros((height, BAR, 3), np.uint8)
        scale = np.linspace(self._top, 0, height - 60)[:, None]
        black = np.zeros((height - 60, 14, 3), np.uint8)
        bar[30 : height - 30, 8:22] = overlay(black, np.repeat(scale, 14, axis=1), self._top)
        _write(bar, f"{self._top:.2g}", (26, 38))
        _write(bar, "0", (26, height - 30))
        _write(bar, LABELS[self._timeline.kind].split()[-1], (4, height - 10), GRAY)
        return bar


def _write(image: np.ndarray, text: str, at: tuple[int, int], color=WHITE) -> None:
    cv2.putText(image, text, at, FONT, 0.42, color, 1, cv2.LINE_AA)
