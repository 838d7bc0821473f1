"""When something moved in a video: the energy of the micro-attention over time, and its peaks.

Frame t is compared with the frames δ before and δ after it, each registered onto it first. What
differs from both came and went within 2 δ: of the two maps the smaller value counts, patch by
patch, so that a new posture, or a head that turns, leaves little. At a clip's ends its first and
its last frame stand in for those that are not there.
"""

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from scipy.signal import find_peaks, peak_widths

from micron_jax.deprecation import renamed_arguments
from micron_jax.faces.crop_registration import register_crops, residual_flow, shrink
from micron_jax.faces.parts import oval, part_of
from micron_jax.pretrained import MicronBert

SHORTEST, LONGEST = 1 / 25, 1 / 2  # seconds, of a micro-expression
DELTA = LONGEST / 2  # seconds between the frames of a pair
FOOT = 0.8  # of a peak's prominence, down from its top: where an interval begins and ends
STANDS_OUT = 4.0  # standard deviations of the energy's noise: less is no candidate


@dataclasses.dataclass(frozen=True)
class Interval:
    """A candidate: indices of frames in the timeline.

    Attributes:
      onset, apex, offset: first, highest and last frame.
      energy: at the apex.
      strength: its prominence, in standard deviations of the energy's noise.
      part: of the face, where the map at the apex has the most; empty where crops are no faces. A
        blink is a candidate of the eyes.
    """

    onset: int
    apex: int
    offset: int
    energy: float
    strength: float
    part: str = ""


@dataclasses.dataclass(frozen=True)
class Timeline:
    """What moved when, in T frames.

    Attributes:
      fps: frames per second.
      delta: frames between the two of a pair.
      kind: of the heat.
      numbers: of the frames in their clip, int64 [T].
      seconds: float64 [T].
      heat: what came and went, patch by patch, float32 [T, h, w]; of faces, 0 beside them.
      flow: the same of the optical flow, px of the network's input; no network has a part in it.
      energy: of the heat, see `energy_of`, float32 [T].
      flow_energy: of the flow, float32 [T].
      intervals: candidates of micro-expressions, strongest first.
      dropped: (number, reason) of frames that are missing because they cannot be decoded.
    """

    fps: float
    delta: int
    kind: str
    numbers: np.ndarray
    seconds: np.ndarray
    heat: np.ndarray
    flow: np.ndarray
    energy: np.ndarray
    flow_energy: np.ndarray
    intervals: list[Interval]
    dropped: list[tuple[int, str]] = dataclasses.field(default_factory=list)


@renamed_arguments(heat="kind")
def watch(
    model: MicronBert,
    frames: Iterable[tuple[int, float | None, np.ndarray]],
    *,
    fps: float,
    kind: str | None = None,
    faces: bool = True,
    batch: int = 16,
) -> Timeline:
    """Follows a face through a clip; at any time 2 δ of its frames are in memory.

    Args:
      model: from `micron_jax.load`.
      frames: (number, seconds or None, crop uint8 [V, V, 3]) in order, V a multiple of the
        network's input; at least one.
      fps: frames per second.
      kind: one of `model.map_kinds`; None: `motion` where the checkpoint has it, else `cosine`,
        which finds synthetic expressions better than the others.
      faces: the crops are aligned faces: what lies beside the face does not count.
      batch: pairs at a time.

    Raises:
      ValueError: no such kind, or crops of another dtype or shape.
    """
    kind = kind or ("motion" if "motion" in model.map_kinds else "cosine")
    size, grid = model.config.img_size, model.config.grid
    delta = max(1, round(DELTA * fps))
    numbers, seconds = [], []

    def noted() -> Iterator[np.ndarray]:
        for number, second, crop in frames:
            numbers.append(number)
            seconds.append(len(seconds) / fps if second is None else second)
            yield crop

    maps, flows = [], []
    # The release's map is relative to the largest diagonal of a batch: one pair, then.
    batch = 1 if kind == "release" else batch
    for group in _grouped(_pairs(noted(), delta, faces), batch):
        now, other = (np.stack(side) for side in zip(*group, strict=True))
        flows += [residual_flow(*pair, grid, size) for pair in group]
        short = [(0, batch - len(group)), (0, 0), (0, 0), (0, 0)]
        small = (np.pad(shrink(side, size), short) for side in (now, other))
        maps.append(np.asarray(model.motion_map(*small, kind=kind))[: len(group)])
    count, face = len(numbers), oval(grid) if faces else np.ones((grid, grid), bool)
    came_and_went = transient(np.concatenate(maps), count, delta) * face
    flow = transient(np.stack(flows), count, delta) * face
    energy = energy_of(came_and_went, face)
    intervals = find_intervals(energy, fps)
    if faces:
        intervals = [
            dataclasses.replace(interval, part=part_of(came_and_went[interval.apex]))
            for interval in intervals
        ]
    return Timeline(
        fps=fps,
        delta=delta,
        kind=kind,
        numbers=np.array(numbers, np.int64),
        seconds=np.array(seconds, np.float64),
        heat=came_and_went,
        flow=flow,
        energy=energy,
        flow_energy=energy_of(flow, face),
        intervals=intervals,
    )


