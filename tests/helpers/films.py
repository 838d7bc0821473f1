"""Image folders and films that tests write."""

import cv2
import numpy as np

from micron_jax.video.clip_files import find_clips


def gradient(height=48, width=64, shift=0):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 + shift, y * 4, (x + y) * 2], -1).astype(np.uint8)


def write_image(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())


def write_video(path, frames, fps=25.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = frames[0].shape
    plain = path.with_name("plain.mp4")  # OpenCV's writer chooses the format by a lower-case name
    writer = cv2.VideoWriter(str(plain), cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    plain.rename(path)


def only_clip(folder):
    (clip,) = find_clips(folder)
    return clip
