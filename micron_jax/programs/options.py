"""The options that several commands have, each declared once, and the types of options."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from micron_jax.errors import UserError
from micron_jax.video.file_notes import FileNotes

# Fields that the recipes of one command have and those of the others have not.
OWN_FIELDS = {
    "pretrain": {"views", "objective", "optimizer", "mesh"},
    "finetune": {"protocol", "classifier", "tuning", "split"},
    "bench ablation": {"pretrain", "finetune", "rows"},
}


def number(
    kind: type, *, at_least: float = -math.inf, above: float = -math.inf, at_most: float = math.inf
) -> Callable[[str], Any]:
    """The `type=` of an option that takes a number between bounds."""

    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            whole = "whole " if kind is int else ""
            raise argparse.ArgumentTypeError(f"{text!r} is no {whole}number") from None
        if not (at_least <= value <= at_most and above < value):
            low = f"more than {above:g}" if above > -math.inf else f"at least {at_least:g}"
            high = f", and at most {at_most:g}" if at_most < math.inf else ""
            raise argparse.ArgumentTypeError(f"{text}: must be {low}{high}")
        return value

    return parse


def new_file(text: str) -> Path:
    """The `type=` of an option that names a file to be written; its folder must be there."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: name a file in a folder that exists")
    return path


# Settings of `add_argument`; a command may change some.
SHARED: dict[str, dict[str, Any]] = {
    "--checkpoint": dict(
        type=Path,
        default="micron-tiny",
        metavar="CKPT",
        help="micron-tiny (the weights that come with the package), the workdir of a run, what "
        "`micron-jax convert` wrote, or a .pth of the PyTorch release",
    ),
    "--config": dict(
        metavar="RECIPE",
        help="name of a recipe that comes with the package, or a config file (.py)",
        required=True,
    ),
    "--crop": dict(
        choices=("face", "whole", "release"),
        type=lambda word: "face" if word == "ours" else word,  # an earlier word of `data faces`
        default="face",
        help="face: aligned, from brow to chin, one crop for a clip; a clip without a face is "
        "skipped; whole: the whole frame, stretched to a square; release: the same without a "
        "filter, as the PyTorch release reads it",
    ),
    "--data-dir": dict(type=Path, metavar="DIR", help="folder of the built sets"),
    "--faces": dict(
        type=Path, help="folder of pictures; each face becomes a person", required=True
    ),
    "--fps": dict(
        type=number(float, at_least=1, at_most=2000),
        help="frames per second of folders of images, and of films in place of their own times",
    ),
    "--json": dict(type=new_file, metavar="OUT", help="also write the numbers there, as JSON"),
    "--keep": dict(default="clip", help="clip: all frames; pair: onset and apex"),
    "--output": dict(type=Path, metavar="OUT", help="folder to make", required=True),
    "--seconds": dict(
        type=number(float, above=0, at_most=1e6),
        help="length of a turn in seconds, about; one step at least",
    ),
    "--size": dict(
        type=number(int, at_least=16, at_most=4096),
        metavar="N",
        help="side of the crops, in pixels",
        default=224,
    ),
    "--source": dict(type=Path, required=True),
    "--workdir": dict(type=Path, metavar="DIR", required=True),
}


def add_inputs(parser) -> None:
    """Adds the options that say which clips are read: `--input`, `--set` and those beside them."""
    parser.option(
        "--input", "images, folders of images, videos", type=Path, metavar="PATH", nargs="+"
    )
    parser.option("--set", "instead of --input: a built set (casme2)", metavar="NAME")
    parser.option("--data-dir", "of --set: folder of the built sets")
    parser.option("--clip", "of --set: one clip (sub01/EP02_01f)")
    parser.option("--crop")
    parser.option("--fps")


def read_inputs(
    options: argparse.Namespace, notes: FileNotes | None = None, *, stills: bool = False
) -> list:
    """Returns the clips that the options of `add_inputs` name.

    Args:
      notes: gets the files in folders that are not read.

    Raises:
      UserError: they name none, contradict each other, or cannot be read.
    """
    from micron_jax.datasets.inputs import find_in_set
    from micron_jax.video.inputs import find_inputs

    if bool(options.input) == bool(options.set):
        raise UserError("give --input PATH ..., or --set NAME --data-dir DIR")
    if options.input:
        for option, value in (("--data-dir", options.data_dir), ("--clip", options.clip)):
            if value is not None:
                raise UserError(f"{option} goes with --set")
        return find_inputs(options.input, stills=stills, fps=options.fps, notes=notes)
    if options.data_dir is None:
        raise UserError("--set goes with --data-dir")
    return find_in_set(options.data_dir, options.set, options.clip)


def read_recipe(options: argparse.Namespace, command: str, *settings: str) -> dict:
    """Returns the values of `--config`, with `settings` and then the user's own in their place.

    Raises:
      UserError: it cannot be read, or it is a recipe of another command than `command`.
    """
    from micron_jax import config

    values = config.load(options.config)
    owners = [owner for owner, fields in OWN_FIELDS.items() if fields & values.keys()]
    if owners and command not in owners:
        raise UserError(
            f"--config {options.config}: a recipe of `micron-jax {owners[0]}`; "
            f"give one of `micron-jax {command}`"
        )
    return config.override(values, [*settings, *getattr(options, "settings", ())])
