"""Worker process: our input pipeline, batch by batch.

It measures the host's part alone, because crops and swaps are made on the device.
"""

import sys
import time

from micron_jax.benchmarks.worker import ReadAhead, serve
from micron_jax.data.pairs import DELTA_SECONDS
from micron_jax.data.pipeline import make_pairs
from micron_jax.datasets.frames import open_frames
from micron_jax.video.image_files import decode_jpeg


class Batches(ReadAhead):
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
        begin = time.thread_time()
        for frame in frames:
            side = decode_jpeg(frame).shape[0]
        decode = (time.thread_time() - begin) / len(frames)
        self.ahead = request["threads"] * max(request["workers"], 1)
        self.batches = make_pairs(
            source, clips, batch_size=request["batch"], delta_seconds=DELTA_SECONDS, seed=0,
            threads=request["threads"], workers=request["workers"],
        )  # fmt: skip
        mean = sum(len(frame) for frame in frames) / len(frames)
        self.facts = {"platform": "cpu", "decode_seconds": decode, "size": side, "jpeg_bytes": mean}


if __name__ == "__main__":
    sys.exit(serve(Batches))
