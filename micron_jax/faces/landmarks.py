"""Five landmarks of a face: finding them, and the canonical square that they are aligned to.

The canonical layout, "brow to chin", is ArcFace's five-point template at 0.85 of its size with the
eyes at 0.36 of the height: in a 224 px crop the pupils are 60 px apart, and forehead, cheeks and
chin lie inside, even of an open mouth. ArcFace's own cuts the chin; portraits as in FFHQ spend half
of the patches on hair and wall. Alignment per frame would add jitter as large as the signal: the
transform is fitted to a clip's first frames and held for all of them.
"""

import itertools
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

LAYOUT = "brow to chin"
_WEIGHTS = Path(__file__).parents[1] / "weights/yunet/face_detection_yunet_2023mar.onnx"

# Image-left eye, image-right eye, nose tip, image-left and image-right corner of the mouth; as
# (x, y) in units of the crop's side.
_ARCFACE = np.array([(38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.2)])
CANONICAL = (_ARCFACE - (56.0, 51.6)) / 112.0 * 0.85 + (0.5, 0.36)

# RGB uint8 [H, W, 3] -> landmarks [N, 5, 2] in pixels of all N faces, largest first.
Detector = Callable[[np.ndarray], np.ndarray]

# Between two frames that are searched, a face moves by less than this part of its crop's side (1.5
# pupil distances); two people's faces, side by side, are farther apart.
STRAYED = 0.4


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the rotation, scale and shift (no mirror) that best takes `points` to `target`.

    Both are (x, y) in pixels, [N, 2], N at least 2; the result is [2, 3] float64, by least squares.
    """
    x, y = np.asarray(points, np.float64).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, tx, ty = np.linalg.lstsq(system, np.asarray(target).T.ravel(), rcond=None)[0]
    return np.array([[a, -b, tx], [b, a, ty]])


def canonical_transform(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Returns [2, 3], from a frame with these landmarks [5, 2], px, to a crop of `size` px."""
    # Pixel centers lie at whole numbers: the crop spans -0.5 .. size - 0.5.
    return similarity(landmarks, CANONICAL * size - 0.5)


def find_landmarks(
    frames: Iterable[np.ndarray], detect: Detector, *, wanted: int = 5, patience: int = 1000
) -> np.ndarray | None:
    """Returns the median of one person's landmarks in a clip's first frames that show that face.

    The first 10 frames are all searched, then every 10th, until a face was found in `wanted` of
    them or `patience` frames have gone by. Faces are followed from frame to frame, so that two
    people are never averaged; of those found about equally often it is the one whom `detect`
    puts first, as the largest, on average.

    Returns:
      [5, 2] pixels, or None: no face.
    """
    tracks: list[list[tuple[int, np.ndarray]]] = []  # of one face: (rank in a frame, landmarks)
    for number, frame in enumerate(itertools.islice(frames, patience)):
        if number >= 10 and number % 10:
            continue
        _follow(tracks, detect(frame))
        if max(map(len, tracks), default=0) == wanted:
            break
    # A passer-by, or a pattern that is once taken for a face, is found less than half as often.
    often = max(map(len, tracks), default=0) / 2
    steady = [tuple(zip(*track, strict=True)) for track in tracks if len(track) >= often]
    if not steady:
        return None
    _, landmarks = min(steady, key=lambda track: np.mean(track[0]))
    return np.median(landmarks, axis=0)


def _follow(tracks: list[list[tuple[int, np.ndarray]]], faces: np.ndarray) -> None:
    """Adds faces [N, 5, 2] to the tracks whose last one is nearest; a new track for others."""
    gaps = []
    for t, track in enumerate(tracks):
        _, last = track[-1]
        side = 1 / math.hypot(*canonical_transform(last, 1)[:, 0])  # of the face's crop, px
        gaps += [
            (np.linalg.norm(face - last, axis=1).mean() / side, t, f)
            for f, face in enumerate(faces)
        ]
    used_tracks, placed = set(), set()
    for gap, t, f in sorted(gaps):
        if gap <= STRAYED and t not in used_tracks and f not in placed:
            tracks[t].append((f, faces[f]))
            used_tracks.add(t)
            placed.add(f)
    tracks.extend([(f, face)] for f, face in enumerate(faces) if f not in placed)


def all_faces_detector(*, score: float = 0.7, side: int = 640) -> Detector:
    """Returns YuNet as a `Detector`.

    Args:
      score: confidence below which nothing is a face.
      side: frames with a longer side are reduced to it, in pixels, before the search.
    """
    network = cv2.FaceDetectorYN.create(str(_WEIGHTS), "", (side, side), score)

    def detect(frame: np.ndarray) -> np.ndarray:
        scale = min(1.0, side / max(frame.shape[:2]))
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        network.setInputSize((small.shape[1], small.shape[0]))
        faces = network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        if faces is None:
            return np.zeros((0, 5, 2))
        # A face: x, y, w, h, five points, score.
        largest_first = np.argsort(-faces[:, 2] * faces[:, 3], kind="stable")
        return faces[largest_first, 4:14].reshape(-1, 5, 2) / scale

    return detect
