"""The pictures of README and docs, of faces that are drawn: nobody is in them.

    python tests/helpers/doc_pictures.py

`brows.png` is what `visualize` shows of a drawn face whose brows rise, with the truth beside it;
`pretraining.png` is a picture that a pretraining on drawn faces leaves, after minutes.
"""

import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import micron_jax
from micron_jax.cli import main
from micron_jax.video.inputs import find_inputs
from micron_jax.visualization.figures import draw_timeline
from micron_jax.visualization.folder import visualize

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SURPRISE = 41  # the seed of a clip in which brows rise, and no blink or turn beside
FPS = 200
STEP = 600  # of a pretraining in 12 epochs, 1,512 steps
STRIP = (0, 0, 990, 450)  # of its picture: the first two pairs


def draw_brows(path: Path) -> None:
    """Writes the picture of README, by the weights that come with the package."""
    with tempfile.TemporaryDirectory() as scratch:
        synthetic, output = Path(scratch, "synthetic"), Path(scratch, "looks")
        make_clips(
            Path(scratch), synthetic, 1, "--amplitudes", "3", "--clips", 1, "--seed", SURPRISE
        )
        (clip,) = json.loads((synthetic / "truth.json").read_text())["clips"]
        clips = find_inputs([synthetic / "CASME2-RAW" / clip["clip"]], fps=FPS)
        timeline = visualize(micron_jax.load("micron-tiny"), clips, output)
        figure = draw_timeline(timeline)
        axis = figure.axes[0]
        truth = [(clip[name] - 1) / FPS for name in ("onset", "apex", "offset")]
        style = dict(color="tab:green", linewidth=3, label="inserted motion, and its top")
        axis.plot(truth, [0.1] * 3, marker="|", markevery=[1], markersize=12, **style)
        axis.legend(fontsize=8, loc="upper right")
        figure.savefig(output / "with_truth.png", dpi=110, bbox_inches="tight")
        join(output / "moments.png", output / "with_truth.png", path)


def draw_pretraining(path: Path) -> None:
    """Writes the picture of docs/pretraining.md: two pairs of a corpus of drawn faces."""
    with tempfile.TemporaryDirectory() as scratch:
        synthetic, corpus, run = (Path(scratch, name) for name in ("synthetic", "corpus", "run"))
        options = ("--clips", 6, "--seed", 1, "--amplitudes", "2,3,5")
        make_clips(Path(scratch), synthetic, 8, *options)
        built = ("--source", synthetic / "CASME2-RAW", "--data-dir", corpus, "--fps", FPS)
        command("data", "build", "frames", *built, "--crop", "whole", "--size", 112)
        recipe = ("--config", "pretrain_demo", f"--config.data.data_dir={corpus}")
        command("pretrain", *recipe, "--workdir", run)
        reduce(Image.open(run / "pictures" / f"step_{STEP:08}.png").crop(STRIP), path)


def make_clips(scratch: Path, output: Path, people: int, *options) -> None:
    from helpers import portrait

    (scratch / "faces").mkdir()
    for seed in range(people):
        face = portrait.portrait(seed)[..., ::-1]
        cv2.imwrite(str(scratch / "faces" / f"drawn{seed}.png"), face)
    command("data", "synth", "--faces", scratch / "faces", "--output", output, *options)


def command(*arguments) -> None:
    if status := main([*map(str, arguments)]):
        sys.exit(status)


def join(upper: Path, lower: Path, path: Path) -> None:
    """One below the other."""
    one, other = (Image.open(file).convert("RGB") for file in (upper, lower))
    other = other.resize((one.width, round(other.height * one.width / other.width)), Image.LANCZOS)
    reduce(Image.fromarray(np.vstack([one, other])), path)


def reduce(picture: Image.Image, path: Path) -> None:
    """Writes a picture with fewer colors."""
    # By how far colors lie apart, not by how often they occur: there is little of the map's.
    settings = dict(kmeans=3, dither=Image.Dither.NONE)
    picture = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, **settings)
    picture.save(path, optimize=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # of `helpers`
    draw_brows(PICTURES / "brows.png")
    draw_pretraining(PICTURES / "pretraining.png")
