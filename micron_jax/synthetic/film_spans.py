"""Parts of films that show a face without a break, and their frames, cut around it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from micron_jax.faces import landmarks as faces
from micron_jax.synthetic import face_track, people
from micron_jax.video import scenes
from micron_jax.video.image_files import Unreadable
from micron_jax.video.inputs import InputClip

EVERY = 0.5  # seconds between the frames that are searched first
SHORTEST = 1.0  # seconds of a part
MISFIT = 0.2  # of the crop's side; five points off the layout by more are a profile
AROUND = 1.8  # sides of the cut, in sides of the face's crop
HIGHEST = 480  # px of a cut; larger ones are made smaller


@dataclass(frozen=True)
class Span:
    """Frames `first` to `last` of a film, and the cut: left, top, right, bottom, px."""

    first: int
    last: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Run:
    """Frames of one scene that show one face: numbers [T], seconds [T], searched faces.

    Attributes:
      searched: number of a frame -> landmarks [5, 2], px.
    """

    numbers: np.ndarray
    seconds: np.ndarray
    searched: dict[int, np.ndarray]
    size: tuple[int, int]  # of the frames: height, width


def find_runs(clip: InputClip, detect: faces.Detector) -> tuple[list[Run], str]:
    """Searches a film for faces each `EVERY` seconds and for cuts between all frames.

    Returns:
      (the runs of `SHORTEST` seconds or more; the reason why there is none, or "").
    """
    runs, numbers, seconds, searched = [], [], [], {}
    scene, last_search, size, reason = None, -math.inf, None, "no face"

    def end() -> None:
        nonlocal numbers, seconds, searched, reason
        if len(numbers) > 1 and seconds[-1] - seconds[0] >= SHORTEST:
            runs.append(Run(np.array(numbers), np.array(seconds), searched, size))
        elif numbers:
            reason = f"no face for {SHORTEST:g} s without a break"
        numbers, seconds, searched = [], [], {}

    for number, second, frame in clip.read():
        if isinstance(frame, Unreadable):
            end()
            reason, scene, last_search = str(frame), None, -math.inf
            continue
        if second is None:
            return [], "its times are unknown"
        size = frame.shape[:2]
        before, scene = scene, scenes.scene(frame)
        if before is not None and scenes.is_cut(before, scene):
            end()
            last_search = -math.inf
        if second - last_search >= EVERY:
            last_search = second
            latest = [*searched.values()][-1] if searched else None
            points = _next_face(detect(frame), latest)
            if points is None or (latest is not None and not _follows(latest, points)):
                end()
            if points is not None:
                searched[number] = points
        if searched:
            numbers.append(number)
            seconds.append(second)
    end()
    return runs, "" if runs else reason


def draw_span(
    runs: Sequence[Run], seconds: float | None, between: tuple[float, float], rng
) -> Span:
    """Draws a part of one of the runs, longer ones more often.

    Args:
      seconds: length of the part, if the run has it; None: drawn from `between`.
    """
    lengths = np.array([run.seconds[-1] - run.seconds[0] for run in runs])
    run = runs[rng.choice(len(runs), p=lengths / lengths.sum())]
    length, place = rng.uniform(*between), rng.uniform()
    length = length if seconds is None else seconds
    latest = max(run.seconds[0], run.seconds[-1] - length)
    start = run.seconds[0] + place * (latest - run.seconds[0])
    inside = np.flatnonzero((run.seconds >= start - 1e-9) & (run.seconds <= start + length + 1e-9))
    first, last = int(run.numbers[inside[0]]), int(run.numbers[inside[-1]])
    within = [n for n in run.searched if first <= n <= last]
    before = [n for n in run.searched if n < first][-1:]
    after = [n for n in run.searched if n > last][:1]
    points = np.stack([run.searched[n] for n in (*before, *within, *after)])
    return Span(first, last, cut_box(points, run.size))


def cut_box(points: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The cut of frames (H, W) around faces [N, 5, 2]: left, top, right, bottom, even sides."""
    boxes = []
    for face in points:
        inverse = cv2.invertAffineTransform(faces.canonical_transform(face, 1))
        middle = inverse[:, 2]  # the crop spans -0.5 .. 0.5 of its side
        half = math.hypot(*inverse[:, 0]) * AROUND / 2
        boxes.append((*(middle - half), *(middle + half)))
    left, top = np.floor(np.min(boxes, axis=0)[:2]).astype(int).clip(0)
    right, bottom = np.ceil(np.max(boxes, axis=0)[2:]).astype(int).clip(None, (size[1], size[0]))
    return int(left), int(top), int(right - (right - left) % 2), int(bottom - (bottom - top) % 2)


def cut(frame: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Cuts a frame, uint8 [H, W, 3], at the film's own resolution, unless it is too high."""
    left, top, right, bottom = box
    part = frame[top:bottom, left:right]
    if len(part) <= HIGHEST:
        return part
    width = round(part.shape[1] * HIGHEST / len(part) / 2) * 2
    return cv2.resize(part, (width, HIGHEST), interpolation=cv2.INTER_AREA)


def read_spans(
    clip: InputClip, spans: Sequence[Span]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Reads a film once; yields (index of a span, frames uint8 [T, H, W, 3], seconds [T])."""
    open_spans = {index: ([], []) for index in range(len(spans))}
    for number, second, frame in clip.read():
        for index, span in enumerate(spans):
            if index not in open_spans or not span.first <= number <= span.last:
                continue
            images, times = open_spans[index]
            images.append(cut(frame, span.box))
            times.append(second)
            if number == span.last:
                yield index, np.stack(images), np.array(times)
                del open_spans[index], images, times
        if not open_spans:
            return


def _next_face(candidates: np.ndarray, latest: np.ndarray | None) -> np.ndarray | None:
    """The largest usable face, or the one that is nearest to the latest; None: none."""
    usable = [points for points in candidates if _usable(points)]
    if not usable or latest is None:
        return usable[0] if usable else None
    return min(usable, key=lambda points: np.linalg.norm(points - latest))


def _usable(points: np.ndarray) -> bool:
    transform = faces.canonical_transform(points, 1)
    if math.hypot(*transform[:, 0]) * 224 > people.MAX_ENLARGED:
        return False
    misfit = points @ transform[:, :2].T + transform[:, 2] - (faces.CANONICAL - 0.5)
    return np.hypot(*misfit.T).max() <= MISFIT


def _follows(latest: np.ndarray, points: np.ndarray) -> bool:
    """Tells whether a face can be the one of `EVERY` seconds ago."""
    gap = np.linalg.norm(points - latest, axis=1).mean() / face_track.side_of(latest)
    return gap <= 2 * faces.STRAYED
