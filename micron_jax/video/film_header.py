"""The rate, the length and the size of an opened film."""

import dataclasses
import itertools
import math
import statistics
from fractions import Fraction
from pathlib import Path

import av

from micron_jax.video.film_frames import INDEXED
from micron_jax.video.film_pictures import square_size

SCANNED = 500  # packets that tell the rate where the header does not
COUNTED = 10_000  # packets that are counted after them where no length is told
SLOWEST, FASTEST = 1e-3, 2000  # frames per second: a time base such as 90000 is no rate
CAPTURE_RATE = "com.android.capture.fps"  # of slow motion and time lapse, as Android writes it
OTHER_SPEED = 1.5  # the ratio of two rates from which on a film counts as slow motion or time lapse
GUESS = 0.02  # part by which the rate of a header may differ from that of the frames
EVEN = 0.8  # of the steps between frames are alike where frames come evenly
LONGEST_FRAME = 1  # s: a film that ends so much too early has lost frames
MOST = 1_000_000  # frames that one film may lack


@dataclasses.dataclass(frozen=True)
class Header:
    """What a film says about itself, which may be wrong."""

    fps: float | None  # frames per second of the recording; None: unknown
    count: int  # of frames, about; 0: unknown
    width: float  # of a frame, in square pixels
    height: float
    step: float | None = None  # seconds between frames that come evenly; None: they do not
    slower: float = 1.0  # how many seconds of the film are a second of the recording
    # Of a film whose times tell the order of decoding only, the first; in units of the stream.
    begin_of_order: int | None = None


def describe(container, stream: av.VideoStream, size: int) -> Header:
    """Returns the header; reads on in the film where it says too little.

    Args:
      size: bytes of the file.
    """
    fps = read_rate(stream) or None
    count = _indexed(stream) if container.format.name in (INDEXED, "avi") else 0
    step = begin = None
    if not (container.format.name == INDEXED and count and fps):
        packets = _packets(container, stream)
        scan = list(itertools.islice(packets, SCANNED))
        fps, step = _rate_of(scan, stream, fps)
        begin = _begin_of_order(scan, stream)
        count = count or _count(scan, packets, container, fps, size)
    width, height = square_size(
        stream.codec_context.width, stream.codec_context.height, stream.sample_aspect_ratio
    )
    capture = capture_rate(container, stream)
    slower = capture / fps if capture and fps else 1.0
    if 1 / OTHER_SPEED < slower < OTHER_SPEED:  # a camera in the dark misses its rate, too
        capture, slower = fps, 1.0
    return Header(capture, count, width, height, step, slower, begin)


def missing_at_end(
    path: Path, container, stream: av.VideoStream, packets: int, end: float, step: float | None
) -> int:
    """Returns how many frames, about, there should have been after the last packet; 0: unknown.

    Args:
      packets: how many were read.
      end: time of the last one, in seconds as the film counts them.
      step: see `Header`.
    """
    kind = container.format.name
    if kind == INDEXED:
        return max(0, _indexed(stream) - packets)
    if kind == "avi":
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8)[4:], "little")  # of all that follows
        if size + 8 <= path.stat().st_size:
            return 0
        ticks = round(end * read_rate(stream)) + 1  # a frame may last several
        return max(0, round((stream.frames - ticks) * packets / ticks))
    if kind == "matroska,webm":
        gap = _length(container, stream) - end
        if step is None:  # the last frame, too, lasts a while
            step = 1 / (read_rate(stream) or 1) if gap > LONGEST_FRAME else math.inf
        return max(0, min(round(gap / step) - 1, MOST))
    return 0


def _length(container, stream: av.VideoStream) -> float:
    """Returns the seconds that Matroska tells for a stream; 0: unknown."""
    text = stream.metadata.get("DURATION", "")
    try:
        hours, minutes, seconds = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        alone = len(container.streams) == 1
        return container.duration / av.time_base if alone and container.duration else 0.0


def read_rate(stream: av.VideoStream) -> float:
    """Returns the rate of the header, frames per second; 0: there is none."""
    rates = filter(_is_rate, (stream.average_rate, stream.guessed_rate))
    return float(next(rates, 0))


def _is_rate(rate: Fraction | float | None) -> bool:
    return rate is not None and SLOWEST <= rate <= FASTEST


def _indexed(stream: av.VideoStream) -> int:
    return sum(not entry.is_discard and entry.size > 0 for entry in stream.index_entries)


def _packets(container, stream):
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.FFmpegError:
        return


def _rate_of(scan: list[av.Packet], stream, fps: float | None) -> tuple:
    """Returns (the rate that packets tell, or else `fps`, the header's; `Header.step`)."""
    times = sorted({packet.pts for packet in scan if packet.pts is not None})
    steps = [after - before for before, after in itertools.pairwise(times)]
    if not steps:
        return fps, None
    middle = statistics.median_low(steps)
    # Times in milliseconds are uneven: 33, 33, 34. Their mean is right, and pauses are not in it.
    usual = [step for step in steps if 0.5 * middle < step < 1.5 * middle]
    mean = sum(usual) / len(usual)
    even = len(usual) >= EVEN * len(steps)
    even = even and max(abs(one - mean) for one in usual) <= max(1.1, GUESS * mean)
    rate = float(1 / (mean * stream.time_base))
    if fps and abs(fps / rate - 1) < GUESS:
        rate = fps
    rate = rate if _is_rate(rate) else fps
    return rate, 1 / rate if even and rate else None


def _begin_of_order(scan: list[av.Packet], stream) -> int | None:
    times = [packet.pts for packet in scan if packet.pts is not None]
    # Frames are shown in another order than they are decoded: their times cannot grow with it.
    grow = all(before < after for before, after in itertools.pairwise(times))
    return times[0] if times and grow and stream.codec_context.has_b_frames else None


def _count(scan: list[av.Packet], packets, container, fps: float | None, size: int) -> int:
    if len(scan) == SCANNED and container.duration and fps:
        return round(container.duration / av.time_base * fps)
    places = [packet.pos for packet in itertools.islice(packets, COUNTED)]
    count = len(scan) + len(places)
    if len(places) < COUNTED or not places[-1] or places[-1] < 0:
        return count
    return round(count * size / places[-1])


def capture_rate(container, stream: av.VideoStream) -> float | None:
    """Returns the frames per second that a phone notes for the recording."""
    text = container.metadata.get(CAPTURE_RATE) or stream.metadata.get(CAPTURE_RATE)
    try:
        rate = float(text)
    except (TypeError, ValueError):
        return None
    return rate if 0 < rate < 1e6 else None
