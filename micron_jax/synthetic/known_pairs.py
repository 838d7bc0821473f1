"""Pairs of crops of a face with known motion, drawn from one frame of it, for training.

The face's own motion and that of its head are put into the frame, and what a camera saw before and
after goes through its noise and a real codec. A film teaches by each of its frames, without any
label. Two frames of a film would teach, too, by what an addition changes between them; but what a
network says of the motion that is there already adds to the error of that change, and training
then learns to say nothing.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from micron_jax.data import warps
from micron_jax.faces.landmarks import CANONICAL
from micron_jax.synthetic import action_units, head_motion, insertion
from micron_jax.synthetic.codecs import round_trip
from micron_jax.synthetic.still_camera import draw_camera

SIZE = insertion.SIZE
_LANDMARKS = CANONICAL * SIZE - 0.5  # a crop is aligned; its face's own lie about them
_JITTER = 2.0  # px
AMPLITUDE = (0.15, 6.0)  # px, drawn evenly in its logarithm
STILL = 0.12  # share of pairs to which nothing is added
SIDES = (128, 416)  # px: of the crop in the film, before it becomes 224 px
CODECS = {
    "none": 0.3, "mjpeg": 0.15, "h264_phone": 0.25, "h264_low": 0.15, "h264_high": 0.15,
}  # fmt: skip
BROAD, BLINKED, STEADY_WALL = 0.15, 0.3, 0.5  # shares of pairs
TURN = np.array([0.06, 0.06, 0.03])  # radians, at most, of yaw, pitch and roll
SHIFT = np.array([3.0, 3.0, 8.0])  # px, at most: right, down and near
# Waves of a head's relief: their number, periods and standard deviation of their height, px.
_WAVES, _PERIOD, _HEIGHT = 3, (70, 250), 4.0
_FPS = 30.0  # which places key frames; a pair's four frames hold one


@dataclass(frozen=True)
class _Scene:
    """Fields of the first frame and of the last: of the head, of the skin's own motion, of lids."""

    heads: tuple[np.ndarray, np.ndarray]
    skins: tuple[np.ndarray, np.ndarray]
    lids: tuple[np.ndarray, np.ndarray]

    def total(self, share: float) -> np.ndarray:
        """All motion at a share of the way from the first frame to the last."""
        head, skin, lid = (
            (1 - share) * first + share * last
            for first, last in (self.heads, self.skins, self.lids)
        )
        return insertion.compose(head, skin + lid)

    def reversed(self) -> "_Scene":
        return _Scene(self.heads[::-1], self.skins[::-1], self.lids[::-1])


def draw_pairs(face: np.ndarray, rng: np.random.Generator) -> dict:
    """Draws two pairs with known motion from a frame, the second being the first turned around.

    Args:
      face: an aligned crop, RGB uint8 [V, V, 3].

    Returns:
      {"reference", "moved": uint8 [2, 224, 224, 3]; "displacement": the face's own motion of each
      patch of the reference until the moved frame, (x, y) in px, float32 [2, 28, 28, 2]; "motion":
      all of it, with the head's, likewise}.
    """
    if rng.uniform() < 0.5:
        face = np.ascontiguousarray(face[:, ::-1])
    skin = _skin(rng)
    still = np.zeros_like(skin)
    build = _build(rng)
    first = _head(rng, build, 0.3)
    heads = first, first + _head(rng, build, 1.0)
    lids = _lids(rng) if rng.uniform() < BLINKED else still
    skins = (skin, still) if rng.uniform() < 0.4 else (still, skin)
    scene = _Scene(heads, skins, (still, lids))
    reference, moved = _shoot(face, scene, rng)
    truths = [_truth(scene), _truth(scene.reversed())]
    displacement, motion = (np.stack(x).astype(np.float32) for x in zip(*truths, strict=True))
    return {
        "reference": np.stack([reference, moved]),
        "moved": np.stack([moved, reference]),
        "displacement": displacement,
        "motion": motion,
    }


