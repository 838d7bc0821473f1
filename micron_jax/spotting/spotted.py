"""Micro-expressions in films of any length: onset, apex and offset, where, and how likely."""

import csv
import dataclasses
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from micron_jax.faces.parts import part_of
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.confidence import Confidence, facts_of
from micron_jax.spotting.intervals import Interval, find_intervals
from micron_jax.spotting.restless import Span, restless_spans
from micron_jax.spotting.timeline import Frame, Timeline, measure_timeline

COLUMNS = (
    *("video", "onset", "apex", "offset", "kind", "confidence", "part", "px"),
    *("onset_seconds", "apex_seconds", "offset_seconds"),
)
KIND = "micro"


@dataclasses.dataclass(frozen=True)
class Spotted:
    """A candidate in a film.

    Attributes:
      frames: numbers of onset, apex and offset in the film, from 0.
      seconds: the same, since the film's first frame.
      part: of the face, where most of it is.
      px: displacement at the apex, the mean of the face's highest twentieth.
      facts: see `confidence.facts_of`.
    """

    frames: tuple[int, int, int]
    seconds: tuple[float, float, float]
    part: str
    px: float
    facts: tuple[float, ...]


def candidates(timeline: Timeline, method: str, *, faces: bool = True) -> list[Spotted]:
    """The candidates of a timeline, in order of time, by displacement or by optical flow.

    Args:
      timeline: of the kind `motion`.
      method: `motion` or `flow`.
      faces: the crops are aligned faces, which have parts.
    """
    if method == "motion":
        energy, intervals = timeline.energy, timeline.intervals
    else:
        energy = timeline.flow_energy
        intervals = [
            dataclasses.replace(each, part=part_of(timeline.flow[each.apex]) if faces else "")
            for each in find_intervals(energy, timeline.seconds)
        ]
    since = timeline.seconds - timeline.seconds[0]
    found = [_spotted(each, timeline.numbers, since, energy) for each in intervals]
    return sorted(found, key=lambda one: one.frames)


def _spotted(
    interval: Interval, numbers: np.ndarray, seconds: np.ndarray, energy: np.ndarray
) -> Spotted:
    return Spotted(
        tuple(int(numbers[n]) for n in interval.frames),
        tuple(float(seconds[n]) for n in interval.frames),
        interval.part,
        interval.energy,
        tuple(map(float, facts_of(interval, energy, seconds))),
    )


def spot(
    model: MicronBert,
    frames: Iterable[Frame],
    *,
    fps: float,
    faces: bool = True,
    methods: Sequence[str] = ("motion",),
) -> tuple[dict[str, list[Spotted]], list[Span], list[str]]:
    """Finds candidates in a film of an aligned face; memory does not grow with its length.

    Args:
      model: with a displacement branch.
      frames, fps, faces: see `measure_timeline`.
      methods: of `candidates`.

    Returns:
      ({method: candidates}, spans in which the face never rests, notes on the film).

    Raises:
      UserError: no two frames can be compared.
      ValueError: the checkpoint has no displacement branch.
    """
    timeline = measure_timeline(model, frames, fps=fps, kind="motion", faces=faces, confident=False)
    found = {method: candidates(timeline, method, faces=faces) for method in methods}
    return found, restless_spans(timeline, faces=faces), timeline.notes


def table(
    films: Mapping[str, Sequence[Mapping[str, Any]]], confidence: Confidence, least: float
) -> tuple[str, int]:
    """The table of all films as CSV, and its number of rows.

    Args:
      films: name -> candidates, as dicts of `Spotted`.
      least: probability of a row.
    """
    text, rows = io.StringIO(newline=""), 0
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, found in films.items():
        for one in found:
            probability = float(confidence.probability(np.array([one["facts"]]))[0])
            if probability < least:
                continue
            times = [f"{second:.4f}" for second in one["seconds"]]
            about = [KIND, f"{probability:.4f}", one["part"], f"{one['px']:.3f}"]
            writer.writerow([name, *one["frames"], *about, *times])
            rows += 1
    return text.getvalue(), rows


def film_frames(clip) -> Iterable[Frame]:
    """The frames of a `CroppedClip`, behind a bar."""
    return tqdm(
        clip.frames(), total=clip.clip.count, desc=Path(clip.clip.name).name, unit=" frames"
    )
