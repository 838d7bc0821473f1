"""Frames of an opened film in the order of their times, and the places where one is lost."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import av

from micron_jax.video.film_damage import damage_check

FAILURES = 1000  # of reading, one after the other, before a film counts as at its end
INDEXED = "mov,mp4,m4a,3gp,3g2,mj2"  # lists every frame before the first one is read
JUMP = 1  # s: a step back by more is a clock that starts anew, as where recordings are joined
REORDERED = 16  # frames, at most, come before a key frame and are stored after it
LONGEST_GAP = 300  # frames that damage takes away; more are a pause
AROUND = 5  # frames on both sides of a gap that tell whether it is one
REPEATED, HOLES = 10_000, 100  # times that wait in memory
HELD = 1000  # packets since a key frame that wait in memory
LATE = {"av1", "libdav1d"}  # decoders that tell of damage some frames later
PLACEHOLDER = 10  # bytes: packets of MPEG-4 that are no larger stand for no frame
_FRAME_OF_MPEG4 = b"\x00\x00\x01\xb6"  # how one begins


@dataclass(frozen=True)
class Loss:
    """A frame that a film holds and that cannot be decoded."""

    reason: str


@dataclass(frozen=True)
class Picture:
    """A place in a film.

    Attributes:
      frame: or why there is none.
      pts: its time, in units of the stream; None: unknown.
      number: counted from 0.
      damaged: it is lost, or shows damage.
      seconds: its time from the beginning of the film.
    """

    frame: av.VideoFrame | Loss
    pts: int | None
    number: int
    damaged: bool
    seconds: float | None = None


class _Pending:
    """The times of packets that were given to the decoder, and whose frames did not come yet."""

    def __init__(self):
        self._times = []  # a heap
        # (time, whether it is lost) of packets that do not tell their frame's: frames come in this
        # order.
        self._line = deque()

    def add(self, packet: av.Packet, timed: bool) -> int | None:
        """Adds a packet; returns the time that its frame will be taken for."""
        if timed and packet.pts is not None:
            heapq.heappush(self._times, packet.pts)
            return packet.pts
        self._line.append((packet.dts, False))
        return packet.dts

    def add_lost(self, time: int) -> None:
        """Adds a packet that should be there."""
        self._line.append((time, True))

    def take(self, pts: int | None) -> tuple[int | None, list[int]]:
        """Returns a frame's time, and the times before it whose frames will not come."""
        earlier = []
        while self._line:
            time, lost = self._line.popleft()
            if not lost:
                return time, earlier
            earlier.append(time)
        if pts in self._times:
            while self._times[0] < pts:
                earlier.append(heapq.heappop(self._times))
            heapq.heappop(self._times)
        elif self._times and pts is not None and self._times[0] < pts:
            heapq.heappop(self._times)  # of a decoder that makes up its own times
        return pts, earlier

    def fail(self) -> list[int | None]:
        """Returns the time that an error of the decoder stands for, where frames tell none."""
        return [self._line.popleft()[0]] if self._line else []

    def rest(self) -> list[int | None]:
        return [*sorted(self._times), *(time for time, _ in self._line)]


