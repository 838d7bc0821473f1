"""The energy of motion over time in a video of a face.

Frame t is compared with the frames δ before and δ after it, by their times, each registered onto it
first. What differs from both came and went within 2 δ (`transient`), so that a new posture, or a
face that goes on moving, leaves little. `partners` says which frames stand in for those that are
not there. A clip of any length is read once, in bounded memory: maps wait on disk.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from micron_jax.errors import UserError
from micron_jax.faces.flow import residual_flow
from micron_jax.faces.parts import oval, part_of
from micron_jax.faces.registration import register_crops, shrink
from micron_jax.faces.threads import in_threads
from micron_jax.pretrained import MicronBert
from micron_jax.spotting import confidence
from micron_jax.spotting.confidence import with_confidence
from micron_jax.spotting.intervals import LONGEST, Interval, find_intervals
from micron_jax.spotting.partners import HOLE, Partners, within_clip
from micron_jax.spotting.rows import Rows
from micron_jax.spotting.salience import highest, salience_of
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
      maps: what came and went, patch by patch, float32 [T, h, w]; of faces, 0 beside them; of the
        kind `motion`, px, 0 below the noise floor.
      flow: the same of the optical flow, px of the network's input; no network has a part in it.
      energy: of the maps, see `energy_of`, float32 [T]; of the kind `motion`, px, of the face's own
        motion as it was found (`Motion.own`).
      salience: the curve in which candidates are sought, float32 [T]: of the kind `motion`, see
        `salience_of`; else the energy.
      flow_energy: of the flow, float32 [T].
      intervals: candidates of micro-expressions, most likely first, or, where no confidence is
        known, strongest first.
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
    salience: np.ndarray
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
    confident: bool = True,
    flow: bool = True,
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
      confident: candidates of the kind `motion` get the probability that micron-tiny's fit gives;
        what is unlikely is none.
      flow: optical flow is measured beside; without, it is 0.

    Raises:
      UserError: no two frames are near enough in time to be compared.
      ValueError: no such kind, or crops of another dtype or shape.
    """
    kind = kind or ("motion" if "motion" in model.map_kinds else "cosine")
    # The release's map is relative to the largest diagonal of a batch: one pair, then.
    batch = 1 if kind == "release" else batch or (4 if jax.default_backend() == "cpu" else 16)
    size, grid = model.config.img_size, model.config.grid
    clock, partners = _Clock(fps), Partners(DELTA)
    face = oval(grid) if faces else np.ones((grid, grid), bool)

    def prepare(pair: tuple) -> tuple:
        frame, registered = _registered(*pair, faces)
        if not flow:
            return frame, registered, np.zeros((grid, grid), np.float32)
        return frame, registered, residual_flow(frame, registered, grid, size)

    def compared() -> Iterator[_Compared]:
        pairs = in_threads(prepare, partners.pair(clock.read(frames)))
        while some := list(itertools.islice(pairs, batch)):
            *sides, flows = zip(*some, strict=True)
            yield from map(_Compared, *_pair_maps(model, sides, kind, batch), flows)

    maps, own, flows, energy, flow_energy = Rows(), Rows(), Rows(), [], []
    for before, after in _of_frames(compared(), partners):
        own.add(transient(before.own, after.own) * face)
        energy.append(energy_of(own.last, face))
        maps.add(transient(before.lit, after.lit) * face)
        flows.add(transient(before.flow, after.flow) * face)
        flow_energy.append(energy_of(flows.last, face))
    came_and_went, energy = own.array(), np.array(energy, np.float32)
    seconds, before, after = clock.seconds, np.array(partners.before), np.array(partners.after)
    alone = int((before == after).sum())
    if alone == len(seconds) > 1:
        raise UserError(_no_pair(seconds))
    rate = _mean_rate(seconds, fps)
    salience = salience_of(came_and_went, seconds, face) if kind == "motion" else energy
    intervals = [
        dataclasses.replace(
            each,
            energy=float(energy[each.apex]),
            part=part_of(came_and_went[each.apex]) if faces else "",
        )
        for each in ([] if clock.same.reason else find_intervals(salience, seconds))
    ]
    if kind == "motion" and confident:
        intervals = with_confidence(intervals, confidence.read()["motion"], salience, seconds)
    return Timeline(
        fps=rate,
        delta=_typical_delta(seconds, before, rate),
        kind=kind,
        numbers=np.array(clock.numbers, np.int64),
        seconds=seconds,
        before=before,
        after=after,
        maps=maps.array(),
        flow=flows.array(),
        energy=energy,
        salience=salience,
        flow_energy=np.array(flow_energy, np.float32),
        intervals=intervals,
        notes=[
            *([clock.same.reason] if clock.same.reason else []),
            *([f"{alone:,} frames have no other within {HOLE:g} s"] if alone else []),
        ],
    )


