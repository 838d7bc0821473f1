"""The film that the page offers as an example: a drawn face, of nobody.

    python tests/helpers/example_film.py

Its brows rise by 3 px, and later its image-left corner of the mouth by 2 px; between the two it
blinks. The head sways a little and the camera has noise.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

FILM = Path(__file__).parents[2] / "micron_jax" / "app" / "page" / "example.mp4"
SEED, SIDE, FPS, SECONDS = 3, 400, 30, 3.2
# (onset, apex, offset) in seconds; px of a face of 224.
BROWS, BLINK, MOUTH = (0.70, 0.87, 1.10), (1.55, 1.62, 1.72), (2.27, 2.43, 2.67)
FAR = {"brows": 3.0, "blink": 4.0, "mouth": 2.0}


def course(seconds: np.ndarray, onset: float, apex: float, offset: float) -> np.ndarray:
    """How much of a motion is there, 0..1, [T]."""
    part = np.clip(
        np.minimum((seconds - onset) / (apex - onset), (offset - seconds) / (offset - apex)), 0, 1
    )
    return (part**3 * (part * (6 * part - 15) + 10)).astype(np.float32)


def frames() -> np.ndarray:
    """RGB uint8 [T, SIDE, SIDE, 3]."""
    from helpers.portrait import LANDMARKS, portrait

    from micron_jax.data import warps
    from micron_jax.faces.landmarks import canonical_transform
    from micron_jax.synthetic import head_motion, insertion, still_camera

    rng, seconds = np.random.default_rng(SEED), np.arange(round(SECONDS * FPS)) / FPS
    landmarks = LANDMARKS[None] + np.zeros((len(seconds), 1, 1))
    to_crop = canonical_transform(LANDMARKS, insertion.SIZE)
    points = LANDMARKS @ to_crop[:, :2].T + to_crop[:, 2]

    def field(unit, sides, amplitude):
        bumps = [bump for side in sides for bump in warps.place(unit, side, points, rng)]
        return warps.field(bumps, "gaussian", amplitude, 0.5, insertion.canvas_grid())

    fields = [
        field(warps.UNITS["1+2"], (-1, 1), FAR["brows"]),
        field(warps.LID, (-1, 1), FAR["blink"]),
        field(warps.UNITS["12"], (-1,), FAR["mouth"]),
    ]
    courses = np.stack([course(seconds, *times) for times in (BROWS, BLINK, MOUTH)])
    faces = insertion.sum_of(fields, courses)
    waves = zip(head_motion.REACH, rng.uniform(0.8, 1.6, 6), rng.uniform(0, 6, 6), strict=True)
    sway = np.stack([0.12 * far * np.sin(seconds * f + phase) for far, f, phase in waves], -1)
    heads = head_motion.HeadMotion(sway - sway[0]).fields()
    both = [
        head if face is None else insertion.compose(head, face)
        for head, face in zip(heads, faces, strict=True)
    ]
    picture = portrait(SEED)
    still = np.broadcast_to(picture, (len(seconds), *picture.shape))
    moved, _ = insertion.resample(still, landmarks, both)
    shape = (SIDE, SIDE)
    moved = [cv2.resize(x[20:620, 20:620], shape, interpolation=cv2.INTER_AREA) for x in moved]
    moved = np.stack(moved)
    return still_camera.draw_camera(seconds, rng, (SEED,)).shoot(moved)


def main() -> None:
    from micron_jax.synthetic.codecs import write_film

    film = frames()
    write_film(FILM, film, "h264_phone", np.arange(len(film)) / FPS)
    print(FILM, FILM.stat().st_size)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # of `helpers`
    main()
