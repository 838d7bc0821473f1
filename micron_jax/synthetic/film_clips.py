"""Clips of a film or a still with expressions of known motion, and their controls, in memory.

`film` is a part of a real film: its talking, blinking, turning, flicker and noise stay. `still` is
one frame or picture before a camera of its own; `head_only` is the same, but the head moves, with
parallax. The control of a clip is the same without the expressions: equal frames through an equal
resampling, with equal noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from micron_jax.data import warps
from micron_jax.faces.landmarks import canonical_transform
from micron_jax.synthetic import action_units, face_track, head_motion, insertion, still_camera

KINDS = ("film", "still", "head_only")
_TIME, _SHAPE, _AMPLITUDE, _HEAD, _CAMERA, _NOISE = range(6)  # streams of chance
APART = 0.4  # seconds between two expressions of a clip
EACH = 1.5  # seconds of a clip for each expression; no more than 3


@dataclass(frozen=True)
class Expression:
    """An inserted expression: its field at the apex, a canvas; its course; its shape."""

    field: np.ndarray
    profile: action_units.Profile
    shape: action_units.Shape


@dataclass(frozen=True)
class FilmClip:
    """A clip of T frames, and the truth about it.

    Attributes:
      frames, control: uint8 [T, H, W, 3], with the expressions and without.
      seconds: [T], from 0.
      landmarks: float32 [T, 5, 2] px, smooth; the control's. They place the truth's crop.
      valid: bool [T]; the face is there.
      displacement: float32 [T, 28, 28, 2], by the expressions alone; see `insertion.displacement`.
      distraction: float32 [T, 28, 28, 2], by which the head takes the patches away in a crop that
        is held where the first frame's is: of a still, exactly; of a film, the similarity of the
        landmarks.
      expressions: in order of time.
    """

    frames: np.ndarray
    control: np.ndarray
    seconds: np.ndarray
    landmarks: np.ndarray
    valid: np.ndarray
    displacement: np.ndarray
    distraction: np.ndarray
    expressions: list[Expression] = field(default_factory=list)


def film_clip(
    frames: np.ndarray,
    track: face_track.FaceTrack,
    seconds: np.ndarray,
    key: Sequence[int],
    split: str = "train",
    amplitudes: Sequence[float] = (),
) -> FilmClip:
    """Inserts expressions into a part of a film.

    Args:
      frames: uint8 [T, H, W, 3], at times `seconds` [T].
      track: of the face.
      key: whole numbers that tell this clip from others; all that is drawn follows from them.
      split: those of `test` also get families of shapes that no other has.
      amplitudes: px, of which one is drawn; empty: any within `action_units.AMPLITUDE`.
    """
    seconds = seconds - seconds[0]
    there = track.landmarks - insertion.OFFSET
    expressions = _draw_expressions(seconds, track.valid, there, key, split, amplitudes)
    fields = _fields(expressions, seconds)
    moved, _ = insertion.resample(frames, track.landmarks, fields)
    control, landmarks = insertion.resample(frames, track.landmarks, [None] * len(frames))
    return FilmClip(
        moved,
        control,
        seconds,
        landmarks.astype(np.float32),
        track.valid,
        insertion.displacement(fields),
        _head_of(landmarks),
        expressions,
    )


def still_clip(
    picture: np.ndarray,
    landmarks: np.ndarray,
    seconds: np.ndarray,
    key: Sequence[int],
    *,
    turning: bool,
    split: str = "train",
    amplitudes: Sequence[float] = (),
) -> FilmClip:
    """Makes a clip of one picture, uint8 [H, W, 3], of a face with landmarks [5, 2] px.

    Args:
      turning: the head moves; else nothing does but the expressions.
      seconds, key, split, amplitudes: as of `film_clip`.
    """
    seconds = seconds - seconds[0]
    count = len(seconds)
    base = np.broadcast_to(landmarks, (count, 5, 2))
    valid = np.ones(count, bool)
    expressions = _draw_expressions(seconds, valid, base - insertion.OFFSET, key, split, amplitudes)
    fields = _fields(expressions, seconds)
    heads = [None] * count
    if turning:
        heads = list(head_motion.draw(seconds, _rng(key, _HEAD)).fields())
    both = [
        head if field is None else field if head is None else insertion.compose(head, field)
        for head, field in zip(heads, fields, strict=True)
    ]
    frames = np.broadcast_to(picture, (count, *picture.shape))
    camera = still_camera.draw_camera(seconds, _rng(key, _CAMERA), (*key, _NOISE))
    moved, there = insertion.resample(frames, base, both)
    control, _ = insertion.resample(frames, base, heads)
    truth = [_of_turned(*pair, there[0]) for pair in zip(heads, fields, strict=True)]
    displacement, distraction, places = (np.stack(each) for each in zip(*truth, strict=True))
    return FilmClip(
        camera.shoot(moved),
        camera.shoot(control),
        seconds,
        places.astype(np.float32),
        valid,
        displacement.astype(np.float32),
        distraction.astype(np.float32),
        expressions,
    )


def _rng(key: Sequence[int], stream: int) -> np.random.Generator:
    return np.random.default_rng([*key, stream])


def _draw_expressions(
    seconds, valid, landmarks, key, split: str, amplitudes: Sequence[float]
) -> list[Expression]:
    times, shapes, sizes = (_rng(key, stream) for stream in (_TIME, _SHAPE, _AMPLITUDE))
    families = (*(warps.FAMILIES if split == "test" else warps.SEEN),)
    most = max(1, min(3, int(seconds[-1] / EACH)))
    allowed, expressions = valid.copy(), []
    for _ in range(times.integers(1, most + 1)):
        profile = action_units.draw_profile(seconds, allowed, times)
        amplitude = action_units.draw_amplitude(sizes, amplitudes)
        if profile is None:
            continue
        near = (seconds > profile.onset - APART) & (seconds < profile.offset + APART)
        allowed &= ~near
        points = landmarks[int(np.argmin(np.abs(seconds - profile.apex)))]
        transform = canonical_transform(points, insertion.SIZE)
        in_crop = points @ transform[:, :2].T + transform[:, 2]
        field, shape = action_units.draw_shape(in_crop, amplitude, shapes, families)
        expressions.append(Expression(field, profile, shape))
    return sorted(expressions, key=lambda each: each.profile.onset)


def _fields(expressions: list[Expression], seconds: np.ndarray) -> list[np.ndarray | None]:
    if not expressions:
        return [None] * len(seconds)
    intensities = [each.profile(seconds) for each in expressions]
    return insertion.sum_of([each.field for each in expressions], intensities)


def _head_of(landmarks: np.ndarray) -> np.ndarray:
    """The similarity of landmarks [T, 5, 2] at the patches of the first frame's crop."""
    grid = insertion.per_patch(insertion.fine_grid())
    held = np.vstack([canonical_transform(landmarks[0], insertion.SIZE), (0, 0, 1)])
    heads = []
    for points in landmarks:
        there = np.vstack([canonical_transform(points, insertion.SIZE), (0, 0, 1)])
        change = held @ np.linalg.inv(there)
        heads.append(grid @ change[:2, :2].T + change[:2, 2] - grid)
    return np.asarray(heads, np.float32)


def _of_turned(head, field, landmarks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth of a frame of a still: displacement, distraction [28, 28, 2]; landmarks [5, 2]."""
    grid = insertion.fine_grid()
    at_rest = insertion.trace(head, grid)
    expressed = insertion.trace(head, insertion.trace(field, grid))
    to_crop = canonical_transform(landmarks, insertion.SIZE)
    in_crop = landmarks @ to_crop[:, :2].T + to_crop[:, 2]
    turned = insertion.trace(head, in_crop[None].astype(np.float32))[0].astype(np.float64)
    # As the crop shows it that follows the turned head.
    linear = canonical_transform(turned, insertion.SIZE)[:, :2]
    displacement = insertion.per_patch(expressed - at_rest) @ linear.T
    places = (turned - to_crop[:, 2]) @ np.linalg.inv(to_crop[:, :2]).T
    return displacement, insertion.per_patch(at_rest - grid), places
