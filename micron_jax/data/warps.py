"""Fields of displacement that look like facial action units, head turns or motion elsewhere.

A field is float32 [512, 512, 2], (x, y) in px at 224: skin that is at a point *now* has come from
that point minus the field there. Its canvas has two samples a pixel and a margin of 16 px around
the 224 px crop. Coordinates are (x, y) in the crop's pixels (centers at whole numbers); "outward"
is away from the middle of the face.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

SIZE, MARGIN, SUPER = 224, 16, 2
CANVAS = (SIZE + 2 * MARGIN) * SUPER

# Fading of a displacement with the distance r from its site: 1 at 0, about 1/2 at r = 1. The
# device draws these, too, with jax.numpy for numpy.
SEEN: dict[str, Callable[..., np.ndarray]] = {
    "gaussian": lambda r, np=np: np.exp(-math.log(2) * r**2),
    "bump": lambda r, np=np: np.clip(1 - (r / 2.2) ** 2, 0, None) ** 3,
    "cosine": lambda r, np=np: 0.5 + 0.5 * np.cos(np.pi * np.clip(r / 2, 0, 1)),
}
# Families of the test people alone: training on the others' clips does not meet them.
UNSEEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plateau": lambda r: 1 - _smoothstep((r - 0.55) / 0.95),
    "tail": lambda r: (1 + 0.414 * r**2) ** -2 * (1 - _smoothstep((r - 2.5) / 1.5)),
    "crest": lambda r: (1 - 0.4 * r**2) * np.exp(-0.42 * r**2),  # bulges against it around
}
FAMILIES = SEEN | UNSEEN


@dataclasses.dataclass(frozen=True)
class Unit:
    """Motion of an action unit in the image-left half of a face; the other half mirrors it.

    In distances between the pupils: `site` is (outward, down) from the landmark `anchor`, `way`
    the direction (outward, down) of the motion, `reach` the half-maximum radii (across, down).
    """

    anchor: str
    site: tuple[float, float]
    way: tuple[float, float]
    reach: tuple[float, float]


UNITS = {
    "1+2": Unit("eye", (0.03, -0.38), (0.10, -1.0), (0.36, 0.20)),  # brow raiser
    "4": Unit("eye", (-0.22, -0.31), (-0.5, 0.85), (0.26, 0.17)),  # brow lowerer
    "7": Unit("eye", (0.0, 0.17), (0.0, -1.0), (0.26, 0.12)),  # lid tightener
    "9": Unit("nose", (0.20, -0.28), (-0.15, -1.0), (0.15, 0.22)),  # nose wrinkler
    "12": Unit("mouth", (0.06, -0.03), (0.75, -0.66), (0.21, 0.19)),  # smile
    "15": Unit("mouth", (0.05, 0.07), (0.2, 1.0), (0.19, 0.18)),  # lip-corner depressor
}
EMOTIONS = {
    "happiness": (("12",),),
    "disgust": (("9",), ("4", "9"), ("7", "9")),
    "surprise": (("1+2",),),
    "repression": (("15",),),
    "others": (("4",), ("7",), ("4", "7")),
}
LID = Unit("eye", (0.0, -0.07), (0.0, 1.0), (0.24, 0.12))  # the upper lid of a blink


@dataclasses.dataclass(frozen=True)
class Bump:
    """One kernel: center and half-maximum radii in px, its tilt in radians, its push (x, y)."""

    center: tuple[float, float]
    radii: tuple[float, float]
    tilt: float
    push: tuple[float, float]


def canvas_grid() -> np.ndarray:
    """Crop coordinates of the canvas's samples, float32 [512, 512, 2]."""
    along = (np.arange(CANVAS, dtype=np.float32) + 0.5) / SUPER - 0.5 - MARGIN
    return np.stack(np.meshgrid(along, along), -1)


def field(
    bumps: Sequence[Bump],
    family: str,
    amplitude: float,
    steepest: float = 0.35,
    grid: np.ndarray | None = None,
    window: np.ndarray | None = None,
) -> np.ndarray:
    """The sum of kernels of one family, with a largest displacement of `amplitude` px.

    Kernels grow until no displacement changes by more than `steepest` px a px, so that nothing
    tears or folds even where a blink and a turn come on top.

    Args:
      bumps, family: the kernels.
      amplitude, steepest: px, and px a px.
      grid: float32 [H, W, 2], crop coordinates of the field's samples; None: `canvas_grid`.
      window: float32 [H, W], a factor of the sum at each sample; None: 1.
    """
    grid = canvas_grid() if grid is None else grid
    density = 1 / float(grid[0, 1, 0] - grid[0, 0, 0])
    widened = 1.0
    while True:
        total = _sum(bumps, family, widened, grid)
        if window is not None:
            total *= window[..., None]
        total *= np.float32(amplitude / np.hypot(*np.moveaxis(total, -1, 0)).max())
        if (steep := steepness(total, density)) <= steepest:
            return total
        widened *= max(1.05, steep / steepest)


