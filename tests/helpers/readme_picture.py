"""The picture of the README: the output of `visualize` for a drawn face whose brows rise.

    python tests/helpers/readme_picture.py [--checkpoint CKPT]

Without a checkpoint the demo's network has random weights.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cv2
import jax
import numpy as np
from PIL import Image

from micron_jax import checkpoints
from micron_jax import config as configs
from micron_jax.checkpoints.weights import Weights
from micron_jax.cli import main
from micron_jax.training.config import parse
from micron_jax.training.state import init_params

PICTURE = Path(__file__).parents[1] / "fixtures" / "looking.png"
SURPRISE = 41  # the seed of a clip in which brows rise, and no blink or turn beside


def make(checkpoint: str | None, path: Path = PICTURE) -> None:
    """Writes the picture, by the commands that a user has."""
    from helpers import portrait

    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        checkpoint = checkpoint or write_random_weights(scratch / "chance")
        (scratch / "faces").mkdir()
        cv2.imwrite(str(scratch / "faces" / "drawn.png"), portrait.portrait()[..., ::-1])
        synthetic, output = scratch / "synthetic", scratch / "looks"
        of_one = ("--amplitudes", "3", "--clips", 1, "--seed", SURPRISE)
        command("data", "synth", "--faces", scratch / "faces", "--output", synthetic, *of_one)
        (clip,) = json.loads((synthetic / "truth.json").read_text())["clips"]
        source = synthetic / "CASME2-RAW" / clip["clip"]
        options = ("--input", source, "--fps", 200, "--output", output)
        command("visualize", "--checkpoint", checkpoint, *options)
        join(output / "moments.png", output / "timeline.png", path)


def write_random_weights(path: Path) -> Path:
    settings = ["data.data_dir=none"]
    config = parse(configs.override(configs.load("pretrain_demo"), settings)).model
    params = jax.tree.map(np.asarray, init_params(config, jax.random.key(0)))
    checkpoints.save(Weights(config, params, {}, np.zeros((1, 0), np.float32), {}), path)
    return path


def command(*arguments) -> None:
    if status := main([*map(str, arguments)]):
        sys.exit(status)


def join(upper: Path, lower: Path, path: Path) -> None:
    """One below the other, with fewer colors."""
    one, other = (Image.open(file).convert("RGB") for file in (upper, lower))
    other = other.resize((one.width, round(other.height * one.width / other.width)), Image.LANCZOS)
    both = Image.new("RGB", (one.width, one.height + other.height), "white")
    both.paste(one, (0, 0))
    both.paste(other, (0, one.height))
    # By how far colors lie apart, not by how often they occur: there is little of the map's.
    few = both.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # of `helpers`
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", help="what `micron_jax.load` takes")
    make(parser.parse_args().checkpoint)
