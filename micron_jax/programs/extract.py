"""`micron-jax extract`: features of every frame, into one file."""

import argparse
from pathlib import Path

from micron_jax.programs import Arguments, print_reasons

EXAMPLES = """
  micron-jax extract --checkpoint runs/demo --input clip.mp4 --output clip.npz
  micron-jax extract --checkpoint RELEASE.pth --input photos/ --stills --output photos.npz
  micron-jax extract --checkpoint runs/demo --set casme2 --data-dir DIR --what cls,dma --delta 12 \\
      --output casme2.array_record

Started again, the same command goes on where it was. Of FILE.npz, numpy.load tells the contents:
tokens [rows, patches, dim], cls and pooled [rows, dim], clip, frame and seconds [rows], clip_name
and clip_fps [clips], dma [pairs, patches, dim] and dma_rows [pairs, 2].
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        prog="micron-jax extract",
        description="Features of images, folders, videos or a built set, frame by frame.",
        examples=EXAMPLES,
    )
    add_inputs(parser)
    parser.add_argument(
        "--output", required=True, type=Path, help="FILE.npz, or a folder NAME.array_record"
    )
    parser.add_argument(
        "--what",
        default="cls,pooled",
        help="some of tokens, cls, pooled (mean of the tokens), dma (P_dma of the frames t and "
        "t + delta), with commas (%(default)s)",
    )
    for option, default, text in (
        ("--delta", 1, "frames between the two of a pair, for dma (%(default)s)"),
        ("--batch", 32, "frames at a time, over all devices (%(default)s)"),
    ):
        parser.add_argument(option, type=int, default=default, help=text)
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the computation; float32 is written (%(default)s)",
    )
    parser.add_argument(
        "--stills",
        action="store_true",
        help="images in a folder are photographs, each with its own crop, not frames of a clip",
    )
    options = parser.parse_args(argv)

    from micron_jax.checkpoints import load
    from micron_jax.extraction.run import extract

    clips = inputs(options, stills=options.stills)
    about = extract(
        load.read(options.checkpoint),
        clips,
        options.output,
        what=tuple(options.what.split(",")),
        delta=options.delta,
        crop=options.crop,
        dtype=options.dtype,
        batch=options.batch,
    )
    print(f"features: {options.output}")
    print(f"clips: {len(about['clips']):,}, frames: {about['rows']:,}", end="")
    print(f" (of these just now: {about['fresh']:,})", end="")
    print(f", pairs: {about['pairs']:,}" if "dma" in about["settings"]["what"] else "")
    if about["timed"] > 0:
        rate = about["timed"] / about["seconds"]
        print(f"speed: {rate:,.1f} frames/s, after the first batch")
    print_reasons("skipped", about["skipped"])
    dropped = [
        {"clip": entry["clip"], "reason": f"frame {entry['frame']}: {entry['reason']}"}
        for entry in about["dropped"]
    ]
    print_reasons("dropped frames", dropped)
    return 0


def add_inputs(parser: Arguments) -> None:
    """The options that say what is read, which `extract` and `visualize` share."""
    parser.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        metavar="CKPT",
        help="a run's workdir, what `convert` wrote, or a .pth of the release",
    )
    parser.add_argument(
        "--input", nargs="+", type=Path, metavar="PATH", help="images, folders, videos"
    )
    parser.add_argument("--set", metavar="NAME", help="instead: a built set, as casme2")
    parser.add_argument("--data-dir", type=Path, help="of --set: folder of the built sets")
    parser.add_argument("--clip", metavar="CLIP", help="of --set: one clip, as sub01/EP02_01f")
    parser.add_argument(
        "--crop",
        choices=("face", "whole"),
        default="face",
        help="face: aligned, brow to chin, one crop a clip, and clips without a face are skipped; "
        "whole: the frame as it is, resized to a square as the release reads it (%(default)s)",
    )
    parser.add_argument("--fps", type=float, help="frames per second of image folders")


def inputs(options: argparse.Namespace, *, stills: bool = False) -> list:
    """The clips that the options of `add_inputs` name.

    Raises:
      UserError: they name none, contradict each other, or cannot be read.
    """
    from micron_jax.errors import UserError
    from micron_jax.faces.inputs import find_in_set, find_inputs

    if bool(options.input) == bool(options.set):
        raise UserError("give --input PATH ..., or --set NAME --data-dir DIR")
    if options.fps is not None and not 1 <= options.fps <= 2000:
        raise UserError(f"--fps {options.fps:g}: needed is 1 to 2000")
    if not options.set:
        for option in ("data_dir", "clip"):
            if getattr(options, option) is not None:
                raise UserError(f"--{option.replace('_', '-')} goes with --set")
        return find_inputs(options.input, stills=stills, fps=options.fps)
    if options.data_dir is None:
        raise UserError("--set goes with --data-dir")
    return find_in_set(options.data_dir, options.set, options.clip)
