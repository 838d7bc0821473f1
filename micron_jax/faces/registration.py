"""Registration of a pair of frames: it removes the motion of the head and the change of light.

Between the two frames of a micro-expression the head moves about as far as the face does, and the
light changes. Points are tracked all over the frame (pyramidal Lucas-Kanade) and one affine
transform is fitted to the majority of them (RANSAC), so that neither an expression nor a blink
pulls it along; then one gain and one offset of the levels are fitted to the pixels that agree.
"""

import dataclasses

import cv2
import numpy as np

from micron_jax.faces.parts import BOX

POINTS = 400  # tracked at most
ENOUGH = 12  # that must agree on a transform
BACK = 0.3  # px: a point tracked there and back ends nearer than this to where it began
AGREE = 0.35  # px: of two frames of a face at 224 px; expressions move their region by more
FARTHEST = 0.1  # of the side: a larger motion of the frame is no face that is held still
SMOOTH = 1.5  # px, standard deviation: matches are judged without noise, which resampling hides


@dataclasses.dataclass(frozen=True)
class Registration:
    """The transform and the light that a registration found."""

    transform: np.ndarray  # [2, 3] float64, from pixels (x, y) of the reference to moving ones
    gain: float  # gray levels of the registered frame are gain · level + offset
    offset: float
    before: float  # `difference` of the smoothed frames, gray levels
    after: float  # the same of the registered frame
    refused: str = ""  # the reason why the transform is the identity


def register(moving: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, Registration]:
    """Moves a frame onto a reference of the same face, and matches its light.

    Transform and light are each left out where they do not bring the frames nearer: the result is
    never farther from the reference, in the sense of `Registration.after`, than the frame was.

    Args:
      moving, reference: RGB uint8 [H, W, 3].

    Returns:
      The moving frame in the reference's place and light, uint8 [H, W, 3] (beyond its border that
      goes on), and the registration. Frames that need nothing come back as they were.

    Raises:
      ValueError: not two uint8 frames of one size.
    """
    for frame in (moving, reference):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape != reference.shape:
            raise ValueError(
                f"frames are {moving.dtype} {moving.shape} and {reference.dtype} "
                f"{reference.shape}; expected uint8 [H, W, 3] twice"
            )
    target = _smooth(reference)
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    before = difference(_smooth(moving), target)
    best = (before, identity, (1.0, 0.0), moving)
    transform, refused = estimate_affine(moving, reference)
    for candidate in (identity,) if transform is None else (identity, transform):
        moved = moving if candidate is identity else warp_back(moving, candidate)
        for light in ((1.0, 0.0), match_light(_smooth(moved), target)):
            lit = moved if light == (1.0, 0.0) else relight(moved, *light)
            after = difference(_smooth(lit), target)
            if after < best[0]:
                best = (after, candidate, light, lit)
    after, chosen, (gain, offset), registered = best
    if chosen is identity and not refused:
        refused = "no transform brings the frames nearer"
    return registered, Registration(chosen, gain, offset, before, after, refused)


def estimate_affine(moving: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray | None, str]:
    """Estimates the affine motion of the majority of points between two frames, uint8 [H, W, 3].

    Returns:
      (`Registration.transform`, ""), or (None, why there is none).
    """
    gray, gray_moving = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (reference, moving))
    side = max(gray.shape)
    points = cv2.goodFeaturesToTrack(gray, POINTS, 1e-3, max(3, side / 50))
    if points is None or len(points) < ENOUGH:
        return None, "too little texture to track"
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 0.003)
    settings = dict(winSize=(2 * (side // 22) + 1,) * 2, maxLevel=3, criteria=criteria)
    there, tracked, _ = cv2.calcOpticalFlowPyrLK(gray, gray_moving, points, None, **settings)
    back, tracked_back, _ = cv2.calcOpticalFlowPyrLK(gray_moving, gray, there, None, **settings)
    steady = (np.linalg.norm(back - points, axis=-1) < BACK) & (tracked == 1) & (tracked_back == 1)
    points, there = points[steady], there[steady]
    if len(points) < ENOUGH:
        return None, "too few points could be tracked"
    tolerance = AGREE * max(side / 224, 0.5)
    cv2.setRNGSeed(0)  # the same frames give the same bits
    transform, agree = cv2.estimateAffine2D(
        points, there, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=2000
    )
    if transform is None or agree.sum() < max(ENOUGH, len(points) / 4):
        return None, "the tracked points agree on no affine motion"
    height, width = gray.shape
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)], np.float64)
    moved = corners @ transform[:, :2].T + transform[:, 2]
    if np.linalg.norm(moved - corners, axis=-1).max() > FARTHEST * side:
        return None, f"it would move the frame by more than {FARTHEST:.0%} of its side"
    return transform, ""