def steepness(total: np.ndarray, density: float = SUPER) -> float:
    """The largest change of a field, in px a px, in any direction (spectral norm).

    `density` is the number of the field's samples a px.
    """
    down, across = (np.gradient(total, axis=axis) * density for axis in (0, 1))
    # Of a 2 x 2 matrix [[a, b], [c, d]]: with the halves of sums and differences, two radii.
    (b, d), (a, c) = np.moveaxis(down, -1, 0), np.moveaxis(across, -1, 0)
    return float((np.hypot(a + d, c - b) + np.hypot(a - d, b + c)).max() / 2)


def _sum(bumps: Sequence[Bump], family: str, widened: float, grid: np.ndarray) -> np.ndarray:
    total = np.zeros_like(grid)
    for bump in bumps:
        x, y = grid[..., 0] - np.float32(bump.center[0]), grid[..., 1] - np.float32(bump.center[1])
        cos, sin = np.float32(math.cos(bump.tilt)), np.float32(math.sin(bump.tilt))
        across = (x * cos + y * sin) / np.float32(bump.radii[0] * widened)
        down = (y * cos - x * sin) / np.float32(bump.radii[1] * widened)
        weight = FAMILIES[family](np.sqrt(across**2 + down**2))
        total += weight[..., None] * np.float32(bump.push)
    return total


def place(unit: Unit, side: int, landmarks: np.ndarray, rng: np.random.Generator) -> list[Bump]:
    """A unit on a face with landmarks [5, 2], in its image-left half, side -1, or its right, +1.

    Site, direction, size and shape are drawn around the unit's.
    """
    distance = math.hypot(*(landmarks[1] - landmarks[0]))
    right = (landmarks[1] - landmarks[0]) / distance  # along the eyes: a tilted face tilts all
    axes = np.stack([side * right, (-right[1], right[0])])  # outward, down
    index = {"eye": (0, 1), "nose": (2, 2), "mouth": (3, 4)}[unit.anchor][(side + 1) // 2]
    center = landmarks[index] + distance * (unit.site + rng.normal(0, 0.04, 2)) @ axes
    push = _turned(np.asarray(unit.way) / math.hypot(*unit.way), rng.uniform(-0.35, 0.35)) @ axes
    tilt = math.atan2(right[1], right[0]) + rng.uniform(-0.25, 0.25)
    return _shape(center, np.multiply(unit.reach, distance), tilt, push, rng)


def anywhere(landmarks: np.ndarray, rng: np.random.Generator) -> list[Bump]:
    """Motion at a random place in the face, which no knowledge of faces predicts."""
    distance = math.hypot(*(landmarks[1] - landmarks[0]))
    radius, around, way = math.sqrt(rng.uniform()), *rng.uniform(0, 2 * math.pi, 2)
    across = np.array([math.cos(around) * 1.1, math.sin(around) * 1.35])  # an oval about the nose
    center = landmarks[2] + distance * radius * across
    radii = distance * rng.uniform(0.13, 0.36, 2)
    push = np.array([math.cos(way), math.sin(way)])
    return _shape(center, radii, rng.uniform(0, math.pi), push, rng)


def scaled(bump: Bump, share: float) -> Bump:
    """The same kernel with `share` of its push."""
    return dataclasses.replace(bump, push=(bump.push[0] * share, bump.push[1] * share))


def turn_field(landmarks: np.ndarray, angle: float, amplitude: float) -> np.ndarray:
    """The field of a small head turn (yaw, pitch or both): nearer parts move more."""
    distance = math.hypot(*(landmarks[1] - landmarks[0]))
    center = landmarks[2]
    x, y = np.moveaxis((canvas_grid() - np.float32(center)) / distance, -1, 0)
    depth = np.clip(1 - (x / 1.7) ** 2 - (y / 2.1) ** 2, 0, None) ** 2
    depth += 0.35 * np.exp(-((x / 0.3) ** 2 + (y / 0.45) ** 2))  # the nose
    way = np.array([math.cos(angle), math.sin(angle)])
    return (amplitude * depth / depth.max())[..., None].astype(np.float32) * np.float32(way)


def _shape(center, radii, tilt: float, push: np.ndarray, rng: np.random.Generator) -> list[Bump]:
    """One to three kernels along the long axis: ovals, bars, drops and bananas."""
    radii = np.asarray(radii) * np.exp(rng.normal(0, 0.15, 2))
    long = _turned(np.array([1.0, 0.0] if radii[0] > radii[1] else [0.0, 1.0]), tilt)
    count = rng.integers(1, 4)
    steps = np.linspace(-0.5, 0.5, count) if count > 1 else np.zeros(1)
    spots = center + np.outer(steps * max(radii), long)
    spots += rng.normal(0, 0.1, (count, 2)) * min(radii)
    strength = rng.uniform(0.5, 1.0, count)
    if count > 1:
        radii = radii * 0.8
    # Shapes of one kernel or of three that overlap push about equally far.
    apart = np.hypot(*np.moveaxis(spots[:, None] - spots, -1, 0)) / max(radii)
    strength /= (SEEN["gaussian"](apart) @ strength).max()
    ways = [_turned(push, rng.uniform(-0.15, 0.15)) * share for share in strength]
    return [
        Bump(tuple(spot), tuple(radii), tilt, tuple(way))
        for spot, way in zip(spots, ways, strict=True)
    ]


def _turned(vector: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])


def _smoothstep(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t**3 * (t * (6 * t - 15) + 10)
