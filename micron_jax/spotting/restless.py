"""Spans of a film in which a face moves all the time, as it does when it speaks.

What comes and goes there by less than the rest cannot be told from it: there is no verdict.
"""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import median_filter

from micron_jax.faces.parts import part_of
from micron_jax.spotting.partners import without_holes
from micron_jax.spotting.timeline import Timeline

WINDOW = 1.5  # seconds, of whose energies the median is taken: three times the longest expression
LEAST = 0.5  # px, of that median
SHORTEST = 0.5  # seconds of a span
_LOOKED_AT = 50  # maps of a span, from which its part is taken

COLUMNS = ("video", "first", "last", "first_seconds", "last_seconds", "part", "px")


@dataclasses.dataclass(frozen=True)
class Span:
    """Frames in which a face never rests.

    Attributes:
      frames: numbers of the first and the last in the film.
      seconds: the same, on the film's clock.
      part: of the face, where most of it is: the mouth's or the chin's is speech, as a rule.
      px: the median energy: what stays below it cannot be seen.
    """

    frames: tuple[int, int]
    seconds: tuple[float, float]
    part: str
    px: float


def restless_spans(timeline: Timeline, *, faces: bool = True) -> list[Span]:
    """The spans of a timeline of the kind `motion`, in order; crops of `faces` have parts."""
    seconds = timeline.seconds
    width = max(1, round(WINDOW * timeline.fps))
    spans = []
    for piece in without_holes(seconds):
        level = median_filter(timeline.energy[piece], size=min(width, len(piece)), mode="nearest")
        edges = np.flatnonzero(np.diff(np.pad(level > LEAST, 1).astype(np.int8)))
        for first, last in np.add(edges.reshape(-1, 2), (piece[0], piece[0] - 1)):
            if seconds[last] - seconds[first] < SHORTEST:
                continue
            some = np.unique(np.linspace(first, last, _LOOKED_AT).round().astype(int))
            spans.append(
                Span(
                    (int(timeline.numbers[first]), int(timeline.numbers[last])),
                    (float(seconds[first]), float(seconds[last])),
                    part_of(timeline.maps[some].mean(0)) if faces else "",
                    float(np.median(timeline.energy[first : last + 1])),
                )
            )
    return spans


def table(films: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The spans of films, name -> dicts of `Span`, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, spans in films.items():
        for span in spans:
            times = [f"{second:.4f}" for second in span["seconds"]]
            writer.writerow([name, *span["frames"], *times, span["part"], f"{span['px']:.3f}"])
    return text.getvalue()
