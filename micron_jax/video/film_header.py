"""The rate, the length and the size of an opened film."""

import dataclasses
import itertools
import statistics
from collections.abc import Callable
from fractions import Fraction

import av

from micron_jax.video.film_frames import INDEXED
from micron_jax.video.film_pictures import square_size

SCANNED = 500  # packets that tell the rate where the header does not
SLOWEST, FASTEST = 1, 2000  # frames per second: a time base such as 90000 is no rate
CAPTURE_RATE = "com.android.capture.fps"  # of slow motion and time lapse, as Android writes it
OTHER_SPEED = 1.5  # the ratio of two rates from which on a film counts as slow motion or time lapse
GUESS = 0.02  # part of its frames that a header may be wrong by
MOST = 1_000_000  # frames that one film may lack


@dataclasses.dataclass(frozen=True)
class Header:
    """What a film says about itself, which may be wrong."""

    fps: float | None  # frames per second of the recording; None: unknown
    count: int  # of frames, about; 0: unknown
    width: float  # of a frame, in square pixels
    height: float
    slower: float = 1.0  # how many seconds of the film are a second of the recording


def describe(container, stream: av.VideoStream, size: int) -> Header:
    """Returns the header; reads on in the film where it says too little.

    Args:
      size: bytes of the file.
    """
    fps = next(filter(_is_rate, (stream.average_rate, stream.guessed_rate)), None)
    count, exact = 0, container.format.name in (INDEXED, "avi")
    if exact:
        count = _indexed(stream) if container.format.name == INDEXED else stream.frames
    if not (exact and count and fps):
        scan = list(itertools.islice(_packets(container, stream), SCANNED))
        fps = _rate_of(scan, stream, fps)
        count = count or _length_of(scan, container, stream, fps, size)
    width, height = square_size(
        stream.codec_context.width, stream.codec_context.height, stream.sample_aspect_ratio
    )
    capture = capture_rate(container, stream)
    slower = capture / fps if capture and fps else 1.0
    if 1 / OTHER_SPEED < slower < OTHER_SPEED:  # a camera in the dark misses its rate, too
        return Header(fps and float(fps), count, width, height)
    return Header(capture, count, width, height, slower)


def missing_at_end(container, stream: av.VideoStream, header: Callable, packets: int) -> int:
    """Returns how many frames there should have been after the last packet.

    Args:
      header: gives the film's `Header`.
      packets: how many were read.
    """
    if container.format.name == INDEXED:
        return max(0, _indexed(stream) - packets)
    if container.format.name == "avi" or "matroska" in container.format.name:
        count = header().count
        missing = count - packets
        return min(missing, MOST) if missing > max(2, GUESS * count) else 0
    return 0


def _is_rate(rate: Fraction | None) -> bool:
    return rate is not None and SLOWEST <= rate <= FASTEST


def _indexed(stream: av.VideoStream) -> int:
    return sum(not entry.is_discard for entry in stream.index_entries)


def _packets(container, stream):
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.FFmpegError:
        return


def _rate_of(scan: list[av.Packet], stream, fps: Fraction | None) -> Fraction | float | None:
    """Returns the rate that the times of packets tell; or else `fps`, the header's."""
    times = sorted({packet.pts for packet in scan if packet.pts is not None})
    steps = [after - before for before, after in itertools.pairwise(times)]
    if not steps:
        return fps
    middle = statistics.median(steps)
    # Times in milliseconds are uneven: 33, 33, 34. Their mean is right, and pauses are not in it.
    usual = [step for step in steps if 0.5 * middle < step < 1.5 * middle]
    rate = len(usual) / (sum(usual) * stream.time_base)
    if fps and abs(fps / rate - 1) < GUESS:
        return fps
    return rate if _is_rate(rate) else fps


def _length_of(scan: list[av.Packet], container, stream, fps, size: int) -> int:
    if len(scan) < SCANNED:
        return len(scan)
    if container.duration and fps:
        return round(container.duration / av.time_base * fps)
    place = scan[-1].pos
    return round(len(scan) * size / place) if place and place > 0 else 0


def capture_rate(container, stream: av.VideoStream) -> float | None:
    """Returns the frames per second that a phone notes for the recording."""
    text = container.metadata.get(CAPTURE_RATE) or stream.metadata.get(CAPTURE_RATE)
    try:
        rate = float(text)
    except (TypeError, ValueError):
        return None
    return rate if 0 < rate < 1e6 else None
