"""Batches of cropped frames, which run on across clips, with bounded memory."""

import dataclasses
from collections import deque
from collections.abc import Iterator

import numpy as np

from micron_jax.extraction.pairing import Pairing
from micron_jax.faces.crop import place_crop
from micron_jax.faces.landmarks import Detector
from micron_jax.video.image_files import Unreadable
from micron_jax.video.inputs import InputClip
from micron_jax.video.sameness import Sameness


@dataclasses.dataclass(frozen=True)
class Place:
    """The place that batches have come to: the next row is the first after it.

    Attributes:
      source: which of the inputs the last row is of; how many there are, at the very end.
      number: the last row's, in its clip; -1: of that input nothing was given out yet.
      rows, clips: how many there were.
    """

    source: int = 0
    number: int = -1
    rows: int = 0
    clips: int = 0


@dataclasses.dataclass
class Batch:
    """Up to B rows and what happened on the way to them.

    Attributes:
      images: uint8 [B, S, S, 3]; rows that are none are black.
      clip, number, seconds: of each row, int64, int64 and float64 (NaN: unknown).
      back: of each row, how many rows before it its partner is; 0: it has none.
      apart: of the paired rows, seconds from their partner, float64 (NaN: unknown).
      warm: the rows were given out before, and are there for the window only.
      clips, skipped, dropped, identical: entries of clips that begin here, that cannot be used, of
        frames that cannot, and of clips that end here and in which nothing changes.
    """

    images: np.ndarray
    clip: list[int] = dataclasses.field(default_factory=list)
    number: list[int] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    back: list[int] = dataclasses.field(default_factory=list)
    apart: list[float] = dataclasses.field(default_factory=list)
    warm: bool = False
    clips: list[dict] = dataclasses.field(default_factory=list)
    skipped: list[dict] = dataclasses.field(default_factory=list)
    dropped: list[dict] = dataclasses.field(default_factory=list)
    identical: list[dict] = dataclasses.field(default_factory=list)
    place: Place = Place()

    def partners(self, reach: int) -> np.ndarray:
        """Places of the rows' partners in a line of `reach` earlier rows and these, int32 [B]."""
        places = reach + np.arange(len(self.images))
        places[: len(self.back)] -= np.array(self.back, np.int64)
        return places.astype(np.int32)


def make_batches(
    clips: list[InputClip],
    *,
    crop: str,
    size: int,
    detect: Detector | None,
    batch_size: int,
    pairing: Pairing,
    start: Place,
) -> Iterator[Batch]:
    """Yields all frames of the clips that can be used, in order, from a place on.

    Args:
      batch_size: rows in a batch, B.
      pairing: of the rows.
      start: where earlier batches of the same clips ended.

    Yields:
      Batches of B rows, the last one of fewer; after a start within a clip, first the rows before
      it that a pair may need (`warm`).
    """
    reach = pairing.reach(clips)
    # (clip, number, seconds) of the last rows.
    window = deque([(None, None, np.nan)] * reach, maxlen=reach)
    black = np.zeros((batch_size, size, size, 3), np.uint8)
    batch = Batch(black.copy(), place=start)
    for source in range(start.source, len(clips)):
        clip, resumed = clips[source], source == start.source and start.number >= 0
        try:
            crop_frame = place_crop(clip.frames(), crop, size, detect)
        except Unreadable as error:
            batch.skipped.append({"clip": clip.name, "reason": str(error)})
            continue
        index = start.clips - 1 if resumed else batch.place.clips
        if not resumed:
            transform = crop_frame.transform.tolist()
            batch.clips.append({"clip": clip.name, "fps": clip.fps, "transform": transform})
            batch.place = dataclasses.replace(batch.place, clips=index + 1)
        partners, same = deque(maxlen=reach), Sameness()
        for number, seconds, frame in clip.read():
            seconds = np.nan if seconds is None else seconds
            if not isinstance(frame, Unreadable):
                same.add(frame)
            if resumed and number <= start.number:
                if not isinstance(frame, Unreadable):
                    partners.append((number, seconds, crop_frame(frame)))
                continue
            if partners:
                yield from _warm_batches(partners, index, black, window)
                partners.clear()
            if isinstance(frame, Unreadable):
                entry = {"clip": clip.name, "frame": number, "reason": str(frame)}
                batch.dropped.append(entry)
                continue
            batch.images[len(batch.number)] = crop_frame(frame)
            batch.clip.append(index)
            batch.number.append(number)
            batch.seconds.append(seconds)
            back = pairing.partner(window, index, number, seconds, clip.stride)
            batch.back.append(back)
            if back:
                batch.apart.append(seconds - window[-back][2])
            window.append((index, number, seconds))
            place = batch.place
            batch.place = Place(source, number, place.rows + 1, place.clips)
            if len(batch.number) == batch_size:
                yield batch
                batch = Batch(black.copy(), place=batch.place)
        if same.reason:
            batch.identical.append({"clip": clip.name, "reason": same.reason})
    batch.place = dataclasses.replace(batch.place, source=len(clips), number=-1)
    if batch.number or batch.skipped or batch.dropped or batch.identical:
        yield batch


def _warm_batches(partners: deque, index: int, black: np.ndarray, window: deque) -> Iterator[Batch]:
    # Padded in front, so that the window ends with the row before the first that is wanted.
    padding = black[: -len(partners) % len(black)]
    images = np.concatenate([padding, np.stack([image for *_, image in partners])])
    for first in range(0, len(images), len(black)):
        yield Batch(images[first : first + len(black)], warm=True)
    window.extend((index, number, seconds) for number, seconds, _ in partners)
