"""What the user should know about a film that is read."""

import warnings
from pathlib import Path
from typing import ClassVar

from micron_jax.errors import Notice
from micron_jax.video.film_frames import Loss, Picture
from micron_jax.video.film_header import Header
from micron_jax.video.film_pictures import HDR


class Notes:
    """Says what the user should know about a film, once in this process."""

    _said: ClassVar[set] = set()

    def __init__(self, path: Path):
        self._path, self._interlaced, self._hdr = path, False, False
        self._begin = self._end = None  # numbers of frames that may show damage

    def other_speed(self, header: Header) -> None:
        """Tells of slow motion and time lapse."""
        if header.slower == 1:
            return
        stored = header.fps / header.slower
        self._say(
            f"the phone notes {header.fps:g} frames/s for what is stored at {stored:g}; times are "
            "those of the recording; fps sets another rate"
        )

    def look(self, picture: Picture) -> None:
        """Looks at the next picture."""
        frame = picture.frame
        if picture.damaged and self._begin is None:
            self._begin = picture.number
        if isinstance(frame, Loss):
            return
        if frame.key_frame and not picture.damaged:
            self.end()
        if self._begin is not None:
            self._end = picture.number
        if frame.interlaced_frame and not self._interlaced:
            self._interlaced = True
            self._say("interlaced; each frame is deinterlaced (FFmpeg's bwdif)")
        if frame.color_trc in HDR and not self._hdr:
            self._hdr = True
            self._say(f"HDR ({HDR[frame.color_trc]}); brightness is not mapped to a common screen")

    def end(self) -> None:
        """Tells of frames, up to the last one, that follow from damage."""
        if self._end is not None:
            self._say(f"damaged: frames {self._begin} to {self._end} may show it")
        self._begin = self._end = None

    def _say(self, line: str) -> None:
        if (self._path, line) not in self._said:
            self._said.add((self._path, line))
            warnings.warn(Notice(f"{self._path.name}: {line}"), stacklevel=2)
