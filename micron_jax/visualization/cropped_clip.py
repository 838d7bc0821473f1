"""Clips with the one square crop that all of their frames get."""

import dataclasses
import itertools
from collections.abc import Collection, Iterator

import numpy as np

from micron_jax.errors import UserError
from micron_jax.faces.crop import NO_FACE, Crop, detector, place_crop
from micron_jax.video.image_files import Unreadable
from micron_jax.video.inputs import InputClip


@dataclasses.dataclass(frozen=True)
class CroppedClip:
    """A clip and its crop, found in the first frames."""

    clip: InputClip
    crop: Crop

    def frames(
        self, dropped: list[tuple[int, str]] | None = None
    ) -> Iterator[tuple[int, float | None, np.ndarray]]:
        """Yields (number, seconds, crop uint8 [V, V, 3]) of the frames that can be decoded.

        Args:
          dropped: gets (number, reason) of the others.
        """
        for number, seconds, frame in self.clip.read():
            if not isinstance(frame, Unreadable):
                yield number, seconds, self.crop(frame)
            elif dropped is not None:
                dropped.append((number, str(frame)))

    def pick(self, indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (index, crop) of some of the frames that can be decoded, in order."""
        for index, frame in enumerate(self.clip.readable()):
            if index in indices:
                yield index, self.crop(frame)


def crop_clips(clips: list[InputClip], kind: str, size: int) -> list[CroppedClip]:
    """Finds the crops of clips.

    Args:
      kind: one of `faces.crop.KINDS`.

    Raises:
      UserError: a clip has no face, or no frame that can be read.
    """
    detect, cropped = detector(kind), []
    for clip in clips:
        try:
            cropped.append(CroppedClip(clip, place_crop(clip.frames(), kind, size, detect)))
        except Unreadable as error:
            mend = "; whole frames need none (crop=whole)" if str(error) == NO_FACE else ""
            raise UserError(f"{clip.name}: {error}{mend}") from None
    return cropped


def pair_crops(clips: list[CroppedClip]) -> list[np.ndarray]:
    """Crops of two images, or of the first two frames of a clip, uint8 [V, V, 3].

    Two images of one size are frames of one recording, of which one crop is held; other pictures
    have a crop each.
    """
    frames = [frame for each in clips for frame in itertools.islice(each.clip.readable(), 2)]
    first, second = frames[:2]
    same_size = first.shape == second.shape
    return [clips[0].crop(first), (clips[0] if same_size else clips[-1]).crop(second)]
