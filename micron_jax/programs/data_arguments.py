"""The options of `micron-jax data`."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from micron_jax.datasets.clips import KEEPS
from micron_jax.programs import Arguments

DESCRIPTION = "Build data sets, list and check them, crop faces, make a set with known truth."

BUILD = """
  micron-jax data build frames --source FOLDER --data-dir DIR
  micron-jax data build frames --source clips.csv --data-dir DIR --crop whole --exclude seen.json
  micron-jax data build casme2 --source FOLDER_AS_UNPACKED --data-dir DIR
"""
CHECK = """
  micron-jax data check frames --data-dir DIR
  micron-jax data check casme2 --data-dir DIR --corpus DIR --json seen.json
"""
SYNTH = """
  micron-jax data synth --faces FOLDER --output synthetic
  micron-jax data synth --faces FOLDER --output still --amplitudes 0.5,1,2 --split test --keep pair
"""


def arguments(datasets: Iterable[str]) -> Arguments:
    """The parser; `command` of what it gives is one of the subcommands."""
    parser = Arguments(
        prog="micron-jax data",
        description=DESCRIPTION,
        examples="  micron-jax data list\n  micron-jax data build --help",
    )
    commands = parser.add_subparsers(
        required=True, dest="command", metavar="(list | build | check | faces | stills | synth)"
    )

    lister = commands.add_parser(
        "list",
        help="the data sets we can build, and what is built",
        examples="  micron-jax data list casme2\n  micron-jax data list --data-dir DIR",
    )
    lister.add_argument("name", nargs="?", help="a benchmark: where to ask for it, where to put it")
    lister.add_argument("--data-dir", type=Path, help="look here for what is built")

    builder = commands.add_parser("build", help="build a data set", examples=BUILD)
    builder.add_argument("name", help=f"one of: {', '.join(datasets)}")
    for option, kind, default, text in (
        (
            "--source",
            Path,
            None,
            "frames: folder of videos or image folders, or a list of clips (.csv with columns path "
            "and, as wanted, first, last, fps, name); benchmark: the folder as unpacked",
        ),
        ("--data-dir", str, None, "folder of the built sets"),
        ("--size", int, 224, "frames: side of the crops, in pixels (%(default)s)"),
        ("--fps", float, 30.0, "frames: rate of image folders (%(default)s)"),
        ("--quality", int, 95, "frames: of the stored JPEGs, 1 to 100 (%(default)s)"),
    ):
        required = default is None
        builder.add_argument(option, type=kind, default=default, required=required, help=text)
    builder.add_argument(
        "--crop",
        choices=("face", "whole"),
        default="face",
        help="frames: face, aligned, brow to chin; whole: all of each frame, resized, for sources "
        "that are crops of faces already (%(default)s)",
    )
    builder.add_argument(
        "--exclude",
        type=Path,
        metavar="FILE",
        help="frames: clips to leave out: what data check NAME --corpus DIR --json wrote, or a "
        "text of one clip or pattern (*/depth) a line",
    )
    builder.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="frames: processes (%(default)s)"
    )
    builder.add_argument(
        "--beam_pipeline_options",
        metavar="OPTION=VALUE,...",
        help="frames: let Apache Beam build it, instead: runner=DirectRunner, or "
        "runner=DataflowRunner,project=P,region=R,temp_location=gs://B/tmp, ...",
    )
    builder.add_argument("--json", type=Path, metavar="OUT", help="frames: write the report there")
    for option, text in (
        ("--sheet", "benchmark: the workbook, where several fit"),
        ("--frames", "benchmark: the folder of frames, where several fit (raw, cropped)"),
    ):
        builder.add_argument(option, type=Path, help=text)
    builder.add_argument(
        "--keep", choices=KEEPS, default="clip", help="benchmark: all frames, or onset and apex"
    )
    builder.add_argument(
        "--strict", action="store_true", help="benchmark: refuse rows that cannot be used"
    )

    checker = commands.add_parser(
        "check", help="what a built set holds, and what is wrong with it", examples=CHECK
    )
    checker.add_argument("name", help="a built set: frames, casme2, samm, smic_hs, casme3, ...")
    checker.add_argument("--data-dir", type=Path, required=True, help="folder of the built sets")
    checker.add_argument(
        "--sample",
        type=_sample,
        default="200000",
        metavar="(N | all)",
        help="frames: how many of a corpus to decode (%(default)s)",
    )
    checker.add_argument("--json", type=Path, metavar="OUT", help="write the report there as well")
    checker.add_argument("--protocol", metavar="P", help="compare with this one's counts only")
    checker.add_argument(
        "--corpus",
        type=Path,
        metavar="DIR",
        help="look for the benchmark's subjects in the unlabeled corpus (`frames`) built there",
    )

    text = "crop the face out of every clip: one crop a clip, held, as a folder of JPEGs"
    cropper = commands.add_parser(
        "faces",
        help=text,
        description=text,
        examples="  micron-jax data faces --source FOLDER --output faces --sheet",
    )
    for option, kind, default, text in (
        ("--source", Path, None, "folder of videos or image folders"),
        ("--output", Path, None, "folder to be made, or gone on with"),
        ("--size", int, 224, "side of the crops, in pixels (%(default)s)"),
    ):
        required = default is None
        cropper.add_argument(option, type=kind, default=default, required=required, help=text)
    cropper.add_argument(
        "--crop",
        choices=("ours", "release"),
        default="ours",
        help="ours: aligned, brow to chin; release: the whole frame, resized to a square as the "
        "PyTorch release reads it (%(default)s)",
    )
    cropper.add_argument("--sheet", action="store_true", help="make contact_sheet.png, too")

    text = "crop every face of every picture: clips of a still, for a corpus without video"
    stills = commands.add_parser(
        "stills",
        help=text,
        description=text,
        examples="  micron-jax data stills --faces FOLDER --output stills",
    )
    for option, kind, default, text in (
        ("--faces", Path, None, "folder of pictures"),
        ("--output", Path, None, "folder to be made"),
        ("--size", int, 448, "side of the crops, in pixels (%(default)s)"),
    ):
        required = default is None
        stills.add_argument(option, type=kind, default=default, required=required, help=text)

    text = "make a data set with known truth, laid out as CASME II's, from pictures of faces"
    synth = commands.add_parser("synth", help=text, description=text, examples=SYNTH)
    for option, kind, default, text in (
        ("--faces", Path, None, "folder of pictures, each face of which becomes a person"),
        ("--output", Path, None, "folder to be made"),
        ("--clips", int, 8, "of each person (%(default)s)"),
        ("--seed", int, 0, "same seed, same bytes (%(default)s)"),
    ):
        required = default is None
        synth.add_argument(option, type=kind, default=default, required=required, help=text)
    synth.add_argument("--subjects", type=int, help="how many people (all there are)")
    synth.add_argument(
        "--amplitudes",
        type=_amplitudes,
        default=(),
        metavar="PX,...",
        help="an expression moves the face by one of these at most (any from 0.5 to 3 px)",
    )
    synth.add_argument(
        "--split", choices=("train", "val", "test"), help="put everyone there (60/20/20 %%)"
    )
    synth.add_argument(
        "--keep", choices=KEEPS, default="clip", help="write all frames, or onset and apex alone"
    )
    return parser


def _sample(text: str) -> int | None:
    """A number of frames; None: all."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: needed is 1 or more, or `all`")
    return int(text)


def _amplitudes(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: needed are numbers, as 0.5,1,2") from None
