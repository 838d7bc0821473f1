"""Pairs of frames from films with known expressions, that `micron-jax data synth --films` made.

Each expression is two pairs: its onset and apex in the film, and the same two frames of the film
without expressions, its control. The crop lies where the face is at the onset, in both frames. The
control of a film that moves by itself is taken off; that of a still is a motionless pair.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from micron_jax import npz
from micron_jax.benchmarks.learn_levels import GRID, MOVED, STILL, nearest
from micron_jax.errors import UserError
from micron_jax.faces.crop import warp
from micron_jax.faces.landmarks import canonical_transform
from micron_jax.faces.parts import oval
from micron_jax.synthetic.render import SIZE
from micron_jax.video.film import read_film
from micron_jax.video.image_files import Unreadable

_ARRAYS = ("displacement", "distraction", "landmarks", "valid")


class FilmPair(NamedTuple):
    """Two frames of a film.

    Attributes:
      path: of the film.
      landmarks: (x, y) px of the face at the onset, five; they place the crop of both frames.
      onset, apex: numbers of the frames, from 0.
      numbers: of all frames of this film that pairs need, which are read together.
    """

    path: Path
    landmarks: tuple[tuple[float, float], ...]
    onset: int
    apex: int
    numbers: tuple[int, ...]


def rows(folder: Path, film: dict, first: int) -> list[dict]:
    """Returns the fields of `Truth`, but for the person, of the pairs of an entry of `truth.json`.

    An expression whose apex is its onset, or without a face in one of the two, has no pair.

    Args:
      first: the number of the first pair, for `control`.

    Raises:
      UserError: the truth of the film is gone or damaged.
    """
    displacement, distraction, landmarks, valid = _truth(folder / film["truth"])
    expressions = [
        each
        for each in film["expressions"]
        if each["onset"] != each["apex"] and valid[[each["onset"], each["apex"]]].all()
    ]
    numbers = tuple(sorted({each[point] for each in expressions for point in ("onset", "apex")}))
    result: list[dict] = []
    for each in expressions:
        onset, apex = each["onset"], each["apex"]
        places = tuple(map(tuple, landmarks[onset].tolist()))
        pairs = [
            FilmPair(folder / film[name], places, onset, apex, numbers)
            for name in ("film", "control")
        ]
        carried = _length(distraction[apex] - distraction[onset])
        face = oval(GRID)
        common = {
            "distracted": face & (carried >= STILL),
            "face": face,
            "rigid": face,  # a wall may stand still behind the head
            "head": carried[face].mean(),
            "kind": film["kind"],
            "codec": film["codec"],
        }
        control = first + len(result) + 1 if film["kind"] == "film" else -1
        moved = _moved(displacement[apex] - displacement[onset], each["family"], face)
        result.append(common | moved | {"control": control, "frames": pairs[0]})
        unmoved = _moved(np.zeros_like(displacement[apex]), "none", face)
        result.append(common | unmoved | {"control": -1, "frames": pairs[1]})
    return result


def read_pair(pair: FilmPair) -> tuple[np.ndarray, np.ndarray]:
    """Reads two frames in the crop of the first, uint8 [224, 224, 3] each.

    Raises:
      UserError: the film is gone, damaged or shorter.
    """
    frames = _frames(pair.path, pair.numbers)
    transform = canonical_transform(np.array(pair.landmarks), SIZE)
    onset, apex = (warp(frames[n], transform, SIZE) for n in (pair.onset, pair.apex))
    return onset, apex


@functools.lru_cache(maxsize=2)  # a film and its control, whose pairs come in turn
def _frames(path: Path, numbers: tuple[int, ...]) -> dict[int, np.ndarray]:
    frames = {}
    for number, _, frame in read_film(path, 0, numbers[-1]):
        if isinstance(frame, Unreadable):
            raise UserError(f"{path}: frame {number}: {frame}; make the set again")
        if number in numbers:
            frames[number] = frame
    return frames


def _truth(path: Path) -> tuple[np.ndarray, ...]:
    try:
        with np.load(path) as file:
            displacement, distraction, landmarks, valid = (file[name] for name in _ARRAYS)
    except npz.DAMAGE as error:
        raise UserError(f"{path}: not the truth of a film ({error}); make the set again") from error
    return displacement.astype(np.float32), distraction.astype(np.float32), landmarks, valid


def _moved(displacement: np.ndarray, family: str, face: np.ndarray) -> dict:
    length = _length(displacement)
    return {
        "moved": face & (length > MOVED),
        "unmoved": face & (length < STILL),
        "displacement": displacement,
        "amplitude": nearest(float(length[face].max())),
        "family": family,
    }


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.hypot(*np.moveaxis(vectors, -1, 0))
