"""Worker process: the same pairs through a PyTorch `DataLoader`.

Its processes decode, swap patches and make the ten crops of DINO, as usual. For speed it uses
OpenCV instead of PIL, one thread a process, and 8-bit crops, which the device would normalize. Our
pipeline leaves the crops to the device.
"""

import math
import os
import sys

import cv2
import numpy as np

from micron_jax.benchmarks.worker import Failed, ReadAhead, serve
from micron_jax.data.pairs import DELTA_SECONDS, Pairs
from micron_jax.datasets.frames import open_frames
from micron_jax.video.image_files import decode_jpeg

PATCH, LOCAL = 8, 96
GLOBAL_SCALE, LOCAL_SCALE = (0.4, 1.0), (0.05, 0.4)


class Views:
    """A map-style data set that gives the views of a pair, uint8 [S, S, 3] each."""

    def __init__(self, data_dir: str):
        self.data_dir, self.source = data_dir, None
        source, clips = open_frames(data_dir)
        self.pairs = Pairs(clips, DELTA_SECONDS)
        self.side = decode_jpeg(source[0]["image"]).shape[0]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, number: int) -> dict:
        if self.source is None:  # each worker opens its own
            cv2.setNumThreads(1)
            self.source, _ = open_frames(self.data_dir)
            self.rng = np.random.default_rng([os.getpid(), 0])
        index, delta = self.pairs.draw(np.array([number]), self.rng.random(1))
        records = self.source.__getitems__([int(index[0]), int(index[0] + delta[0])])
        cur, ref = (decode_jpeg(record["image"]) for record in records)
        mask = self.rng.random((self.side // PATCH, self.side // PATCH)) < 0.5
        mask = mask.repeat(PATCH, 0).repeat(PATCH, 1)[..., None]
        views = {"cur": cur, "ref": ref, "rep": np.where(mask, ref, cur)}
        views |= {f"global{i}": self.crop(ref, self.side, GLOBAL_SCALE) for i in range(2)}
        return views | {f"local{i}": self.crop(ref, LOCAL, LOCAL_SCALE) for i in range(8)}

    def crop(self, image: np.ndarray, size: int, scale: tuple[float, float]) -> np.ndarray:
        """Crops as `data.views.random_crop` does, by OpenCV."""
        area = self.rng.uniform(*scale) * self.side**2
        aspect = math.exp(self.rng.uniform(-1, 1) * math.log(4 / 3))
        height, width = (
            max(1, min(self.side, round(math.sqrt(area * factor))))
            for factor in (1 / aspect, aspect)
        )
        top = self.rng.integers(self.side - height + 1)
        left = self.rng.integers(self.side - width + 1)
        part = image[top : top + height, left : left + width]
        smaller = size < min(height, width)
        method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        part = cv2.resize(part, (size, size), interpolation=method)
        return cv2.flip(part, 1) if self.rng.random() < 0.5 else part


class Batches(ReadAhead):
    """Batches of `Views` in random order, without an end."""

    def __init__(self, request: dict):
        """Starts the loader's workers.

        Args:
          request: {"data_dir", "batch", "processes"}.
        """
        try:
            import torch
            from torch.utils.data import DataLoader, RandomSampler
        except ImportError as error:
            raise Failed("torch is not installed: pip install 'micron-jax[torch]'") from error
        views = Views(request["data_dir"])
        self.ahead = 2 * request["processes"]
        self.batches = iter(
            DataLoader(
                views,
                request["batch"],
                sampler=RandomSampler(views, replacement=True, num_samples=2**40),
                num_workers=request["processes"],
                prefetch_factor=2,
                multiprocessing_context="spawn",  # array_record does not survive a fork
            )
        )
        self.facts = {"platform": "cpu", "versions": {"torch": torch.__version__}}


if __name__ == "__main__":
    sys.exit(serve(Batches))
