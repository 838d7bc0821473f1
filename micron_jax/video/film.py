"""Film files, by FFmpeg through PyAV: no other module opens one.

A film is opened as a Python file object without a name: neither its path, nor a path or an address
that stands in it, reaches FFmpeg.

Seconds count from the beginning of the film as players count them: from the first of its streams,
sound or picture, with edit lists applied. A picture that comes later than the sound keeps its
delay, and a recording whose clock stands at hours begins at 0.
"""

import contextlib
import functools
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import av
import numpy as np

from micron_jax.video.film_clock import Clock
from micron_jax.video.film_frames import INDEXED, Decoder, Loss, Picture, fill_gaps
from micron_jax.video.film_header import Header, capture_rate, describe, missing_at_end
from micron_jax.video.film_notes import Notes
from micron_jax.video.film_pictures import Screen
from micron_jax.video.image_files import Unreadable

# Containers of films; not among them: playlists and other files that name files.
FORMATS = (
    "3g2,3gp,apng,asf,asf_o,av1,avi,avs2,avs3,cavsvideo,dhav,dirac,dnxhd,dv,evc,flv,gif,gxf,h261,"
    "h263,h264,hevc,ingenient,ipu,ivf,ivr,kux,live_flv,lxf,m4a,m4v,matroska,mj2,mjpeg,mjpeg_2000,"
    "mov,mp4,mpeg,mpegts,mpegvideo,mpjpeg,mxf,nsv,nut,nuv,obu,ogg,r3d,rm,smjpeg,swf,ty,vc1,"
    "vc1test,viv,vvc,webm,wtv,yuv4mpegpipe"
)
MEGAPIXELS = 100  # of a frame: a small file can tell of a huge one
LIMITS = {"max_pixels": str(MEGAPIXELS * 1_000_000)}
# Decoders that may work on several frames at once: told to stop at damage, they do.
PARALLEL = {"av1", "h264", "hevc", "libdav1d", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4"}
PARALLEL |= {"prores", "vp9"}
THREADS = min(8, os.cpu_count() or 1)  # that decode a film
DELAY = 6  # frames: damage may show so much earlier than what tells of it


def read_header(path: Path) -> Header:
    """Reads what a film says about itself; no frame is decoded."""
    try:
        status = path.stat()
        return _header_of(path, status.st_size, status.st_mtime_ns)
    except (Unreadable, OSError, av.FFmpegError):
        return Header(None, 0, 0, 0)


@functools.lru_cache(maxsize=256)  # some films are scanned; their parts are read one by one
def _header_of(path: Path, size: int, _changed: int) -> Header:
    with _opened(path) as (container, stream):
        return describe(container, stream, size)


def read_film(
    path: Path, first: int = 0, last: int | None = None, fps: float | None = None
) -> Iterator[tuple[int, float | None, np.ndarray | Unreadable]]:
    """Yields (number, seconds, RGB uint8 [H, W, 3]) of the frames `first` to `last`, in order.

    Frames are as players show them: upright, mirrored where the film says so, in square pixels,
    deinterlaced. In place of each frame that is lost stands `Unreadable`.

    Args:
      fps: frames per second of the recording, in place of the film's own times.

    Warns:
      Notice: something that the user should know, once per film.
    """
    losses, any_frame = [], False
    for number, seconds, frame in _read(path, first, last, fps):
        if not any_frame and isinstance(frame, Unreadable):
            losses.append((number, seconds, frame))
            continue
        yield from losses
        yield number, seconds, frame
        losses, any_frame = [], True
    if losses:  # of a film that has no frame, it is enough to say so
        yield 0, None, losses[-1][2]


def _read(path: Path, first: int, last: int | None, fps: float | None) -> Iterator[tuple]:
    count, header = 0, functools.cache(functools.partial(read_header, path))
    try:
        with _opened(path) as (container, stream):
            notes, slower = Notes(path), 1.0
            if fps is None and capture_rate(container, stream):
                slower = header().slower
                notes.other_speed(header())
            listed = container.format.name in (INDEXED, "avi")  # which packets there should be
            step, begin = (None, None) if listed else (header().step, header().begin_of_order)
            clock = Clock(container, stream, fps, slower, header, begin)
            timed = container.format.name != "avi" and begin is None
            # Deinterlacing looks at the frame before.
            decoder = Decoder(container, stream, first - 1, timed=timed)
            pictures = _seen(_steady(path, decoder, step), clock, notes)
            for picture, image in Screen(stream).show(pictures, first):
                if picture.number >= first:
                    yield picture.number, picture.seconds, _whole(picture, image)
                if picture.number == last:
                    return
                count = picture.number + 1
            if last is None:
                read = decoder.packets, decoder.end
                missing = missing_at_end(path, container, stream, *read, step)
                reason = Unreadable(f"breaks off after {count} of {count + missing} frames")
                for number in range(max(first, count), count + missing):
                    yield number, None, reason
            else:
                part = f"{max(0, count - first)} of {last + 1 - first} frames"
                yield count, None, Unreadable(f"breaks off after {part}")
            if not decoder.frames:
                large = "" if stream.width else f": damaged, or above {MEGAPIXELS} megapixels"
                yield 0, None, Unreadable(f"no frame can be decoded{large}")
    except (Unreadable, av.FFmpegError, OSError, MemoryError) as error:
        reason = error if isinstance(error, Unreadable) else Unreadable(f"cannot be read ({error})")
        yield count, None, reason


@contextlib.contextmanager
def _opened(path: Path, threads: int | None = None, *, strict: bool = True) -> Iterator[tuple]:
    """Gives (container, video stream) of a film, and closes both.

    Args:
      threads: that decode it; of some codecs several work on several frames at once.
      strict: of these codecs, a frame that is damaged is refused; else what it shows is shown.

    Raises:
      Unreadable: it cannot be opened, or there is nothing to see in it.
    """
    with contextlib.ExitStack() as closing:
        try:
            file = closing.enter_context(open(path, "rb"))
        except OSError as error:
            raise Unreadable(f"cannot be opened: {error.strerror}") from None
        # Without the name: FFmpeg tells some formats, such as patterns of file names, by it.
        source = SimpleNamespace(
            read=file.read, seek=functools.partial(_seek, file), tell=file.tell
        )
        options = {**LIMITS, "format_whitelist": FORMATS, "protocol_whitelist": "none"}
        try:
            container = av.open(source, options=options, metadata_errors="replace", io_open=_refuse)
        except av.FFmpegError:
            raise Unreadable("no frame can be decoded") from None
        except OSError as error:
            raise Unreadable(f"cannot be read: {error.strerror}") from None
        closing.enter_context(container)
        stream = _film_of(container)
        context = stream.codec_context
        context.options = LIMITS
        context.thread_count = threads or THREADS
        context.thread_type = "AUTO" if context.name in PARALLEL else "SLICE"
        if context.name in PARALLEL and strict:
            context.options = {**LIMITS, "err_detect": "explode"}
        yield container, stream


def _seek(file: BinaryIO, place: int, whence: int) -> int:
    try:
        return file.seek(place, whence)
    except (OSError, ValueError):  # a damaged file sends FFmpeg to places that are none
        return -1


def _refuse(url: str, flags: int, options: dict) -> None:
    raise PermissionError(f"a film may not open {url}")


def _film_of(container) -> av.VideoStream:
    """Returns the stream that is the film: not its cover, nor a thumbnail."""
    shown = av.stream.Disposition
    covers = shown.attached_pic | shown.still_image | shown.timed_thumbnails
    streams = [each for each in container.streams.video if not each.disposition & covers]
    if not streams:
        sound = "only sound" if container.streams.audio else "no film"
        raise Unreadable(f"there is {sound} in it")
    decodable = [stream for stream in streams if stream.codec_context]
    if not decodable:
        raise Unreadable("no frame can be decoded: FFmpeg does not know the codec")

    def rank(stream: av.VideoStream) -> tuple:
        context = stream.codec_context
        pixels = context.width * context.height
        return stream.frames != 1, bool(stream.disposition & shown.default), pixels, -stream.index

    return max(decodable, key=rank)


def _steady(path: Path, decoder: Decoder, step: float | None) -> Iterator[Picture]:
    """Yields the pictures of a decoder; from the first damage on, those of one on one thread.

    Several threads fill a damaged place with what they happen to find. One alone always shows the
    same, and may not tell: damaged is what either finds.
    """
    ready, latest = deque(), -1
    for picture in _filled(path, decoder, step):
        if picture.damaged:
            break
        ready.append(picture)
        while len(ready) > (DELAY if decoder.told_late else 0):
            latest = ready[0].number
            yield ready.popleft()
    else:
        yield from ready
        return
    ready.clear()
    with _opened(path, 1, strict=False) as (container, stream):
        again = Decoder(container, stream, 0, timed=decoder.timed)
        pictures = _with_damage(path, _filled(path, again, step), step, decoder.timed)
        yield from (picture for picture in pictures if picture.number > latest)
        decoder.packets, decoder.frames, decoder.end = again.packets, again.frames, again.end


def _filled(path: Path, decoder: Decoder, step: float | None) -> Iterator[Picture]:
    def breaks_off() -> bool:
        read = decoder.packets, decoder.end
        return missing_at_end(path, decoder.container, decoder.stream, *read, step) > 0

    return fill_gaps(decoder, step and step / float(decoder.stream.time_base), breaks_off)


def _with_damage(
    path: Path, pictures: Iterator[Picture], step: float | None, timed: bool
) -> Iterator[Picture]:
    """Yields pictures; those that a strict decoder refuses, or marks, are damaged."""
    with _opened(path, 1) as (container, stream):
        if stream.codec_context.name not in PARALLEL:  # there is no stricter one
            yield from pictures
            return
        decoder = Decoder(container, stream, 0, timed=timed)
        strict = _filled(path, decoder, step)
        damaged, latest = set(), -1
        for picture in pictures:
            while latest < picture.number + DELAY and (other := next(strict, None)):
                latest = other.number
                # Where frames come late, an error may cost the frame before the damaged one.
                named = not (decoder.told_late and isinstance(other.frame, Loss))
                if other.damaged and named:
                    damaged.add(other.pts)
            yield replace(picture, damaged=picture.damaged or picture.pts in damaged)
            damaged.discard(picture.pts)


def _seen(pictures: Iterator[Picture], clock: Clock, notes: Notes) -> Iterator[Picture]:
    for picture in pictures:
        notes.look(picture)
        yield replace(picture, seconds=clock.seconds(picture.number, picture.pts))
    notes.end()


def _whole(picture: Picture, image: np.ndarray | None) -> np.ndarray | Unreadable:
    if image is None:
        return Unreadable(f"frame {picture.number} {picture.frame.reason}")
    return image