def _skin(rng: np.random.Generator) -> np.ndarray:
    """The field of an expression, or of broad motion without a shape, a canvas of `insertion`."""
    low, high = np.log(AMPLITUDE)
    amplitude = math.exp(rng.uniform(low, high))
    if rng.uniform() < STILL:
        amplitude = 0.0
    if rng.uniform() < BROAD:
        noise = rng.standard_normal((insertion.CANVAS // 4,) * 2 + (2,)).astype(np.float32)
        spread = math.exp(rng.uniform(math.log(12), math.log(45))) / (4 * insertion.STEP)
        noise = cv2.GaussianBlur(noise, (0, 0), spread, borderType=cv2.BORDER_REFLECT)
        field = cv2.resize(noise, (insertion.CANVAS,) * 2, interpolation=cv2.INTER_CUBIC)
        return _limited(field, amplitude)
    landmarks = _LANDMARKS + rng.normal(0, _JITTER, _LANDMARKS.shape)
    field, _ = action_units.draw_shape(landmarks, 1.0, rng)
    if amplitude > 1 and rng.uniform() < 0.5:  # several at once, as faces do
        more, _ = action_units.draw_shape(landmarks, rng.uniform(0.3, 1.0), rng)
        field = field + more
    return _limited(field, amplitude)


def _limited(field: np.ndarray, amplitude: float) -> np.ndarray:
    """A field scaled to a largest displacement, or to less where it would tear."""
    longest = np.hypot(field[..., 0], field[..., 1]).max()
    steep = max(np.abs(x).max() for x in np.gradient(field, insertion.STEP, axis=(0, 1)))
    return field * np.float32(min(amplitude / longest, action_units.STEEPEST / steep))


def _head(rng: np.random.Generator, build: head_motion.Build, most: float) -> np.ndarray:
    """The field of a head that turns and moves, as after registration; often the wall stays."""
    turn, shift = most * rng.uniform() * TURN, most * rng.uniform() ** 1.5 * SHIFT
    pose = rng.uniform(-1, 1, 6) * np.concatenate([turn, shift])
    grid = insertion.canvas_grid()
    push = (head_motion.project(grid, pose, build) - grid).astype(np.float32)
    if rng.uniform() < STEADY_WALL:
        push *= insertion.face_window(1.0, rng.uniform(1.2, 1.9))[..., None]
    return push


def _build(rng: np.random.Generator) -> head_motion.Build:
    """A head that is no mean head: its turns cannot be told by one form of depth."""
    wide, high, bow, deep, nose = np.exp(rng.normal(0, (0.15, 0.12, 0.25, 0.2, 0.4)))
    nose_wide, nose_high = np.exp(rng.normal(0.3, 0.4, 2))
    way, phase = rng.uniform(0, 2 * math.pi, (2, _WAVES))
    right, below = 2 * math.pi / rng.uniform(*_PERIOD, (2, _WAVES)) * (np.cos(way), np.sin(way))
    waves = np.stack([right, below, phase, rng.normal(0, _HEIGHT, _WAVES)], -1)
    return head_motion.Build(
        wide=wide,
        high=high,
        bow=bow,
        compact=rng.uniform(0, 1.5),
        deep=deep,
        nose=nose,
        nose_wide=nose_wide,
        nose_high=nose_high,
        lower=rng.normal(0, 10),
        relief=tuple(map(tuple, waves)),
    )


def _lids(rng: np.random.Generator) -> np.ndarray:
    """The field of lids that close or open."""
    bumps = [
        warps.scaled(bump, rng.uniform(0.7, 1.0))
        for side in (-1, 1)
        for bump in warps.place(warps.LID, side, _LANDMARKS, rng)
    ]
    size = rng.uniform(0.2, 5.0)
    grid = insertion.canvas_grid(), insertion.face_window()
    field = warps.field(bumps, "gaussian", size, action_units.STEEPEST, *grid)
    return field if rng.uniform() < 0.5 else -field


def _shoot(face: np.ndarray, scene: _Scene, rng: np.random.Generator) -> tuple:
    """Takes a scene by a camera and a codec: its first frame and its last, [224, 224, 3]."""
    side = math.exp(rng.uniform(*np.log(SIDES)))
    side = int(min(round(side / 16) * 16, len(face) // 16 * 16))
    aside, blur = rng.uniform(-1, 1, 2), rng.uniform(0, 0.8)
    codec = str(rng.choice([*CODECS], p=[*CODECS.values()]))
    # A frame before, so that the reference is no key frame, and one on the way.
    shares = (0.0, 1.0) if codec in ("none", "mjpeg") else (0.0, 0.0, 0.5, 1.0)
    camera = draw_camera(np.arange(len(shares)) / _FPS, rng, (int(rng.integers(2**31)),))
    views = {at: _take(face, scene.total(at), side, aside, blur) for at in dict.fromkeys(shares)}
    coded = round_trip(camera.shoot(np.stack([views[at] for at in shares])), codec, _FPS)
    return _fit(coded[len(shares) // 4]), _fit(coded[-1])


def _take(frame: np.ndarray, field: np.ndarray, side: int, aside, blur: float) -> np.ndarray:
    """A frame [V, V, 3] with its skin moved, shrunk to `side` px."""
    size = len(frame)
    along = ((np.arange(size, dtype=np.float32) + 0.5) * SIZE / size) - 0.5
    points = np.stack(np.meshgrid(along, along), -1)
    across, down = np.moveaxis(points - insertion.look_up(field, points) + aside, -1, 0)
    x, y = ((at + 0.5) * np.float32(size / SIZE) - 0.5 for at in (across, down))
    moved = cv2.remap(
        frame, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    if blur > 0.2:
        moved = cv2.GaussianBlur(moved, (0, 0), blur * size / SIZE)
    return cv2.resize(moved, (side, side), interpolation=cv2.INTER_AREA)


def _fit(frame: np.ndarray) -> np.ndarray:
    kind = cv2.INTER_AREA if len(frame) > SIZE else cv2.INTER_CUBIC
    return cv2.resize(frame, (SIZE, SIZE), interpolation=kind)


def _truth(scene: _Scene) -> tuple[np.ndarray, np.ndarray]:
    """(The face's own motion, all motion) of each patch of the first frame, [28, 28, 2] px."""
    before = insertion.fine_grid()
    skin = before - insertion.look_up(scene.total(0.0), before)
    after = insertion.trace(scene.total(1.0), skin)
    first, last = (
        insertion.look_up(field, at - insertion.look_up(head, at))
        for head, field, at in zip(scene.heads, scene.skins, (before, after), strict=True)
    )
    return insertion.per_patch(last - first), insertion.per_patch(after - before)