class _Compared(NamedTuple):
    """What a pair of frames tells: maps [h, w], or displacements [h, w, 2]."""

    own: np.ndarray
    lit: np.ndarray  # what is shown: of displacements those above the noise floor
    flow: np.ndarray

    def backward(self) -> "_Compared":
        """The same pair the other way around: displacements point back, lengths stay."""
        return _Compared(*(-x if x.ndim == 3 else x for x in self))


def _of_frames(
    compared: Iterator[_Compared], partners: Partners
) -> Iterator[tuple[_Compared, _Compared]]:
    """Yields what its pairs with the frames before and after it tell, frame by frame."""
    recent: dict[int, _Compared] = {}
    needed: dict[int, int] = {}  # number of a pair -> the last frame that asks for it
    done = 0

    def settled() -> Iterator[tuple[_Compared, _Compared]]:
        nonlocal done, needed
        while done < len(partners.maps_after):
            before, after = partners.maps_before[done], partners.maps_after[done]
            if max(before, after) not in recent:
                return
            pair, backward = recent[after], partners.backward[done]
            yield recent[before], pair.backward() if backward else pair
            # The frame after it asks again for the pair of the two.
            needed |= {before: done, after: partners.after[done] if backward else done}
            for number in [number for number, last in needed.items() if last <= done]:
                del needed[number], recent[number]
            done += 1

    for number, result in enumerate(compared):
        recent[number] = result
        yield from settled()
    yield from settled()


def transient(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What differs from the frame before and from that after.

    Args:
      before, after: of the two pairs, maps [h, w], or displacements [h, w, 2] of both frames until
        the one in the middle.

    Returns:
      Of maps the smaller value; of displacements the length that both share: the shorter one as far
      as it points along the other. A motion that goes on points away from the frame after it, and
      leaves nothing. float32 [h, w], not below 0.
    """
    if before.ndim == 2:
        return np.clip(np.minimum(before, after), 0, None)
    longer = np.maximum(*(np.linalg.norm(x, axis=-1) for x in (before, after)))
    return np.clip((before * after).sum(-1), 0, None) / np.maximum(longer, 1e-6)


def energy_of(values: np.ndarray, where: np.ndarray) -> float:
    """The mean of the highest twentieth of a map [h, w]; `where`: the patches that count, bool."""
    return float(highest(values[where]))


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


def _registered(crop: np.ndarray, other: np.ndarray, faces: bool) -> tuple:
    """Returns (crop, the other one registered onto it)."""
    return crop, crop if other is crop else register_crops(other, crop, faces=faces)[0]


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


def _pair_maps(
    model: MicronBert, sides: list, kind: str, batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the map of each pair twice, [n, h, w].

    Of the kind `motion` they are displacements [n, h, w, 2]: as they were found, and without noise,
    above its floor. `batch` pairs go in, however many there are, for one compilation.
    """
    size, count = model.config.img_size, len(sides[0])
    short = [(0, batch - count), (0, 0), (0, 0), (0, 0)]
    sides = (np.pad(shrink(np.stack(side), size), short) for side in sides)
    if kind != "motion":
        maps = np.asarray(model.motion_map(*sides, kind=kind))[:count]
        return maps, maps
    motion = model.motion(*sides)
    return np.asarray(motion.own)[:count], np.asarray(motion.lit)[:count]
