"""A head that turns before the camera, with the parallax of a mean face's depth.

The depth is smooth and drawn by hand: an ellipsoid, a nose and two eye sockets, in px of the 224 px
crop, one of which is about a millimeter of a real face. Turning a picture of a face by it moves the
nose farther than the ears, as a real turn does; what lies beside the face stays at rest.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from micron_jax.faces.landmarks import CANONICAL
from micron_jax.synthetic import insertion

CAMERA = 700.0  # px from the face, about 0.7 m
PIVOT = (112.0, 175.0, -40.0)  # the neck, behind the chin
_LEFT, _RIGHT, _NOSE = CANONICAL[:3] * insertion.SIZE - 0.5
_ROUNDS = 12  # of the inversion; each shrinks the error to a half at most

# At most, of a head that is not held still: yaw, pitch and roll in radians, and px to the right,
# down and toward the camera.
REACH = np.array([math.radians(7), math.radians(5), math.radians(5), 6.0, 6.0, 20.0])
PERIODS = (0.8, 8.0)  # seconds of a sway


@dataclass(frozen=True)
class HeadMotion:
    """The course of a head: poses [T, 6] as `REACH`, at rest in the first frame."""

    poses: np.ndarray

    def fields(self) -> Iterator[np.ndarray]:
        """Yields the field of each frame, a canvas float32 [208, 208, 2]; see `insertion`."""
        grid = insertion.canvas_grid()
        window = insertion.face_window(1.0, 1.95)[..., None]
        for pose in self.poses:
            push = ((project(grid, pose) - grid) * window).astype(np.float32)
            field = push
            for _ in range(_ROUNDS):
                field = insertion.look_up(push, grid - field)
            yield field


@dataclass(frozen=True)
class Build:
    """How the depth of a face differs from the mean one's: factors, 1 being the mean face's.

    Attributes:
      wide, high: of the face.
      bow: of the exponent of how it falls off to its sides: below 1 a cone, above a barrel.
      compact: 0 for a face that falls off as a Gaussian; above, one that ends, the steeper the more
        (2 for an ellipsoid).
      deep, nose: of its depth, and of the nose's.
      nose_wide, nose_high: of the nose's sides.
      lower: px by which the deepest place is lower.
      relief: waves on it: (radians per px to the right, per px down, phase, height in px) of each.
    """

    wide: float = 1.0
    high: float = 1.0
    bow: float = 1.0
    compact: float = 0.0
    deep: float = 1.0
    nose: float = 1.0
    nose_wide: float = 1.0
    nose_high: float = 1.0
    lower: float = 0.0
    relief: tuple[tuple[float, float, float, float], ...] = ()


MEAN = Build()


def depth(points: np.ndarray, build: Build = MEAN) -> np.ndarray:
    """Depth toward the camera of a face at points [..., 2] of the crop, px."""
    x, y = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    middle = (_LEFT[0] + _RIGHT[0]) / 2
    across, down = (x - middle) / (80 * build.wide), (y - 118 - build.lower) / (108 * build.high)
    waves = sum(
        height * np.cos(right * x + below * y + phase)
        for right, below, phase, height in build.relief
    )
    face = (72 * build.deep + waves) * _fall((across**2 + down**2) ** build.bow, build.compact)
    wide, high = 11 * build.nose_wide, 12 * build.nose_high
    nose = 18 * build.nose * np.exp(-(((x - _NOSE[0]) / wide) ** 2 + ((y - _NOSE[1]) / high) ** 2))
    bridge = 12 * np.exp(-(((x - middle) / 9) ** 2) - ((y - (_NOSE[1] + _LEFT[1]) / 2) / 20) ** 2)
    sockets = sum(
        -6 * np.exp(-(((x - eye[0]) / 14) ** 2) - ((y - eye[1]) / 9) ** 2)
        for eye in (_LEFT, _RIGHT)
    )
    return face + nose + bridge + sockets


def _fall(far: np.ndarray, compact: float) -> np.ndarray:
    """exp(-far), and for `compact` above 0 the power (a q-exponential) that reaches 0."""
    if compact == 0:
        return np.exp(-far)
    return np.clip(1 - compact * far, 0, None) ** (1 / compact)


def project(points: np.ndarray, pose: np.ndarray, build: Build = MEAN) -> np.ndarray:
    """The places [..., 2] to which points of the face go when the head takes a pose [6]."""
    yaw, pitch, roll, right, down, near = pose
    z = depth(points, build)
    space = np.concatenate(
        [(points - PIVOT[:2]) * ((CAMERA - z) / CAMERA)[..., None], z[..., None]], -1
    )
    space[..., 2] -= PIVOT[2]
    turned = space @ (_about(2, roll) @ _about(0, pitch) @ _about(1, yaw)).T
    turned += (right, down, near + PIVOT[2])
    return turned[..., :2] * (CAMERA / (CAMERA - turned[..., 2]))[..., None] + PIVOT[:2]


def draw(seconds: np.ndarray, rng: np.random.Generator) -> HeadMotion:
    """Draws a smooth course for frames at times [T]; from hardly any motion to a lively head."""
    share = math.exp(rng.uniform(math.log(0.15), 0.0)) * rng.uniform(0.5, 1.0, 6)
    waves = np.zeros((len(seconds), 6))
    for axis in range(6):
        periods = np.exp(rng.uniform(*np.log(PERIODS), 3))
        phases, weights = rng.uniform(0, 2 * math.pi, 3), rng.dirichlet([1.0] * 3)
        waves[:, axis] = np.sin(2 * math.pi * seconds[:, None] / periods + phases) @ weights
    return HeadMotion((waves - waves[0]) * share * REACH / 2)


def _about(axis: int, angle: float) -> np.ndarray:
    """Rotation about one of the axes x, y, z, [3, 3]."""
    cos, sin = math.cos(angle), math.sin(angle)
    a, b = (i for i in range(3) if i != axis)
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = cos
    matrix[a, b], matrix[b, a] = (sin, -sin) if axis == 1 else (-sin, sin)
    return matrix