def transient(maps: np.ndarray, count: int, delta: int) -> np.ndarray:
    """Maps against the frame before -> maps of what differs both from before and from after.

    Args:
      maps: of `count` frames against the frame δ before, then of the last min(δ, count) frames
        against the last one, [count + min(δ, count), h, w].
      count, delta: T and δ.

    Returns:
      float32 [T, h, w], not below 0.
    """
    before, after = maps[:count], maps[delta:]
    if count <= delta:
        after = maps[count:]
    return np.clip(np.minimum(before, after), 0, None)


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


def find_intervals(energy: np.ndarray, fps: float) -> list[Interval]:
    """Peaks of the energy that last as long as a micro-expression, strongest first.

    Args:
      energy: [T].
      fps: frames per second.
    """
    if len(energy) < 3:
        return []
    # Of the steps from frame to frame: a bump that fills half of a short clip is no noise.
    steps = np.abs(np.diff(energy, prepend=energy[0]))
    noise = max(1.4826 * float(np.median(steps)) / 2**0.5, 1e-6 * float(energy.max()), 1e-12)
    # Zeros around it: what moves at a clip's very end has a peak, too.
    padded = np.concatenate([[0], energy, [0]])
    peaks, found = find_peaks(padded, prominence=STANDS_OUT * noise)
    _, _, left, right = peak_widths(padded, peaks, rel_height=FOOT)
    intervals = []
    for peak, prominence, first, last in zip(peaks, found["prominences"], left, right, strict=True):
        onset, offset = max(0, round(first) - 1), min(len(energy) - 1, round(last) - 1)
        if SHORTEST <= (last - first) / fps <= LONGEST + 1 / fps:
            apex = int(peak) - 1
            strength = float(prominence) / noise
            intervals.append(Interval(onset, apex, offset, float(energy[apex]), strength))
    return sorted(intervals, key=lambda interval: -interval.strength)


def _pairs(
    crops: Iterator[np.ndarray], delta: int, faces: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(frame, the other one registered onto it), in the order that `transient` wants."""
    window = deque(maxlen=delta + 1)
    for crop in crops:
        window.append(crop)
        yield crop, _onto(window[0], crop, faces)
    rest = [*window][-delta:]
    for crop in rest:
        yield crop, _onto(rest[-1], crop, faces)


def _onto(moving: np.ndarray, crop: np.ndarray, faces: bool) -> np.ndarray:
    return crop if moving is crop else register_crops(moving, crop, faces=faces)[0]


def _grouped(pairs: Iterator, size: int) -> Iterator[list]:
    group = []
    for pair in pairs:
        group.append(pair)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
