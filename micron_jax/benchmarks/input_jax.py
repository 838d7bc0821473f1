"""Run as a module, in a process of its own: our input pipeline, batch by batch.

What the host does is all there is to it: crops and swaps are made on the device.
"""

import sys
import time

from micron_jax.benchmarks.worker import peak_resident_bytes, serve
from micron_jax.data.pipeline import make_pairs
from micron_jax.datasets.frames import open_frames
from micron_jax.video.image_files import decode_jpeg


class Batches:
    """Pairs of a corpus as `micron-jax pretrain` reads them: uint8 [B, S, S, 3] twice."""

    def __init__(self, request: dict):
        """Opens the corpus and begins to read ahead.

        Args:
          request: {"data_dir", "batch", "threads", "workers"}.
        """
        source, clips = open_frames(request["data_dir"])
        frames = [
            record["image"] for record in source.__getitems__([*range(min(len(source), 200))])
        ]
        begun = time.thread_time()
        for frame in frames:
            side = decode_jpeg(frame).shape[0]
        decode = (time.thread_time() - begun) / len(frames)
        names = ("threads", "workers")
        self.ahead = request["threads"] * max(request["workers"], 1)
        self.pairs = make_pairs(
            source, clips, batch_size=request["batch"], delta_min=5, delta_max=11, seed=0,
            **{name: request[name] for name in names},
        )  # fmt: skip
        mean = sum(len(frame) for frame in frames) / len(frames)
        self.facts = {"platform": "cpu", "decode_seconds": decode, "size": side, "jpeg_bytes": mean}

    def begin(self) -> None:
        """What was read while the other side had its turn does not count."""
        for _ in range(self.ahead):
            next(self.pairs)

    def step(self) -> None:
        next(self.pairs)

    def peak_bytes(self) -> int:
        return peak_resident_bytes()


if __name__ == "__main__":
    sys.exit(serve(Batches))
