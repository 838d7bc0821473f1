"""A face followed from frame to frame, and its landmarks, smooth over time.

The detector finds a face anew in each frame, with an error of about a pixel that changes from frame
to frame. What is inserted at such places would shake. A local parabola, fitted in time around each
frame, forward and back alike, takes the shaking off and leaves the head's own motion.
"""

import math
from dataclasses import dataclass

import numpy as np

from micron_jax.faces import landmarks as faces

SPREAD = 0.12  # seconds; standard deviation of a frame's weight in the fit
LONGEST_GAP = 0.3  # seconds without a detection that are bridged
OUTLIER = 0.12  # of the crop's side, from the median of the neighbors: another face, or none


@dataclass(frozen=True)
class FaceTrack:
    """One face in T frames.

    Attributes:
      landmarks: float64 [T, 5, 2] in px of the frames, smooth; in frames without a face, those of
        the nearest frames that show it.
      valid: bool [T]; the face is there.
    """

    landmarks: np.ndarray
    valid: np.ndarray


def follow(detections: list[np.ndarray], seconds: np.ndarray) -> FaceTrack | None:
    """Follows the face that is there most, the largest of those that are there about equally.

    Args:
      detections: of each frame, landmarks [N, 5, 2] px of N faces, the largest first.
      seconds: [T], of the frames, rising.

    Returns:
      The track; None: no face in any frame.
    """
    tracks: list[list[tuple[int, np.ndarray]]] = []
    for number, faces_here in enumerate(detections):
        _extend(tracks, number, faces_here)
    if not tracks:
        return None
    often = max(map(len, tracks)) / 2  # as in `faces.find_landmarks`
    steady = [track for track in tracks if len(track) >= often]
    track = max(steady, key=lambda track: np.mean([side_of(points) for _, points in track]))
    raw = np.full((len(detections), 5, 2), np.nan)
    for number, points in track:
        raw[number] = points
    return smooth(raw, seconds)


def smooth(raw: np.ndarray, seconds: np.ndarray) -> FaceTrack | None:
    """Smooths landmarks over time, bridges short gaps and drops outliers.

    Args:
      raw: [T, 5, 2] px, NaN where no face was found.
      seconds: [T].
    """
    there = np.isfinite(raw).all(axis=(1, 2)) & ~_outliers(raw)
    if not there.any():
        return None
    known = np.flatnonzero(there)
    times = seconds[known]
    flat = np.stack(
        [np.interp(seconds, times, column) for column in raw[known].reshape(len(known), 10).T], -1
    )
    flat = np.where(there[:, None], np.nan_to_num(raw.reshape(-1, 10)), flat)
    weight = np.where(there, 1.0, 0.05)
    result = np.empty_like(flat)
    for t, now in enumerate(seconds):
        near = np.flatnonzero(np.abs(seconds - now) <= 3.5 * SPREAD)
        ago = (seconds[near] - now) / SPREAD
        root = np.sqrt(weight[near] * np.exp(-(ago**2) / 2))[:, None]
        powers = min(3, len(near))
        terms = root * ago[:, None] ** np.arange(powers)
        result[t] = np.linalg.lstsq(terms, root * flat[near], rcond=None)[0][0]
    before = np.concatenate([[-math.inf], times])[np.searchsorted(times, seconds, "right")]
    after = np.concatenate([times, [math.inf]])[np.searchsorted(times, seconds, "left")]
    return FaceTrack(result.reshape(-1, 5, 2), there | (after - before <= LONGEST_GAP))


def _extend(tracks: list[list[tuple[int, np.ndarray]]], number: int, points: np.ndarray) -> None:
    gaps = sorted(
        (np.linalg.norm(face - track[-1][1], axis=1).mean() / side_of(track[-1][1]), t, f)
        for t, track in enumerate(tracks)
        for f, face in enumerate(points)
    )
    used, placed = set(), set()
    for gap, t, f in gaps:
        if gap <= faces.STRAYED and t not in used and f not in placed:
            tracks[t].append((number, points[f]))
            used.add(t)
            placed.add(f)
    tracks.extend([(number, face)] for f, face in enumerate(points) if f not in placed)


def side_of(points: np.ndarray) -> float:
    """The side of the crop of a face, px."""
    return 1 / math.hypot(*faces.canonical_transform(points, 1)[:, 0])


def _outliers(raw: np.ndarray) -> np.ndarray:
    """bool [T]: far from the median of the five frames around."""
    strays = np.zeros(len(raw), bool)
    for t in range(len(raw)):
        around = raw[max(0, t - 2) : t + 3]
        around = around[np.isfinite(around).all(axis=(1, 2))]
        if len(around) >= 3 and np.isfinite(raw[t]).all():
            middle = np.median(around, axis=0)
            far = np.linalg.norm(raw[t] - middle, axis=1).mean() / side_of(middle)
            strays[t] = far > OUTLIER
    return strays
