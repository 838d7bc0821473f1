"""A camera before a still: sensor noise, flicker of the light, exposure and dither over time."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

RATES = (25.0, 30.0, 30.0, 50.0, 60.0)  # frames a second, one of which a camera has


@dataclass(frozen=True)
class StillCamera:
    """What a camera adds to T frames in which nothing need move.

    Attributes:
      gain: [T], of exposure and mains flicker.
      bands: [T, 3], depth, height in frames and phase of the bars of a rolling shutter.
      read, shot: read noise in gray levels, and its variance a gray level.
      grain: standard deviation in px of a blur of the noise, as a camera's own denoising leaves.
      seed: of the noise, the same for all clips of one camera.
    """

    gain: np.ndarray
    bands: np.ndarray
    read: float
    shot: float
    grain: float
    seed: tuple[int, ...]

    def shoot(self, frames: np.ndarray) -> np.ndarray:
        """Adds it to frames, uint8 [T, H, W, 3]; the same noise whenever it is called."""
        rng = np.random.default_rng(self.seed)
        down = np.arange(frames.shape[1], dtype=np.float32)[:, None, None] / frames.shape[1]
        result = np.empty_like(frames)
        for frame, gain, (deep, high, phase), image in zip(
            frames, self.gain, self.bands, result, strict=True
        ):
            light = gain * (1 + deep * np.sin(2 * math.pi * (down / high + phase)))
            values = frame * light.astype(np.float32)
            noise = rng.standard_normal(frame.shape, np.float32)
            if self.grain > 0:
                noise = cv2.GaussianBlur(noise, (0, 0), self.grain)
                noise *= np.float32(2 * math.sqrt(math.pi) * self.grain)  # its deviation stays 1
            values += noise * np.sqrt(self.read**2 + self.shot * np.clip(values, 0, 255))
            values += rng.random(frame.shape, np.float32) - np.float32(0.5)  # dither
            image[:] = np.clip(np.rint(values), 0, 255)
        return result


def draw_camera(
    seconds: np.ndarray, rng: np.random.Generator, seed: tuple[int, ...]
) -> StillCamera:
    """Draws a camera for frames at times [T]."""
    mains = 2 * rng.choice([50.0, 60.0])
    flicker = rng.uniform(0, 0.02) * np.sin(2 * math.pi * mains * seconds + rng.uniform(0, 6.28))
    period = rng.uniform(1.5, 10)
    exposure = rng.uniform(0, 0.04) * np.sin(2 * math.pi * seconds / period + rng.uniform(0, 6.28))
    deep = rng.uniform(0, 0.03) if rng.uniform() < 0.5 else 0.0
    bands = np.stack(
        [
            np.full(len(seconds), deep),
            np.full(len(seconds), rng.uniform(0.4, 1.5)),
            seconds * rng.uniform(-2, 2) + rng.uniform(),
        ],
        -1,
    )
    read, shot = math.exp(rng.uniform(math.log(0.4), math.log(3.0))), rng.uniform(0, 0.03)
    grain = rng.uniform(0.4, 1.0) if rng.uniform() < 0.6 else 0.0
    return StillCamera((1 + flicker) * (1 + exposure), bands, read, shot, grain, seed)
