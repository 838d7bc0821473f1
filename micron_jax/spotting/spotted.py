"""Micro-expressions in films of any length: onset, apex and offset, where, and how likely."""

import csv
import dataclasses
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from micron_jax.errors import UserError
from micron_jax.faces.crop import detector
from micron_jax.faces.parts import part_of
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.confidence import FACTS, Confidence, facts_of
from micron_jax.spotting.intervals import Interval, find_intervals
from micron_jax.spotting.pieces import Pieces
from micron_jax.spotting.restless import Span, restless_spans
from micron_jax.spotting.timeline import Frame, Timeline, measure_timeline
from micron_jax.video.inputs import InputClip
from micron_jax.visualization.cropped_clip import crop_clips

COLUMNS = (
    *("video", "onset", "apex", "offset", "kind", "confidence", "part", "px"),
    *("onset_seconds", "apex_seconds", "offset_seconds", "label"),
)
KIND = "micro"
SHORTEST = 1.0  # seconds of a piece: in less, what is usual for a face is not known


@dataclasses.dataclass(frozen=True)
class Spotted:
    """A candidate in a film.

    Attributes:
      frames: numbers of onset, apex and offset in the film, from 0.
      seconds: the same, on the film's clock, as its timeline has them.
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
        curve, intervals = timeline.salience, timeline.intervals
    else:
        curve = timeline.flow_energy
        intervals = [
            dataclasses.replace(each, part=part_of(timeline.flow[each.apex]) if faces else "")
            for each in find_intervals(curve, timeline.seconds)
        ]
    about = timeline.numbers, timeline.seconds, curve
    found = [_spotted(each, *about) for each in intervals]
    return sorted(found, key=lambda one: one.frames)


def _spotted(
    interval: Interval, numbers: np.ndarray, seconds: np.ndarray, curve: np.ndarray
) -> Spotted:
    return Spotted(
        tuple(int(numbers[n]) for n in interval.frames),
        tuple(float(seconds[n]) for n in interval.frames),
        interval.part,
        interval.energy,
        tuple(map(float, facts_of(interval, curve, seconds))),
    )


def spot(
    model: MicronBert,
    pieces: Iterable[Iterable[Frame]],
    *,
    fps: float,
    faces: bool = True,
    methods: Sequence[str] = ("motion",),
) -> tuple[dict[str, list[Spotted]], list[Span], list[str]]:
    """Finds candidates in a film of an aligned face; memory does not grow with its length.

    Args:
      model: with a displacement branch.
      pieces: of the film, as `Pieces` has them, each searched by itself.
      fps, faces: see `measure_timeline`.
      methods: of `candidates`.

    Returns:
      ({method: candidates}, spans in which the face never rests, notes on the film).

    Raises:
      UserError: no two frames can be compared.
      ValueError: the checkpoint has no displacement branch.
    """
    settings = {"kind": "motion", "faces": faces, "confident": False, "flow": "flow" in methods}
    searched, refusal = [], None
    for frames in pieces:
        try:
            timeline = measure_timeline(model, frames, fps=fps, **settings)
        except UserError as error:  # of a piece; others may do
            refusal = refusal or error
            continue
        some = {method: candidates(timeline, method, faces=faces) for method in methods}
        spans = restless_spans(timeline, faces=faces)
        searched.append((float(timeline.durations().sum()), some, spans, timeline.notes))
    if refusal and not searched:
        raise refusal
    long = [piece for piece in searched if piece[0] >= SHORTEST] or searched
    short = sum(piece[0] for piece in searched) - sum(piece[0] for piece in long)
    found = {method: [one for _, some, *_ in long for one in some[method]] for method in methods}
    notes = dict.fromkeys(note for *_, about in long for note in about)
    if short:
        notes[f"{short:.1f} s in pieces of less than {SHORTEST:g} s are not judged"] = None
    return found, [span for *_, spans, _ in long for span in spans], [*notes]


def search(
    model: MicronBert, clip: InputClip, *, crop: str, fps: float, methods: Sequence[str]
) -> tuple[dict[str, list[Spotted]], list[Span], list[str]]:
    """Finds candidates in a film, behind a bar; see `spot`.

    Args:
      crop: one of `faces.crop.KINDS`; a `face` is followed.

    Raises:
      UserError: no face, or no two frames can be compared.
    """
    (cropped,) = crop_clips([clip], crop, model.config.img_size)
    pieces = Pieces(clip, cropped.crop, detector(crop), fps)
    found, spans, notes = spot(model, pieces, fps=fps, faces=crop == "face", methods=methods)
    return found, spans, notes + pieces.notes()


def likely(
    found: Sequence[Mapping[str, Any]], confidence: Confidence, least: float
) -> list[dict[str, Any]]:
    """The candidates of a probability of at least `least`, which is their "confidence".

    Args:
      found: as dicts of `Spotted`.
    """
    facts = np.array([one["facts"] for one in found]).reshape(len(found), len(FACTS))
    sure = confidence.probability(facts).tolist()
    return [one | {"confidence": p} for one, p in zip(found, sure, strict=True) if p >= least]


def table(films: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The table of all films as CSV.

    Args:
      films: name -> candidates, as dicts of `Spotted` with "confidence" and, if known, "label".
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, found in films.items():
        for one in found:
            times = [f"{second:.4f}" for second in one["seconds"]]
            about = [KIND, f"{one['confidence']:.4f}", one["part"], f"{one['px']:.3f}"]
            writer.writerow([name, *one["frames"], *about, *times, one.get("label", "")])
    return text.getvalue()
