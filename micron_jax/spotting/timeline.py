"""The energy of motion over time in a video of a face.

Frame t is compared with the frames δ before and δ after it, by their times, each registered onto it
first. What differs from both came and went within 2 δ: of the two maps the smaller value counts,
patch by patch, so that a new posture, or a head that turns, leaves little. `partners` says which
frames stand in for those that are not there.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np

from micron_jax.errors import UserError
from micron_jax.faces.flow import residual_flow
from micron_jax.faces.parts import oval, part_of
from micron_jax.faces.registration import register_crops, shrink
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.intervals import LONGEST, Interval, find_intervals
from micron_jax.spotting.partners import HOLE, Partners, within_clip
from micron_jax.video.sameness import Sameness

DELTA = LONGEST / 2  # seconds between the frames of a pair

Frame = tuple[int, float | None, np.ndarray]  # number in its clip, seconds, crop uint8 [V, V, 3]


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The motion in T frames.

    Attributes:
      fps: mean frame rate, without holes.
      delta: frames between the two of a pair, the median.
      kind: of the maps; see `MicronBert.motion_map`.
      numbers: of the frames in their clip, int64 [T].
      seconds: float64 [T].
      before, after: the frames that each is compared with, as indices, int64 [T].
      maps: what came and went, patch by patch, float32 [T, h, w]; of faces, 0 beside them.
      flow: the same of the optical flow, px of the network's input; no network has a part in it.
      energy: of the maps, see `energy_of`, float32 [T].
      flow_energy: of the flow, float32 [T].
      intervals: candidates of micro-expressions, strongest first.
      dropped: (number, reason) of frames that are missing because they cannot be decoded.
      notes: what a user should know about the clip, a line each.
    """

    fps: float
    delta: int
    kind: str
    numbers: np.ndarray
    seconds: np.ndarray
    before: np.ndarray
    after: np.ndarray
    maps: np.ndarray
    flow: np.ndarray
    energy: np.ndarray
    flow_energy: np.ndarray
    intervals: list[Interval]
    dropped: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def durations(self) -> np.ndarray:
        """Returns how long each frame lasts: the time to the next one, seconds, float64 [T]."""
        steps = np.append(np.diff(self.seconds), 1 / self.fps)
        steps[:-1][~within_clip(self.seconds)] = 1 / self.fps
        return steps


def measure_timeline(
    model: MicronBert,
    frames: Iterable[Frame],
    *,
    fps: float,
    kind: str | None = None,
    faces: bool = True,
    batch: int | None = None,
) -> Timeline:
    """Measures the motion in a clip; at any time 2 δ of its frames are in memory.

    Args:
      model: from `micron_jax.load`.
      frames: (number, seconds or None, crop uint8 [V, V, 3]) in order, V a multiple of the
        network's input; at least one.
      fps: of frames without seconds.
      kind: one of `model.map_kinds`; None: `motion` where the checkpoint has it, else `cosine`,
        which finds synthetic expressions better than the others.
      faces: the crops are aligned faces: what lies beside the face does not count.
      batch: pairs at a time; None: 16, but 4 on a CPU, where a pair of the smallest network takes
        80 MB and more pairs at a time save nothing.

    Raises:
      UserError: no two frames are near enough in time to be compared.
      ValueError: no such kind, or crops of another dtype or shape.
    """
    kind = kind or ("motion" if "motion" in model.map_kinds else "cosine")
    # The release's map is relative to the largest diagonal of a batch: one pair, then.
    batch = 1 if kind == "release" else batch or (4 if jax.default_backend() == "cpu" else 16)
    size, grid = model.config.img_size, model.config.grid
    maps, flows, clock = [], [], _Clock(fps)
    partners = Partners(DELTA)
    pairs = _registered(partners.pair(clock.read(frames)), faces)
    while some := list(itertools.islice(pairs, batch)):
        flows += [residual_flow(*pair, grid, size) for pair in some]
        maps += _pair_maps(model, some, kind, batch)
    seconds, before, after = clock.seconds, np.array(partners.before), np.array(partners.after)
    alone = int((before == after).sum())
    if alone == len(seconds) > 1:
        raise UserError(_no_pair(seconds))
    rate = _mean_rate(seconds, fps)
    face = oval(grid) if faces else np.ones((grid, grid), bool)
    of_pairs = partners.maps_before, partners.maps_after
    came_and_went = transient(np.stack(maps), *of_pairs) * face
    flow = transient(np.stack(flows), *of_pairs) * face
    energy = energy_of(came_and_went, face)
    intervals = [] if clock.same.reason else find_intervals(energy, seconds)
    if faces:
        intervals = [
            dataclasses.replace(interval, part=part_of(came_and_went[interval.apex]))
            for interval in intervals
        ]
    return Timeline(
        fps=rate,
        delta=_typical_delta(seconds, before, rate),
        kind=kind,
        numbers=np.array(clock.numbers, np.int64),
        seconds=seconds,
        before=before,
        after=after,
        maps=came_and_went,
        flow=flow,
        energy=energy,
        flow_energy=energy_of(flow, face),
        intervals=intervals,
        notes=[
            *([clock.same.reason] if clock.same.reason else []),
            *([f"{alone:,} frames have no other within {HOLE:g} s"] if alone else []),
        ],
    )


