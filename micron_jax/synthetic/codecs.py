"""Codecs of films, in memory and in files: the marks that compression leaves on frames over time.

Each encoder works on one thread, so that equal frames give equal bytes. Rates are set by quality,
as cameras and web sites do, so that they grow with the size of the frames and with what moves.
"""

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from micron_jax.checks import choose
from micron_jax.files import write_whole

TICKS = 90_000  # a second
BT709, BT601 = int(Colorspace.ITU709), int(Colorspace.ITU601)
LIMITED, FULL = int(ColorRange.MPEG), int(ColorRange.JPEG)


@dataclass(frozen=True)
class Codec:
    """An encoder and its settings.

    Attributes:
      encoder, decoder: names in FFmpeg.
      suffix: of a film file, which tells the container.
      options: of the encoder.
      key_seconds: between two key frames; 0: every frame is one.
      pixels, colorspace, color_range: what the encoder gets in place of RGB.
    """

    encoder: str
    decoder: str
    suffix: str
    options: dict[str, str] = field(default_factory=dict)
    key_seconds: float = 0.0
    pixels: str = "yuv420p"
    colorspace: int = BT709
    color_range: int = LIMITED


# `force-cfr`: the rate depends on the frames and not on how their times are rounded. `mbtree` reads
# memory that nobody wrote, in some sizes: equal frames would not give equal bytes.
_X264 = {"preset": "veryfast", "threads": "1", "x264-params": "force-cfr=1:mbtree=0"}
_VP9 = {"deadline": "realtime", "cpu-used": "7", "lag-in-frames": "0", "b": "0", "threads": "1"}

CODECS = {
    # Lossless RGB.
    "none": Codec("ffv1", "ffv1", ".mkv", {"level": "3", "slices": "4"}, pixels="bgr0"),
    # A video chat, or a film from the web: 0.015 to 0.03 bit a pixel of a face.
    "h264_low": Codec("libx264", "h264", ".mp4", _X264 | {"crf": "33"}, 4),
    # A phone: 0.09 to 0.16 bit a pixel; no B frames, a key frame each second.
    "h264_phone": Codec("libx264", "h264", ".mp4", _X264 | {"crf": "23", "bf": "0"}, 1),
    "h264_high": Codec("libx264", "h264", ".mp4", _X264 | {"crf": "16"}, 4),
    "vp9": Codec("libvpx-vp9", "vp9", ".webm", _VP9 | {"crf": "34"}, 4),
    # A web camera: each frame is a JPEG of its own.
    "mjpeg": Codec(
        "mjpeg", "mjpeg", ".mkv", {"qmin": "4", "qmax": "4"}, 0, "yuvj420p", BT601, FULL
    ),
}


def round_trip(frames: np.ndarray, codec: str, fps: float = 30.0) -> np.ndarray:
    """Sends frames through a codec, in memory.

    Args:
      frames: RGB uint8 [T, H, W, 3], in order of time; any size.
      codec: one of `CODECS`.
      fps: frames a second, which places the key frames.

    Returns:
      RGB uint8 [T, H, W, 3], as many, in the same order.

    Raises:
      UserError: `codec` is unknown.
    """
    choose("", {"codec": codec}, codec=CODECS)
    settings = CODECS[codec]
    if settings.encoder == "ffv1" or not len(frames):
        return frames.copy()
    height, width = frames.shape[1:3]
    decoder = av.CodecContext.create(settings.decoder, "r")
    decoder.thread_count = 1
    decoded = np.empty_like(frames)
    times = np.arange(len(frames)) / fps
    encoder = _encoder(settings, frames.shape, fps)
    count = 0
    # The encoder's own packets: a copy made from bytes lacks the zeros that a decoder may read.
    for packet in itertools.chain(_packets(encoder, settings, frames, times), [None]):
        for frame in decoder.decode(packet):
            decoded[count] = _rgb(frame, settings)[:height, :width]
            count += 1
    if count != len(frames):
        raise RuntimeError(f"{codec}: {count} frames of {len(frames)} came back")
    return decoded


def write_film(path: Path, frames: np.ndarray, codec: str, seconds: np.ndarray) -> None:
    """Writes frames as a film, as `write_whole` does; equal frames and times give equal bytes.

    Args:
      path: of the file; its suffix is that of the codec.
      frames: RGB uint8 [T, H, W, 3]; an odd side grows by a copy of its last row or column.
      seconds: [T], of each frame, rising; a container keeps them to a millisecond or better.
      codec: one of `CODECS`.

    Raises:
      OSError: the file cannot be written.
      UserError: `codec` is unknown.
    """
    choose("", {"codec": codec}, codec=CODECS)
    settings, file = CODECS[codec], io.BytesIO()
    span = float(seconds[-1] - seconds[0])
    fps = (len(frames) - 1) / span if span > 0 else 30.0
    container = {".mp4": "mp4", ".webm": "webm", ".mkv": "matroska"}[settings.suffix]
    flags = {"fflags": "bitexact"}  # without the version of the library, and random identifiers
    with av.open(file, "w", container, options=flags) as film:
        encoder = _encoder(settings, frames.shape, fps, film=film)
        for packet in _packets(encoder.codec_context, settings, frames, seconds - seconds[0]):
            packet.stream = encoder
            film.mux(packet)
    write_whole(path, file.getvalue())


def _encoder(settings: Codec, shape: tuple, fps: float, film=None):
    """Returns a codec context, or a stream of `film`."""
    rate = Fraction(fps).limit_denominator(1001)
    if film is None:
        stream = context = av.CodecContext.create(settings.encoder, "w")
        context.framerate = rate
    else:
        stream = film.add_stream(settings.encoder, rate=rate)
        context = stream.codec_context
    context.height, context.width = (side + side % 2 for side in shape[1:3])
    context.pix_fmt = settings.pixels
    context.time_base = Fraction(1, TICKS)
    context.thread_count = 1
    options = dict(settings.options)
    if settings.key_seconds:
        options["g"] = str(max(2, round(settings.key_seconds * fps)))
    if settings.pixels != "bgr0":
        context.colorspace, context.color_range = settings.colorspace, settings.color_range
    context.options = options
    return stream


def _packets(context, settings: Codec, frames: np.ndarray, seconds: np.ndarray) -> Iterator:
    odd = [(0, side % 2) for side in frames.shape[1:3]]
    step, earliest = 1.0 / float(context.framerate or 30), 0
    for image, second, following in zip(
        frames, seconds, [*seconds[1:], seconds[-1] + step], strict=True
    ):
        if any(more for _, more in odd):
            image = np.pad(image, (*odd, (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image))
        if settings.pixels == "bgr0":
            frame = frame.reformat(format="bgr0")
        else:
            frame = frame.reformat(
                format=settings.pixels,
                dst_colorspace=settings.colorspace,
                dst_color_range=settings.color_range,
            )
        # Two frames of one time are a millisecond apart, the unit of Matroska.
        pts = max(round(second * TICKS), earliest)
        earliest = pts + TICKS // 1000
        frame.pts, frame.time_base = pts, Fraction(1, TICKS)
        frame.duration = max(1, round(following * TICKS) - pts)
        yield from context.encode(frame)
    yield from context.encode(None)


def _rgb(frame: av.VideoFrame, settings: Codec) -> np.ndarray:
    image = frame.reformat(
        format="rgb24",
        src_colorspace=settings.colorspace,
        src_color_range=settings.color_range,
        dst_color_range=FULL,
    )
    return image.to_ndarray()
