"""Image folders and films that tests write, and films as FFmpeg's own program decodes them."""

import struct
import subprocess
from fractions import Fraction

import av
import cv2
import imageio_ffmpeg
import numpy as np

from micron_jax.video.clip_files import find_clips

TICKS = 90_000  # a second
FILMS = (".mov", ".avi", ".webm", ".flv", ".gif", ".mxf")
FORMATS = {".mkv": "matroska", ".mpg": "mpeg", ".ts": "mpegts", ".m2ts": "mpegts", ".wmv": "asf"}


def gradient(height=48, width=64, shift=0):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 + shift, y * 4, (x + y) * 2], -1).astype(np.uint8)


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())


def write_video(
    path,
    frames,
    fps=25.0,
    *,
    codec="libx264",
    pixels="yuv420p",
    seconds=None,
    options=None,
    metadata=None,
    aspect=None,
    colors=None,
    container=None,
):
    """Writes a film; the container is that of the suffix, or else MP4.

    Args:
      frames: RGB uint8 [H, W, 3], or frames of PyAV.
      seconds: of each frame, in place of `fps`.
      options: of the codec.
      metadata: of the container.
      aspect: width of a pixel divided by its height.
      colors: (AVColorSpace, AVColorRange) that the film names.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix.lower()
    container = container or FORMATS.get(suffix, suffix[1:] if suffix in FILMS else "mp4")
    rate = Fraction(fps).limit_denominator(1001)
    settings = {"movflags": "use_metadata_tags+faststart"} if container == "mp4" else {}
    with open(path, "wb") as file, av.open(file, "w", format=container, options=settings) as film:
        film.metadata.update(metadata or {})
        stream = film.add_stream(codec, rate=rate)
        frames = [
            image if isinstance(image, av.VideoFrame) else av.VideoFrame.from_ndarray(image)
            for image in frames
        ]
        stream.height, stream.width = frames[0].height, frames[0].width
        stream.pix_fmt = pixels
        stream.options = {"preset": "ultrafast", "crf": "12"} if codec == "libx264" else {}
        stream.options = stream.options | (options or {})
        if codec in ("mpeg4", "mpeg2video", "mjpeg"):
            stream.codec_context.options = {"qmin": "1", "qmax": "3"} | (options or {})
        context = stream.codec_context
        if seconds is not None:
            context.time_base = Fraction(1, TICKS)
        if aspect:
            context.sample_aspect_ratio = aspect
        if colors:
            context.colorspace, context.color_range = colors
        for number, frame in enumerate(frames):
            if seconds is None:
                frame.pts, frame.time_base = number, 1 / rate
            else:
                frame.pts, frame.time_base = round(seconds[number] * TICKS), Fraction(1, TICKS)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def set_display_matrix(path, a, b, c, d):
    """Changes an MP4, as a phone writes it: (x, y) is shown at (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # of the track header
    matrix = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[place : place + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)


def decode_by_ffmpeg(path, shape, filters="null"):
    """Returns a film's frames as FFmpeg's own program shows them, uint8 [T, H, W, 3]."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-vf", filters]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, *shape, 3)


def only_clip(folder):
    (clip,) = find_clips(folder)
    return clip