class Decoder:
    """The pictures of a film, in the order of their times.

    A frame counts as lost where none comes of its packet, where its packet is cut off, and where
    it shows damage and is the last one, or of a codec whose frames stand alone.

    Attributes:
      packets: how many were read, of frames that are to be shown.
      frames: how many of them came.
      end: the latest time of a packet, in seconds as the film counts them.
      told_late: damage may be told of only after frames that show it.
      timed: packets tell the times of their frames, not only their order.
      holes: the latest times of packets before which the film may have lost others.
      repeats: the latest times at which the frame before goes on, in the order of reading.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        first: int,
        *,
        timed: bool,
    ):
        """Takes an opened film.

        Args:
          first: what comes before this frame may be passed over.
          timed: packets tell the times of their frames, not only their order.
        """
        self.container, self.stream, self._context = container, stream, stream.codec_context
        self._first, self._key, self._number = first, None, 0
        self._pending, self._errors, self._fields = _Pending(), 0, False
        self.timed, avi = timed, container.format.name == "avi"
        self._ordered = not timed and not avi
        # The index of AVI tells which packets should be there.
        self._index = [(e.pos + 8, e.size) for e in stream.index_entries] if avi else []
        self._places = {place: n for n, (place, _) in enumerate(self._index)}
        self._indexed = -1  # the latest packet of the index that came
        # A transport stream calls a packet corrupt where two recordings are joined, too.
        self._marks, self._cut = container.format.name != "mpegts", set()
        self._is_damaged = damage_check(self._context.name, self._context.extradata)
        self._damaged, self._builds_on = set(), False  # times of damaged packets, and what follows
        self.packets, self.frames, self.end = 0, 0, 0.0
        self.repeats, self.holes = deque(maxlen=REPEATED), deque(maxlen=HOLES)
        self._held = 0  # frames that shared a packet with another

    @property
    def told_late(self) -> bool:
        return self._context.has_b_frames or self._context.name in LATE

    def __iter__(self) -> Iterator[Picture]:
        context, latest = self._context, None
        packets = _packets(self.container, self.stream, self.repeats, self.holes)
        if self.container.format.name == INDEXED or context.codec.intra_only:
            packets = self._from_key(packets)
        for packet in packets:
            if packet is not None:
                self._miss(self._places.get(packet.pos))
            if packet is not None and (self._shows_held(packet) or self._is_shown(packet)):
                if self._ordered:
                    packet.dts = packet.pts
                if packet.pos in self._places:
                    packet.dts = self.stream.index_entries[self._indexed].timestamp
                time = self._pending.add(packet, self.timed)
                if self._shows_damage(packet):
                    self._damaged.add(time)
                self.packets += 1
                latest = packet.pts
                self.end = max(self.end, float((latest or 0) * self.stream.time_base))
                if packet.is_corrupt and self._marks:
                    self._cut.add(packet.pts)
            try:
                frames = context.decode(packet)
            except av.FFmpegError:
                self._errors += 1
                yield from self._lost(self._pending.fail())
                continue
            for frame in frames:
                yield from self._pictures(frame, packet is None and frame.pts == latest)
        self._miss(len(self._index))
        yield from self._lost(self._pending.rest())

    def _miss(self, place: int | None) -> None:
        """Notes the packets of the index that should be there before a place in it."""
        if place is None:
            return
        for number in range(self._indexed + 1, place):
            if self._index[number][1]:
                self._pending.add_lost(self.stream.index_entries[number].timestamp)
        self._indexed = max(place, self._indexed)

    def _from_key(self, packets: Iterator[av.Packet | None]) -> Iterator[av.Packet | None]:
        """Yields packets from the key frame on that `first` builds on."""
        held, frames = [], 0
        for packet in packets:
            if packet is not None:
                if packet.is_keyframe and self._number + frames + REORDERED <= self._first:
                    self._number += frames
                    self.packets = self._number
                    self._key = packet.pts
                    self._indexed = self._places.get(packet.pos, 0) - 1
                    held, frames = [], 0
                frames += self._is_shown(packet)
            held.append(packet)
            if self._number + frames >= self._first + REORDERED or len(held) > HELD:
                break
        yield from held
        yield from packets

    def _shows_damage(self, packet: av.Packet) -> bool:
        """Returns whether a packet is damaged, or follows from one that is."""
        if self._is_damaged is None:
            return False
        if self._is_damaged(bytes(packet)):
            self._builds_on = not packet.is_disposable
            return True
        self._builds_on &= not packet.is_keyframe
        return self._builds_on

    def _is_shown(self, packet: av.Packet) -> bool:
        return not packet.is_discard and not _is_hidden(packet, self._context)

    def _shows_held(self, packet: av.Packet) -> bool:
        """Returns whether a placeholder stands where a frame is shown that came in a packet before.

        AVI has one packet a frame. Of MPEG-4, two frames may share one, and a placeholder follows.
        """
        if self.timed or self._context.name != "mpeg4":
            return False
        if packet.size > PLACEHOLDER:
            self._held += max(0, bytes(packet).count(_FRAME_OF_MPEG4) - 1)
            return False
        self._held -= 1
        return self._held >= 0

    def _pictures(self, frame: av.VideoFrame, last: bool) -> Iterator[Picture]:
        self._fields = frame.interlaced_frame
        pts, earlier = self._pending.take(frame.pts)
        yield from self._lost(earlier)
        alone = last or self._context.codec.intra_only
        if frame.pts in self._cut or (frame.is_corrupt and alone):
            yield self._picture(Loss("is damaged"), pts, damaged=True)
        else:
            self.frames += 1
            yield self._picture(frame, pts, damaged=frame.is_corrupt or pts in self._damaged)
            self._damaged.discard(pts)

    def _lost(self, times: list[int | None]) -> Iterator[Picture]:
        for pts in times:
            # Each of the two fields of a frame may be a packet: there, only an error tells a loss.
            if self._errors or not self._fields:
                self._errors = max(0, self._errors - 1)
                yield self._picture(Loss("cannot be decoded"), pts, damaged=True)

    def _picture(self, frame: av.VideoFrame | Loss, pts: int | None, damaged: bool) -> Picture:
        if self._key is not None and pts is not None and pts < self._key:
            damaged = False  # it builds on frames that were passed over
        self._number += 1
        return Picture(frame, pts, self._number - 1, damaged)


def fill_gaps(
    decoder: Decoder, step: float | None, breaks_off: Callable[[], bool]
) -> Iterator[Picture]:
    """Yields a decoder's pictures, and a `Loss` for each that is not there.

    Frames that come evenly may leave some out: what is cut, or does not move. They are lost where
    bytes of the file are, too, where a picture close by shows damage, or where the film breaks off.

    Args:
      step: between frames that come evenly, in units of the stream; None: they do not.
      breaks_off: returns, after the last frame, whether there should be more.
    """
    if step is None:
        yield from decoder
        return
    # (how many are missing before it, whether it is damaged) of the latest pictures; the next ones.
    before, after, shift = deque(maxlen=AROUND), deque(), 0
    latest, late = None, 0  # the latest time, and how many frames came after it with earlier ones

    def fill(picture: Picture, gap: int, *, ends: bool = False) -> Iterator[Picture]:
        nonlocal shift
        sides = [*before], [(gap, picture.damaged) for picture, gap in after]
        usual = all(2 * sum(not gap for gap, _ in side) >= len(side) for side in sides)
        if 0 < gap <= LONGEST_GAP and usual:
            near = (gap + REORDERED) * step
            near_by = itertools.chain(*sides)
            damaged = ends or picture.damaged or any(damaged for _, damaged in near_by)
            if damaged or any(abs(hole - picture.pts) < near for hole in decoder.holes):
                for number in range(gap):
                    pts = picture.pts - round((gap - number) * step)
                    yield Picture(Loss("is missing"), pts, picture.number + shift + number, True)
                shift += gap
        before.append((gap, picture.damaged))
        yield replace(picture, number=picture.number + shift)

    for picture in decoder:
        gap = 0
        if picture.pts is not None and latest is not None and picture.pts <= latest:
            late += 1
        elif picture.pts is not None:
            if latest is not None:
                gap = round((picture.pts - latest) / step) - 1 - late
                while decoder.repeats and decoder.repeats[0] < picture.pts:
                    gap -= decoder.repeats.popleft() > latest
                gap = max(0, gap)
            latest, late = picture.pts, 0
        after.append((picture, gap))
        while after and (not after[0][1] or len(after) > AROUND):
            yield from fill(*after.popleft())
    ends = bool(after) and breaks_off()
    while after:
        yield from fill(*after.popleft(), ends=ends)


class _Bytes:
    """The bytes of a file between the packets of its film."""

    def __init__(self):
        self._end = None  # of the latest packet and of what came after it for other streams
        self._usual, self._sizes = deque(maxlen=2 * AROUND), deque(maxlen=2 * AROUND)

    def other(self, size: int) -> None:
        """Takes the size of a packet of another stream."""
        if self._end is not None:
            self._end += size

    def lack(self, packet: av.Packet) -> bool:
        """Takes a packet of the film; returns whether another one may have stood before it."""
        if packet.pos is None or packet.pos < 0:
            return True
        between, unknown = packet.pos - (self._end or 0), self._end is None
        self._end = packet.pos + packet.size
        self._sizes.append(packet.size)
        if unknown:
            return False
        # Between packets stand headers, of a size that the latest ones show.
        lack = bool(self._usual) and between > max(self._usual) + min(self._sizes) / 4
        if not lack:
            self._usual.append(between)
        return lack


def _packets(container, stream, repeats: deque, holes: deque) -> Iterator[av.Packet | None]:
    """Yields the packets of a stream, at times that do not start anew, and None at the end.

    Empty ones, where the frame before goes on, add their times to `repeats`; those before which
    something may be lost add theirs to `holes`.
    """
    failures, offset, latest, step = 0, 0, None, 0
    jump, between = JUMP / stream.time_base, _Bytes()
    counted = container.format.name == "mpegts"  # has numbers that tell where bytes are missing
    while failures < FAILURES:
        try:
            for packet in container.demux():
                failures = 0
                if packet.stream_index != stream.index:
                    between.other(packet.size)
                    continue
                if packet.size == 0:
                    if packet.pts is not None:  # at the end there is none
                        repeats.append(packet.pts + offset)
                    continue
                if packet.dts is not None:
                    if latest is not None:
                        if packet.dts + offset < latest - jump:
                            offset = latest + step - packet.dts
                        step = packet.dts + offset - latest
                    latest = packet.dts + offset
                    packet.dts = latest
                if packet.pts is not None and offset:
                    packet.pts += offset
                lack = packet.is_corrupt if counted else between.lack(packet)
                if lack and packet.pts is not None:
                    holes.append(packet.pts)
                yield packet
            break
        except av.FFmpegError:  # what follows a damaged place may be whole
            failures += 1
    yield None


def _is_hidden(packet: av.Packet, context: av.VideoCodecContext) -> bool:
    """Returns whether a packet is of a frame that is never shown."""
    codec = context.name
    if codec.startswith(("vp8", "libvpx")):
        return not bytes(packet)[0] >> 4 & 1  # RFC 6386, 9.1: show_frame
    return codec == "mpeg4" and packet.size <= PLACEHOLDER