def warp_back(moving: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Returns the moving frame in the reference's place: uint8 [H, W, 3], transform [2, 3]."""
    return cv2.warpAffine(
        moving,
        transform,
        (moving.shape[1], moving.shape[0]),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,  # the sharpest: blur looks like motion
        borderMode=cv2.BORDER_REPLICATE,
    )


def match_light(moving: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Returns (gain, offset) from gray levels of one frame to the other's, float32 [H, W] twice.

    Least squares over the three quarters of pixels that fit best, refitted three times; (1, 0)
    where the fit makes no sense.
    """
    x, y = moving.ravel().astype(np.float64), reference.ravel().astype(np.float64)
    error = np.abs((y - np.median(y)) - (x - np.median(x)))
    gain, offset = 1.0, 0.0
    for _ in range(3):
        fit = error <= np.quantile(error, 0.75)
        mean_x, mean_y = x[fit].mean(), y[fit].mean()
        spread = np.mean((x[fit] - mean_x) ** 2)
        if spread < 1:  # a flat frame has a level and no contrast
            return 1.0, 0.0
        gain = np.mean((x[fit] - mean_x) * (y[fit] - mean_y)) / spread
        offset = mean_y - gain * mean_x
        error = np.abs(gain * x + offset - y)
    return (float(gain), float(offset)) if 0.5 < gain < 2 else (1.0, 0.0)


def difference(moving: np.ndarray, reference: np.ndarray) -> float:
    """Returns the mean absolute difference of the half of the pixels that differ least."""
    apart = np.abs(moving - reference).ravel()
    half = (apart.size + 1) // 2
    return float(np.partition(apart, half - 1)[:half].mean())


def _smooth(frame: np.ndarray) -> np.ndarray:
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.GaussianBlur(gray, (0, 0), SMOOTH)


def relight(frame: np.ndarray, gain: float, offset: float) -> np.ndarray:
    """Maps the gray levels of a frame uint8 [H, W, 3] to gain · level + offset."""
    levels = np.clip(np.rint(np.arange(256) * gain + offset), 0, 255)
    return cv2.LUT(frame, levels.astype(np.uint8))


def shrink(frames: np.ndarray, size: int) -> np.ndarray:
    """Shrinks frames uint8 [B, V, V, 3] to [B, size, size, 3], size a divisor of V."""
    shape = size, size
    return np.stack([cv2.resize(x, shape, interpolation=cv2.INTER_AREA) for x in frames])


def register_crops(
    moving: np.ndarray, reference: np.ndarray, *, faces: bool = True
) -> tuple[np.ndarray, Registration]:
    """Registers two crops, uint8 [V, V, 3], as `register` does, by the box around the face alone.

    A wall behind a head stands still and has many corners: a fit to all of the crop would leave
    the head's motion in. Without `faces`, crops are no aligned faces, and all of them counts.
    """
    if not faces:
        return register(moving, reference)
    (left, top), (right, bottom) = np.rint(np.multiply(BOX, len(moving))).astype(int)
    inside = np.s_[top:bottom, left:right]
    boxes = (np.ascontiguousarray(crop[inside]) for crop in (moving, reference))
    _, registration = register(*boxes)
    transform = registration.transform.copy()
    transform[:, 2] += (left, top) - transform[:, :2] @ (left, top)
    moved = moving if registration.refused else warp_back(moving, transform)
    registered = relight(moved, registration.gain, registration.offset)
    return registered, dataclasses.replace(registration, transform=transform)
