"""The energy of motion over time in a video of a face.

Frame t is compared with the frames δ before and δ after it, each registered onto it first. What
differs from both came and went within 2 δ: of the two maps the smaller value counts, patch by
patch, so that a new posture, or a head that turns, leaves little. At a clip's ends its first and
its last frame stand in for those that are not there.
"""

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterable, Iterator

import jax
import numpy as np

from micron_jax.faces.parts import oval, part_of
from micron_jax.faces.registration import register_crops, residual_flow, shrink
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.intervals import LONGEST, Interval, find_intervals

DELTA = LONGEST / 2  # seconds between the frames of a pair

Frame = tuple[int, float | None, np.ndarray]  # number in its clip, seconds, crop uint8 [V, V, 3]


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The motion in T frames.

    Attributes:
      delta: frames between the two of a pair.
      kind: of the maps; see `MicronBert.motion_map`.
      numbers: of the frames in their clip, int64 [T].
      seconds: float64 [T].
      maps: what came and went, patch by patch, float32 [T, h, w]; of faces, 0 beside them.
      flow: the same of the optical flow, px of the network's input; no network has a part in it.
      energy: of the maps, see `energy_of`, float32 [T].
      flow_energy: of the flow, float32 [T].
      intervals: candidates of micro-expressions, strongest first.
      dropped: (number, reason) of frames that are missing because they cannot be decoded.
    """

    fps: float
    delta: int
    kind: str
    numbers: np.ndarray
    seconds: np.ndarray
    maps: np.ndarray
    flow: np.ndarray
    energy: np.ndarray
    flow_energy: np.ndarray
    intervals: list[Interval]
    dropped: list[tuple[int, str]] = dataclasses.field(default_factory=list)


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
      kind: one of `model.map_kinds`; None: `motion` where the checkpoint has it, else `cosine`,
        which finds synthetic expressions better than the others.
      faces: the crops are aligned faces: what lies beside the face does not count.
      batch: pairs at a time; None: 16, but 4 on a CPU, where a pair of the smallest network takes
        80 MB and more pairs at a time save nothing.

    Raises:
      ValueError: no such kind, or crops of another dtype or shape.
    """
    kind = kind or ("motion" if "motion" in model.map_kinds else "cosine")
    # The release's map is relative to the largest diagonal of a batch: one pair, then.
    batch = 1 if kind == "release" else batch or (4 if jax.default_backend() == "cpu" else 16)
    size, grid, delta = model.config.img_size, model.config.grid, max(1, round(DELTA * fps))
    times, maps, flows = [], [], []
    pairs = _registered_pairs(frames, times, delta, faces)
    while some := list(itertools.islice(pairs, batch)):
        flows += [residual_flow(*pair, grid, size) for pair in some]
        maps += _pair_maps(model, some, kind, batch)
    face = oval(grid) if faces else np.ones((grid, grid), bool)
    came_and_went = transient(np.stack(maps), len(times), delta) * face
    flow = transient(np.stack(flows), len(times), delta) * face
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
        numbers=np.array([number for number, _ in times], np.int64),
        seconds=np.array(
            [n / fps if seconds is None else seconds for n, (_, seconds) in enumerate(times)],
            np.float64,
        ),
        maps=came_and_went,
        flow=flow,
        energy=energy,
        flow_energy=energy_of(flow, face),
        intervals=intervals,
    )


def transient(maps: np.ndarray, count: int, delta: int) -> np.ndarray:
    """Turns maps against the frame before into maps of what differs from before and from after.

    Args:
      maps: of `count` frames against the frame δ before, then of the last min(δ, count) frames
        against the last one, [count + min(δ, count), h, w].
      count, delta: T and δ.

    Returns:
      float32 [T, h, w], not below 0.
    """
    before, after = maps[:count], maps[min(delta, count) :]
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


def _registered_pairs(
    frames: Iterable[Frame], times: list, delta: int, faces: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(frame, the other one registered onto it), in the order that `transient` wants.

    The number and the seconds of each frame are added to `times`.
    """
    window = deque(maxlen=delta + 1)
    for number, seconds, crop in frames:
        times.append((number, seconds))
        window.append(crop)
        yield crop, _onto(crop, window[0], faces)
    for crop in [*window][-delta:]:
        yield crop, _onto(crop, window[-1], faces)


def _onto(crop: np.ndarray, moving: np.ndarray, faces: bool) -> np.ndarray:
    return crop if moving is crop else register_crops(moving, crop, faces=faces)[0]


def _pair_maps(model: MicronBert, pairs: list, kind: str, batch: int) -> list[np.ndarray]:
    """The map of each pair; `batch` pairs go in, however many there are, for one compilation."""
    size = model.config.img_size
    short = [(0, batch - len(pairs)), (0, 0), (0, 0), (0, 0)]
    sides = (np.pad(shrink(np.stack(side), size), short) for side in zip(*pairs, strict=True))
    return [*np.asarray(model.motion_map(*sides, kind=kind))[: len(pairs)]]
