"""Measures what the checksums of a checkpoint cost, as a share of its save.

python tests/helpers/checksum_cost.py FOLDER --parameters 100
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
from place import Place

from micron_jax.training import checkpoint_sums
from micron_jax.training.checkpoint import Checkpoints

KINDS = "wall time of a save", "its processor time"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="new; removed at the end")
    parser.add_argument("--parameters", type=int, default=100, help="in millions")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sums = np.zeros(2)  # seconds: wall, processor

    def timed(function):
        def call(*arguments):
            begin = now()
            function(*arguments)
            sums[:] += now() - begin

        return call

    for name in ("write", "add_last_files"):
        setattr(checkpoint_sums, name, timed(getattr(checkpoint_sums, name)))
    noise = np.random.default_rng(0)
    arrays = {str(n): noise.normal(size=(1000, 1000)) for n in range(options.parameters)}
    # As AdamW's: weights and two averages.
    state = {
        part: {n: (array * scale).astype(np.float32) for n, array in arrays.items()}
        for part, scale in (("params", 1.0), ("mu", 1e-2), ("nu", 1e-4))
    }
    options.folder.mkdir()
    try:
        with Checkpoints(options.folder, keep=1) as checkpoints:
            for step in range(options.rounds + 1):
                sums[:], begin = 0, now()
                checkpoints.save(step, state, Place())
                checkpoints.wait()
                whole = now() - begin
                if step:  # the first also makes threads and folders
                    for kind, all_of_it, part in zip(KINDS, whole, sums, strict=True):
                        share = 100 * part / all_of_it
                        print(f"{kind}: {all_of_it:.2f} s, checksums {part:.2f} s ({share:.1f} %)")
    finally:
        shutil.rmtree(options.folder)


def now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    main()
