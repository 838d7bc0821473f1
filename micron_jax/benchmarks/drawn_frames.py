"""A drawn corpus for measuring the reader: soft shapes under sensor noise."""

from pathlib import Path

import cv2
import numpy as np

from micron_jax.datasets.frames.builder import build


def draw(scratch: Path, *, size: int, clips: int = 8, frames: int = 64) -> Path:
    """Builds the set as `micron-jax data build frames` does: JPEGs of about 22 kB at 224 px.

    Args:
      scratch: an empty folder.
      size: side of the frames, px.

    Returns:
      The data_dir.
    """
    rng, source = np.random.default_rng(0), scratch / "source"
    for clip in range(clips):
        (source / f"clip{clip}").mkdir(parents=True)
        coarse = rng.integers(30, 225, (14, 14, 3)).astype(np.float32)
        face = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        for number in range(frames):
            seen = np.roll(face, number, axis=1) + rng.normal(0, 4, face.shape)
            path = source / f"clip{clip}" / f"{number}.jpg"
            cv2.imwrite(str(path), np.clip(seen, 0, 255).astype(np.uint8))
    build(source, scratch / "data", size=size, crop="whole")
    return scratch / "data"
