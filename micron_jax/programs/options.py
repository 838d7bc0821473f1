"""The options that several commands have, each declared once."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs.arguments import Arguments, new_file, number

CHECKPOINT = "micron-tiny"  # the weights that come with the package

# Fields that the recipes of one command have and those of the others have not.
OWN_FIELDS = {
    "pretrain": {"views", "objective", "optimizer", "mesh"},
    "finetune": {"protocol", "classifier", "tuning", "split"},
    "bench ablation": {"pretrain", "finetune", "rows"},
}


def add_checkpoint(
    parser: Arguments, *, default: str | None = CHECKPOINT, more: str = "", **settings
) -> None:
    """Adds `--checkpoint`, anything that `micron_jax.load` takes."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=default,
        metavar="CKPT",
        help="micron-tiny (the weights that come with the package), the workdir of a run, what "
        f"`micron-jax convert` wrote, or a .pth of the PyTorch release{more}",
        **settings,
    )


def add_config(parser: Arguments, default: str | None = None) -> None:
    """Adds `--config`, which is required without a default."""
    text = "name of a recipe that comes with the package, or a config file (.py)"
    parser.option("--config", str, "RECIPE", text, default=default, required=default is None)


def add_workdir(parser: Arguments, text: str) -> None:
    """Adds `--workdir`; the text tells what lies there in the end."""
    parser.option("--workdir", Path, "DIR", text, required=True)


def add_output(parser: Arguments, text: str = "folder to make") -> None:
    """Adds `--output`."""
    parser.option("--output", Path, "OUT", text, required=True)


def add_data_dir(parser: Arguments, text: str = "folder of the built sets", **settings) -> None:
    """Adds `--data-dir`."""
    parser.option("--data-dir", settings.pop("type", Path), "DIR", text, **settings)


def add_source(parser: Arguments, text: str) -> None:
    """Adds `--source`."""
    parser.option("--source", Path, "SOURCE", text, required=True)


def add_json(parser: Arguments) -> None:
    """Adds `--json`."""
    parser.option("--json", new_file, "OUT", "also write the numbers there, as JSON")


def add_crop(parser: Arguments) -> None:
    """Adds `--crop`."""
    parser.choice(
        "--crop",
        ("face", "whole", "release"),
        "face: aligned, from brow to chin, one crop for a clip; a clip without a face is "
        "skipped; whole: the whole frame, stretched to a square; release: the same without a "
        "filter, as the PyTorch release reads it",
        type=lambda word: "face" if word == "ours" else word,  # an earlier word of `data faces`
        default="face",
    )


def add_fps(parser: Arguments, default: float | None = None) -> None:
    """Adds `--fps`."""
    rate = number(float, at_least=1, at_most=2000)
    parser.option("--fps", rate, "FPS", "frames per second of folders of images", default=default)


def add_size(parser: Arguments, default: int = 224) -> None:
    """Adds `--size` of crops that are made."""
    side = number(int, at_least=16, at_most=4096)
    parser.option("--size", side, "N", "side of the crops, in pixels", default=default)


def add_count(parser: Arguments, name: str, default: int, text: str, at_least: int = 1) -> None:
    """Adds an option that takes a whole number."""
    parser.option(name, number(int, at_least=at_least), "N", text, default=default)


def add_seconds(parser: Arguments, default: float) -> None:
    """Adds `--seconds` of a measurement."""
    length = number(float, above=0, at_most=1e6)
    text = "length of a turn in seconds, about; one step at least"
    parser.option("--seconds", length, "SECONDS", text, default=default)


def add_inputs(parser: Arguments) -> None:
    """Adds the options that say which clips are read: `--input`, `--set` and those beside them."""
    parser.option("--input", Path, "PATH", "images, folders of images, videos", nargs="+")
    parser.option("--set", str, "NAME", "instead of --input: a built set (casme2)")
    add_data_dir(parser, "of --set: folder of the built sets")
    parser.option("--clip", str, "CLIP", "of --set: one clip (sub01/EP02_01f)")
    add_crop(parser)
    add_fps(parser)


def read_inputs(options: argparse.Namespace, *, stills: bool = False) -> list:
    """The clips that the options of `add_inputs` name.

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
        return find_inputs(options.input, stills=stills, fps=options.fps)
    if options.data_dir is None:
        raise UserError("--set goes with --data-dir")
    return find_in_set(options.data_dir, options.set, options.clip)


def read_recipe(options: argparse.Namespace, command: str, *settings: str) -> dict:
    """The values of `--config`, with the settings of the command line in their place.

    Args:
      options: what `Arguments` has parsed, with `config` and, where it takes them, `settings`.
      command: whose recipe it must be.
      settings: further ones, `FIELD=VALUE`, which the user's own come after.

    Raises:
      UserError: it cannot be read, or it is a recipe of another command.
    """
    from micron_jax import config

    values = config.load(options.config)
    for other, fields in OWN_FIELDS.items():
        if other != command and fields & values.keys() and not OWN_FIELDS[command] & values.keys():
            raise UserError(
                f"--config {options.config}: is a recipe of `micron-jax {other}`; needed is one of "
                f"`micron-jax {command}`"
            )
    return config.override(values, [*settings, *getattr(options, "settings", ())])
