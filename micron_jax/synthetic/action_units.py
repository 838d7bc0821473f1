"""Shapes and times of expressions, drawn by chance: action units, soft tissue, and sides."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from micron_jax.data import warps
from micron_jax.data.warps import Unit
from micron_jax.synthetic import insertion

AMPLITUDE = (0.25, 5.0)  # px at 224, drawn evenly in its logarithm
DURATION = (1 / 25, 1 / 2)  # seconds from onset to offset, drawn evenly in its logarithm
STEEPEST = 0.35  # px a px

UNITS = {
    **warps.UNITS,
    "1": Unit("eye", (-0.25, -0.36), (-0.15, -1.0), (0.20, 0.20)),  # inner brow raiser
    "2": Unit("eye", (0.22, -0.36), (0.15, -1.0), (0.20, 0.18)),  # outer brow raiser
    "5": Unit("eye", (0.0, -0.10), (0.0, -1.0), (0.25, 0.12)),  # upper lid raiser
    "6": Unit("eye", (0.12, 0.42), (-0.25, -1.0), (0.30, 0.22)),  # cheek raiser
    "10": Unit("mouth", (-0.22, -0.16), (0.1, -1.0), (0.20, 0.14)),  # upper lip raiser
    "14": Unit("mouth", (0.10, 0.0), (-1.0, 0.05), (0.16, 0.16)),  # dimpler
    "17": Unit("mouth", (-0.32, 0.38), (0.0, -1.0), (0.30, 0.20)),  # chin raiser
    "20": Unit("mouth", (0.06, 0.05), (1.0, 0.15), (0.22, 0.18)),  # lip stretcher
    "25": Unit("mouth", (-0.36, 0.16), (0.0, 1.0), (0.32, 0.14)),  # lips part, lower lip down
}
# Units that come together; those of a row are equally likely.
COMBINATIONS = (
    *(("12",), ("6", "12"), ("12", "25"), ("14",), ("12", "14")),  # happiness, contempt
    *(("1+2",), ("1",), ("2",), ("1+2", "5"), ("1+2", "25"), ("5",)),  # surprise
    *(("4",), ("4", "7"), ("7",), ("9",), ("4", "9"), ("10",), ("9", "10")),  # anger, disgust
    *(
        ("1", "4"),
        ("15",),
        ("15", "17"),
        ("17",),
        ("1", "15"),
        ("20",),
        ("1", "20"),
    ),  # sadness, fear
)
ELSEWHERE = 0.25  # share of expressions at places that no unit has
ONE_SIDED = 0.25  # share of expressions of one half of the face


@dataclass(frozen=True)
class Shape:
    """Facts of a drawn field.

    Attributes:
      units: as FACS writes them, with L or R (the person's) before those of one side.
      side: "both", "left", "right" (the person's), or "" elsewhere.
      family: of the kernels, one of `warps.FAMILIES`.
      spread: factor of the kernels' size; below 1 they are compact.
      carried: strength of the soft tissue that comes along, as a part of the unit's.
      amplitude: the largest displacement, px.
    """

    units: str
    side: str
    family: str
    spread: float
    carried: float
    amplitude: float

    def facts(self) -> dict:
        """Its fields, as `truth.json` has them."""
        return asdict(self)


def draw_amplitude(rng: np.random.Generator, amplitudes: Sequence[float] = ()) -> float:
    """One of `amplitudes`, or, without any, one within `AMPLITUDE`, px."""
    low, high = np.log(AMPLITUDE)
    position = rng.uniform(low, high)
    if not amplitudes:
        return round(math.exp(position), 3)
    return amplitudes[int((position - low) / (high - low) * len(amplitudes))]


def draw_shape(
    landmarks: np.ndarray,
    amplitude: float,
    rng: np.random.Generator,
    families: Sequence[str] = (*warps.SEEN,),
) -> tuple[np.ndarray, Shape]:
    """Draws the field of an expression at its apex.

    Args:
      landmarks: [5, 2] in px of the 224 px crop, of this face.
      amplitude: px; the largest displacement.
      families: of kernels, one of which is drawn.

    Returns:
      (float32 [208, 208, 2], a canvas of `insertion`; its facts).
    """
    family = families[rng.integers(len(families))]
    spread = float(np.exp(rng.uniform(math.log(0.6), math.log(2.0))))
    carried = float(rng.uniform(0.1, 0.5)) if rng.uniform() < 0.6 else 0.0
    if rng.uniform() < ELSEWHERE:
        bumps = [b for _ in range(rng.integers(1, 3)) for b in warps.anywhere(landmarks, rng)]
        units = side = ""
    else:
        bumps, units, side = _units(landmarks, rng)
    bumps = [_sized(bump, spread, 1.0) for bump in bumps]
    wide = float(rng.uniform(1.8, 3.0))
    bumps += [_sized(bump, wide, carried) for bump in bumps if carried]
    canvas = insertion.canvas_grid(), insertion.face_window()
    field = warps.field(bumps, family, amplitude, STEEPEST, *canvas)
    facts = Shape(units, side, family, round(spread, 3), round(carried, 3), float(amplitude))
    return field, facts


def _units(landmarks: np.ndarray, rng: np.random.Generator) -> tuple[list[warps.Bump], str, str]:
    units = COMBINATIONS[rng.integers(len(COMBINATIONS))]
    # The two halves of a face never move alike.
    weaker = 0.0 if rng.uniform() < ONE_SIDED else rng.uniform(0.4, 1.0)
    strength = rng.permutation([1.0, weaker])
    bumps = []
    for unit in units:
        for half, share in zip((-1, 1), strength, strict=True):
            placed = warps.place(UNITS[unit], half, landmarks, rng)
            bumps += [warps.scaled(bump, share) for bump in placed if share]
    # The image's left half is the person's right one.
    side = {(1.0, 0.0): "right", (0.0, 1.0): "left"}.get(tuple(strength), "both")
    prefix = {"right": "R", "left": "L"}.get(side, "")
    text = "+".join(prefix + number for unit in units for number in unit.split("+"))
    return bumps, text, side


def _sized(bump: warps.Bump, spread: float, share: float) -> warps.Bump:
    radii = tuple(radius * spread for radius in bump.radii)
    return replace(warps.scaled(bump, share), radii=radii)


@dataclass(frozen=True)
class Profile:
    """The course of an expression over time: seconds; and the powers that bend its two flanks."""

    onset: float
    apex: float
    offset: float
    rise: float = 1.0
    fall: float = 1.0

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """Intensity at times [T]: 0 until the onset, 1 at the apex, 0 from the offset on."""
        up = np.clip((seconds - self.onset) / (self.apex - self.onset), 0, 1) ** self.rise
        down = np.clip((self.offset - seconds) / (self.offset - self.apex), 0, 1) ** self.fall
        part = np.minimum(up, down)
        return part**3 * (part * (6 * part - 15) + 10)  # minimum jerk

    def frames(self, seconds: np.ndarray) -> dict[str, int]:
        """Numbers of the last frame before it, of the apex, and of the first frame after it."""
        moving = np.flatnonzero(self(seconds) > 0)
        apex = int(np.argmin(np.abs(seconds - self.apex)))
        first, last = (moving[0], moving[-1]) if len(moving) else (apex, apex)
        return {
            "onset": max(0, int(first) - 1),
            "apex": apex,
            "offset": min(len(seconds) - 1, int(last) + 1),
        }


def draw_profile(
    seconds: np.ndarray, allowed: np.ndarray, rng: np.random.Generator
) -> Profile | None:
    """Draws when an expression comes; its apex is on a frame, whose peak is therefore whole.

    Args:
      seconds: [T], of the frames.
      allowed: bool [T], the frames that the expression may reach; others stay as they are.

    Returns:
      A profile; None: no place is long enough.
    """
    low, high = np.log(DURATION)
    duration, share = math.exp(rng.uniform(low, high)), rng.uniform(0.3, 0.6)
    rise, fall = duration * share, duration * (1 - share)
    bend = rng.uniform(0.8, 1.3, 2)
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1 / 30
    places = []
    for n in np.flatnonzero(allowed):
        start, end = seconds[n] - rise - step, seconds[n] + fall + step
        free = allowed[(seconds > start) & (seconds < end)].all()
        if free and seconds[0] <= start and end <= seconds[-1]:
            places.append(n)
    position = rng.uniform()
    if not places:
        return None
    apex = float(seconds[places[int(position * len(places))]])
    return Profile(apex - rise, apex, apex + fall, *map(float, bend))
