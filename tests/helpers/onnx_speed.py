"""Times an exported ONNX model in ONNX Runtime beside this package, in turns, on this CPU.

micron-jax export micron-tiny features.onnx
python tests/helpers/onnx_speed.py micron-tiny features.onnx --batch 8
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime

import micron_jax


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("program", type=Path)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    about = json.loads(options.program.with_suffix(".json").read_text())
    model, session = micron_jax.load(options.checkpoint), onnxruntime.InferenceSession
    session = session(str(options.program), providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(0)
    frames = {
        array["name"]: noise.integers(0, 256, [options.batch, *array["shape"][1:]], np.uint8)
        for array in about["inputs"]
    }
    ours = model.features if about["what"] == "features" else model.motion_map
    sides = {
        "micron_jax": lambda: np.asarray(ours(*frames.values())),
        "ONNX Runtime": lambda: session.run(None, frames),
    }
    seconds = {name: [] for name in sides}
    for side in sides.values():
        side()  # compiles
    for _ in range(options.rounds):
        for name, side in sides.items():
            begin = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - begin)
    for name, taken in seconds.items():
        best, usual = (options.batch / s for s in (min(taken), statistics.median(taken)))
        print(f"{name}: {best:.1f} frames/s at best, {usual:.1f} in the median")


if __name__ == "__main__":
    main()
