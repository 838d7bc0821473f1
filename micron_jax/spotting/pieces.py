"""The pieces of a film in each of which the face keeps its place.

One crop is held in a piece: one that followed every frame would add jitter as large as what is
sought. Where the face leaves its place, or the scene changes, a new piece begins; frames that show
no face for long are in none.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from micron_jax.faces.crop import Crop, place_crop
from micron_jax.faces.landmarks import Detector
from micron_jax.spotting.timeline import Frame
from micron_jax.video import scenes
from micron_jax.video.image_files import Unreadable
from micron_jax.video.inputs import InputClip

LOOK = 0.5  # seconds from one look at where the face is to the next
AWAY = 0.12  # of the crop's side, by which the landmarks have left their place, at two looks
UNSEEN = 2.0  # seconds without a face for which the crop is held, as one is hardly seen in profile
FIRST = 10  # frames by which the crop of a later piece is placed


class Pieces:
    """The pieces of a film of a face, read once, one after another.

    Attributes:
      moved: seconds at which the second piece begins, and each one after it.
      faceless: seconds that are in no piece.
    """

    def __init__(self, clip: InputClip, crop: Crop, detect: Detector | None, fps: float):
        """Takes a film and the crop of its first piece.

        Args:
          detect: finds faces; None: the crop, of no face, holds for all of the film.
          fps: of frames without seconds.
        """
        self._clip, self._crop, self._detect, self._fps = clip, crop, detect, fps
        self.moved: list[float] = []
        self.faceless = 0.0

    def __iter__(self) -> Iterator[Iterator[Frame]]:
        """Yields the frames of each piece, to be read before the next one is asked for.

        Their seconds are those since the film's first frame.
        """
        for _, frames in itertools.groupby(self._frames(), key=lambda frame: frame[0]):
            yield (frame for _, *frame in frames)

    def notes(self) -> list[str]:
        """What a user should know of them, once they are read."""
        notes = []
        if self.moved:
            places = ", ".join(f"{seconds:.1f}" for seconds in self.moved[:5])
            more = ", ..." if len(self.moved) > 5 else ""
            notes.append(f"the face has another place, or the scene changes, at {places}{more} s")
        if self.faceless >= LOOK:
            notes.append(f"{self.faceless:.1f} s without a face are not searched")
        return notes

    def _frames(self) -> Iterator[tuple[int, int, float, np.ndarray]]:
        """Yields (piece, number, seconds, crop)."""
        face = _Place(self._crop, self._detect)
        waiting, latest = [], 0.0  # frames that have no crop yet
        for number, seconds, frame in self._timed():
            if face.crop is not None and not face.holds(seconds, frame):
                face.crop = None
            if face.crop is not None:
                latest = seconds
                yield len(self.moved), number, seconds, face.crop(frame)
                continue
            waiting.append((number, seconds, frame))
            if len(waiting) < FIRST:
                continue
            if face.find([frame for *_, frame in waiting], seconds):
                self.moved.append(waiting[0][1])
                for number, seconds, frame in waiting:
                    yield len(self.moved), number, seconds, face.crop(frame)
            else:
                self.faceless += seconds - latest
            waiting, latest = [], seconds
        if waiting:
            self.faceless += waiting[-1][1] - latest

    def _timed(self) -> Iterator[tuple[int, float, np.ndarray]]:
        begin, count = None, 0
        bar = {"total": self._clip.count, "desc": Path(self._clip.name).name, "unit": " frames"}
        for number, seconds, frame in tqdm(self._clip.read(), **bar):
            if isinstance(frame, Unreadable):
                continue
            seconds = count / self._fps if seconds is None else seconds
            begin, count = seconds if begin is None else begin, count + 1
            yield number, seconds - begin, frame


class _Place:
    """Where the face is, and whether it is still there."""

    def __init__(self, crop: Crop, detect: Detector | None):
        self.crop: Crop | None = crop
        self._kind, self._size, self._detect = crop.kind, crop.size, detect
        self._scene, self._looked, self._seen, self._away = None, 0.0, 0.0, 0

    def holds(self, seconds: float, frame: np.ndarray) -> bool:
        """Tells whether the crop still shows the face."""
        if self._detect is None:
            return True
        before, self._scene = self._scene, scenes.scene(frame)
        if before is not None and scenes.is_cut(before, self._scene):
            return False
        if seconds < self._looked + LOOK:
            return True
        self._looked = seconds
        places = [self._transformed(points) for points in self._detect(frame)]
        if not places:
            return seconds < self._seen + UNSEEN
        self._seen = seconds
        here = self._transformed(self.crop.landmarks)
        off = min(np.linalg.norm(points - here, axis=1).mean() for points in places) / self._size
        self._away = self._away + 1 if off > AWAY else 0
        return self._away < 2

    def find(self, frames: list[np.ndarray], seconds: float) -> bool:
        """Places the crop anew, if the frames show a face."""
        try:
            self.crop = place_crop(frames, self._kind, self._size, self._detect)
        except Unreadable:
            return False
        self._scene, self._looked, self._seen, self._away = None, seconds, seconds, 0
        return True

    def _transformed(self, points: np.ndarray) -> np.ndarray:
        """Landmarks in px of the crop."""
        turn, shift = self.crop.transform[:, :2], self.crop.transform[:, 2]
        return points @ turn.T + shift
