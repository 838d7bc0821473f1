"""Clips drawn by chance: motion, its times and size, and what disturbs it.

The draws of time, head, distractors, camera and noise come from generators of their own, which
do not know whether the clip has an expression: a motionless clip differs from a moved one by the
expression and by nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from micron_jax.data import warps
from micron_jax.synthetic.render import Camera, Motion

FPS = 200
LEAD, RISE, FALL, TAIL = (8, 20), (16, 40), (16, 40), (8, 20)  # frames, both ends possible
AMPLITUDE = (0.5, 3.0)  # px at 224, drawn evenly in its logarithm

# The kinds of a person's clips, in an order of chance, over and over. `elsewhere` is motion at a
# place that no action unit has; `still` is none. CASME II would call both "others".
DECK = (*warps.EMOTIONS, "elsewhere", "still", "still")

_TIME, _EXPRESSION, _HEAD, _DISTRACTORS, _CAMERA, _NOISE, _DECK = range(7)


@dataclass(frozen=True)
class Clip:
    """A clip: its frames are numbered from 0; `label` goes into its entry of the truth."""

    frames: int
    onset: int
    apex: int
    offset: int
    emotion: str
    motion: Motion
    camera: Camera
    noise: np.random.Generator
    label: dict


def kinds(key: tuple[int, int], clips: int) -> list[str]:
    """The kinds of a person's clips, [clips]; key: (seed, person)."""
    rng = np.random.default_rng([*key, 0, _DECK])
    decks = [rng.permutation(len(DECK)) for _ in range(-(-clips // len(DECK)))]
    return [DECK[i] for i in np.concatenate(decks)[:clips]]


def draw_clip(
    key: tuple[int, int, int],
    kind: str,
    split: str,
    landmarks: np.ndarray,
    amplitudes: Sequence[float] = (),
) -> Clip:
    """Draws a clip from its key alone.

    Args:
      key: (seed, person, clip).
      kind: one of `DECK`.
      split: of the person; those of `test` also get families of warps that no other has.
      landmarks: [5, 2] in px of the 224 px crop.
      amplitudes: one of these is drawn, in px; empty: any within `AMPLITUDE`.
    """
    rng = {stream: np.random.default_rng([*key, stream]) for stream in range(_DECK)}
    lead, rise, fall, tail = (
        int(rng[_TIME].integers(low, high + 1)) for low, high in (LEAD, RISE, FALL, TAIL)
    )
    onset, apex, offset = lead, lead + rise, lead + rise + fall
    frames = offset + tail + 1
    intensity = _profile(frames, onset, apex, offset, rng[_TIME])
    expression, label = _expression(kind, split, landmarks, amplitudes, rng[_EXPRESSION])
    distractors, label["blink"], label["turn"] = _distractors(
        frames, onset, offset, apex, landmarks, rng[_DISTRACTORS]
    )
    pose = _pose(frames, rng[_HEAD])
    motion = Motion(expression=expression, intensity=intensity, pose=pose, **distractors)
    emotion = kind if kind in warps.EMOTIONS else "others"
    camera = _camera(frames, rng[_CAMERA])
    return Clip(frames, onset, apex, offset, emotion, motion, camera, rng[_NOISE], label)


def _profile(frames: int, onset: int, apex: int, offset: int, rng) -> np.ndarray:
    """[T]: 0 until the onset, 1 at the apex, 0 from the offset; how steeply, differs."""
    t = np.arange(frames)
    up = np.clip((t - onset) / (apex - onset), 0, 1) ** rng.uniform(0.8, 1.3)
    down = np.clip((offset - t) / (offset - apex), 0, 1) ** rng.uniform(0.8, 1.3)
    part = np.minimum(up, down)
    minimum_jerk = part**3 * (part * (6 * part - 15) + 10)
    return minimum_jerk if rng.uniform() < 0.5 else 0.5 - 0.5 * np.cos(np.pi * part)


def _expression(kind: str, split: str, landmarks, amplitudes, rng) -> tuple[np.ndarray, dict]:
    families = list(warps.FAMILIES if split == "test" else warps.SEEN)
    family = families[rng.integers(len(families))]
    low, high = np.log(AMPLITUDE)
    position = rng.uniform(low, high)
    if amplitudes:  # by the same draw, so that everything after it is the same
        amplitude = amplitudes[int((position - low) / (high - low) * len(amplitudes))]
    else:
        amplitude = math.exp(position)
    label = {"kind": kind, "units": "", "family": family, "amplitude": round(amplitude, 3)}
    if kind == "still":
        label |= {"family": "none", "amplitude": 0.0}
        return np.zeros((warps.CANVAS, warps.CANVAS, 2), np.float32), label
    bumps = []
    if kind == "elsewhere":
        for _ in range(rng.integers(1, 3)):
            bumps += warps.anywhere(landmarks, rng)
    else:
        choices = warps.EMOTIONS[kind]
        units = choices[rng.integers(len(choices))]
        # The two halves of a face never move alike, and one in five expressions is one-sided.
        strength = rng.permutation([1.0, 0.0 if rng.uniform() < 0.2 else rng.uniform(0.5, 1.0)])
        for unit in units:
            for side, share in zip((-1, 1), strength, strict=True):
                placed = warps.place(warps.UNITS[unit], side, landmarks, rng)
                bumps += [warps.scaled(bump, share) for bump in placed if share]
        # Left and right are the person's, as in FACS: the image's other way round.
        prefix = {(1.0, 0.0): "R", (0.0, 1.0): "L"}.get(tuple(strength), "")
        label["units"] = "+".join(prefix + number for unit in units for number in unit.split("+"))
    return warps.field(bumps, family, label["amplitude"]), label


def _distractors(frames, onset, offset, apex, landmarks, rng) -> tuple[dict, float, float]:
    """Fields and times of a blink and a turn; how far, in px, each has gone at the apex."""
    t, zero = np.arange(frames), np.zeros((warps.CANVAS, warps.CANVAS, 2), np.float32)
    blinks, turns = rng.uniform(size=2) < 0.3
    lids = [bump for side in (-1, 1) for bump in warps.place(warps.LID, side, landmarks, rng)]
    # An expression (0.35), a blink (0.5) and a turn (0.13) together stay below 1: nothing folds.
    blink = warps.field(lids, "gaussian", rng.uniform(2.0, 4.5), steepest=0.5) if blinks else zero
    blinking = np.exp(-(((t - rng.uniform(onset, offset)) / rng.uniform(8, 16)) ** 2))
    angle, amplitude = rng.uniform(0, 2 * math.pi), rng.uniform(1.0, 3.0)
    turn = warps.turn_field(landmarks, angle, amplitude) if turns else zero
    middle, width = rng.uniform(onset, offset), rng.uniform(25, 60)
    turning = 0.5 + 0.5 * np.cos(np.pi * np.clip((t - middle) / width, -1, 1))
    far = [
        float(np.abs(times[apex] - times[onset]) * np.hypot(*np.moveaxis(field, -1, 0)).max())
        for times, field in ((blinking, blink), (turning, turn))
    ]
    motion = {"blink": blink, "turn": turn, "blinking": blinking, "turning": turning}
    return motion, round(far[0], 3), round(far[1], 3)


def _pose(frames: int, rng) -> np.ndarray:
    """[T, 4]: a head that is held as still as possible, and the tracker's jitter."""
    reach = rng.uniform(0, 1, 4) * (0.5, 0.5, math.radians(0.3), 0.002)
    drift = np.stack([_drift(frames, rng) for _ in range(4)], -1) * reach
    jitter = rng.normal(0, 1, (frames, 4)) * (0.02, 0.02, math.radians(0.01), 0.0001)
    # No frame is the picture itself: the onset's, too, lies askew between its pixels.
    aside = rng.uniform(-1, 1, 4) * (1.0, 1.0, math.radians(1.0), 0.01)
    return aside + drift + jitter


def _camera(frames: int, rng) -> Camera:
    light = np.stack([_drift(frames, rng) for _ in range(3)], -1) * rng.uniform(0, 0.04, 3)
    noise = rng.uniform(0.5, 2.0), rng.uniform(0.0, 0.02)
    return Camera(rng.uniform(0.3, 0.7), noise, light, int(rng.integers(85, 96)))


def _drift(frames: int, rng) -> np.ndarray:
    """[T], smooth, within -1..1: three slow waves."""
    weight, period, phase = rng.dirichlet([1.0] * 3), rng.uniform(40, 300, 3), rng.uniform(size=3)
    waves = np.sin(2 * np.pi * (np.arange(frames)[:, None] / period + phase))
    return waves @ weight
