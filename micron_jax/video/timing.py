"""Times of frames: a film's own, and those that the numbers of images and a rate make."""

import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from micron_jax.video.clip_files import ClipFiles
from micron_jax.video.image_files import Unreadable
from micron_jax.video.image_folder import list_frames
from micron_jax.video.reader import rate_and_length, read_frames

ASSUMED_FPS = 30.0  # of images whose rate is not known

TimedFrames = Iterator[tuple[int, int, float, np.ndarray | Unreadable]]


@dataclass(frozen=True)
class TimedClip:
    """A clip whose frames all have a time.

    Attributes:
      frames: (index in the clip's files, number in the name of its file or in its film, seconds,
        frame as `read_frames` yields it).
      fps: frames per second, nominal.
      assumed: the files do not tell the rate, and neither does a list of clips.
      step: between the numbers of frames that follow each other.
    """

    frames: TimedFrames
    fps: float
    assumed: bool
    step: int


def step_of(numbers: Sequence[int]) -> int:
    """Returns the step between the numbers of frames that follow each other.

    It is the step that most have; else, where frames are picked from a recording, the smallest; and
    where numbers are times, none a multiple of another, the middle one.
    """
    steps = Counter(b - a for a, b in itertools.pairwise(numbers) if b > a)
    if not steps:
        return 1
    step = min(steps, key=lambda step: (-steps[step], step))
    if 2 * steps[step] >= steps.total():
        return step
    least = min(steps)
    picked = all(step % least == 0 for step in steps)
    return least if picked else statistics.median_low(steps.elements())


def seconds_of(numbers: Sequence[int], fps: float) -> list[float]:
    """Returns the times of numbered images, from the first on; `fps` is the rate of their step."""
    step = step_of(numbers)
    return [(number - numbers[0]) / step / fps for number in numbers]


def read_timed(clip: ClipFiles, fps: float) -> TimedClip:
    """Reads a clip with the times of its frames: the files' own, unless a list gives a rate.

    Args:
      fps: rate of a clip that tells neither times nor rate.

    Raises:
      Unreadable: the names of images do not tell their order.
    """
    if not clip.path.is_dir():
        own = rate_and_length(clip)[0]
        return TimedClip(_of_film(clip, own or fps), own or fps, own is None, 1)
    files = list_frames(clip)
    numbers, times = [file.number for file in files], [file.seconds for file in files]
    assumed = clip.fps is None and (len(times) < 2 or times[-1] is None)
    if assumed or clip.fps:
        fps = clip.fps or fps
        times = seconds_of(numbers, fps)
    else:
        fps = round((len(times) - 1) / times[-1], 3)
    place = {file.index: place for place, file in enumerate(files)}
    frames = (
        (index, numbers[place[index]], times[place[index]], frame)
        for index, _, frame in read_frames(clip)
    )
    return TimedClip(frames, fps, assumed, step_of(numbers))


def _of_film(clip: ClipFiles, fps: float) -> TimedFrames:
    for number, own, frame in read_frames(clip):
        yield number, number, number / fps if own is None else own, frame