def transient(
    maps: np.ndarray, maps_before: Sequence[int], maps_after: Sequence[int]
) -> np.ndarray:
    """Turns maps of pairs into maps of what differs from the frame before and from that after.

    Args:
      maps: of pairs, [P, h, w].
      maps_before, maps_after: numbers of the pairs of each frame, [T]; see `Partners`.

    Returns:
      float32 [T, h, w], not below 0.
    """
    return np.clip(np.minimum(maps[maps_before], maps[maps_after]), 0, None)


def energy_of(maps: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The mean of the highest twentieth of each map.

    Args:
      maps: [T, h, w].
      where: the patches that count, bool [h, w].

    Returns:
      float32 [T].
    """
    flat = np.sort(maps[:, where], axis=1)
    return flat[:, -max(1, flat.shape[1] // 20) :].mean(axis=1, dtype=np.float32)


class _Clock:
    """The numbers and the times of frames, noted as they are read."""

    def __init__(self, fps: float):
        self._fps, self._seconds, self.numbers, self.same = fps, [], [], Sameness()

    def read(self, frames: Iterable[Frame]) -> Iterator[tuple[float, np.ndarray]]:
        """Yields (seconds, crop); frames without a time follow each other at the rate."""
        for number, seconds, crop in frames:
            seconds = len(self.numbers) / self._fps if seconds is None else seconds
            self.numbers.append(number)
            self._seconds.append(seconds)
            self.same.add(crop)
            yield seconds, crop

    @property
    def seconds(self) -> np.ndarray:
        return np.array(self._seconds, np.float64)


def _registered(pairs: Iterator, faces: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (crop, the other one registered onto it)."""
    for crop, other in pairs:
        same = other is crop
        yield crop, crop if same else register_crops(other, crop, faces=faces)[0]


def _mean_rate(seconds: np.ndarray, fps: float) -> float:
    """Returns the mean frame rate without holes; `fps` where there is a single frame."""
    steps = np.diff(seconds)[within_clip(seconds)]
    return round(len(steps) / float(steps.sum()), 6) if steps.sum() > 0 else fps


def _typical_delta(seconds: np.ndarray, before: np.ndarray, fps: float) -> int:
    """Returns the frames between the two of a pair; of a clip shorter than δ, those of its rate."""
    distance = np.arange(len(seconds)) - before
    apart = seconds - seconds[before]
    whole = distance[apart >= DELTA - 0.5 / fps]
    return int(np.median(whole)) if len(whole) else max(1, round(DELTA * fps))


def _no_pair(seconds: np.ndarray) -> str:
    step = float(np.median(np.abs(np.diff(seconds))))
    return (
        f"its frames are {step:.3g} s apart, and a micro-expression lasts at most {LONGEST:g} s: "
        "there is no pair to compare; if the frame rate is wrong, give the right one (fps)"
    )


def _pair_maps(model: MicronBert, pairs: list, kind: str, batch: int) -> list[np.ndarray]:
    """The map of each pair; `batch` pairs go in, however many there are, for one compilation."""
    size = model.config.img_size
    short = [(0, batch - len(pairs)), (0, 0), (0, 0), (0, 0)]
    sides = (np.pad(shrink(np.stack(side), size), short) for side in zip(*pairs, strict=True))
    return [*np.asarray(model.motion_map(*sides, kind=kind))[: len(pairs)]]
