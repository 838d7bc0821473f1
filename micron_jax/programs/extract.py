"""`micron-jax extract`: features of every frame, into one file."""

from micron_jax.errors import UserError
from micron_jax.programs.arguments import Arguments, values_of
from micron_jax.programs.options import add_inputs, number, read_inputs
from micron_jax.programs.output import print_notes, print_reasons
from micron_jax.programs.stopping import keeping
from micron_jax.video.file_notes import FileNotes

EXAMPLES = """
  micron-jax extract --input clip.mp4 --output clip.npz
  micron-jax extract --checkpoint runs/demo --input clip.mp4 --output clip.npz
  micron-jax extract --checkpoint RELEASE.pth --input photos/ --stills --output photos.npz
  micron-jax extract --checkpoint runs/demo --set casme2 --data-dir DIR --what cls,dma --delta 12 \\
      --output casme2.array_record

Started again, the same command continues. Of FILE.npz, numpy.load tells the contents:
tokens [rows, patches, dim], cls and pooled [rows, dim], clip, frame and seconds [rows], clip_name
and clip_fps [clips], dma [pairs, patches, dim] and dma_rows [pairs, 2].
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax extract",
        "Features of images, folders, videos or a built set, frame by frame.",
        EXAMPLES,
    )
    parser.option("--checkpoint")
    add_inputs(parser)
    parser.option("--output", "FILE.npz, or a folder NAME.array_record")
    parser.option(
        "--what",
        "some of tokens, cls, pooled (the mean of the tokens) and dma (P_dma of the frames t "
        "and t + delta), with commas between",
        default="cls,pooled",
    )
    parser.count(
        "--delta", None, "of dma: the second frame of a pair comes N frames later; without: 1"
    )
    parser.option(
        "--delta-seconds",
        "in place of --delta: the second frame comes so much later, by the frames' own times",
        type=number(float, above=0, at_most=10),
        metavar="S",
    )
    parser.count("--batch", 32, "frames in a batch, over all devices")
    parser.option(
        "--dtype",
        "precision of the computation; what is written is float32",
        choices=("float32", "bfloat16"),
        default="float32",
    )
    parser.flag(
        "--stills",
        "the images of a folder are photographs, each with its own crop, not frames of a clip",
    )
    options = parser.parse_args(argv)
    if options.delta and options.delta_seconds:
        raise UserError("--delta and --delta-seconds say the same: give one of them")

    from micron_jax.checkpoints import load
    from micron_jax.extraction.extract_features import extract

    notes = FileNotes()
    clips = read_inputs(options, notes, stills=options.stills)
    with keeping("features that are written"):
        about = extract(
            load.read(options.checkpoint),
            clips,
            options.output,
            what=tuple(options.what.split(",")),
            delta=options.delta or 1,
            **values_of(options, "delta_seconds", "crop", "dtype", "batch"),
        )
    print(f"features: {options.output}")
    pairs = f", pairs: {about['pairs']:,}" if "dma" in about["settings"]["what"] else ""
    if pairs and about.get("pair_seconds"):
        pairs += ", {:.3f} to {:.3f} s apart".format(*about["pair_seconds"])
    frames = f"frames: {about['rows']:,} (of these just now: {about['fresh']:,})"
    print(f"clips: {len(about['clips']):,}, {frames}{pairs}")
    if about["timed"] > 0:
        print(f"speed: {about['timed'] / about['seconds']:,.1f} frames/s, after the first batch")
    if unknown := sum(clip.fps is None and clip.count > 1 for clip in clips):
        print(f"clips whose files tell no frame rate: {unknown:,}; seconds are unknown (--fps)")
    print_reasons("skipped", about["skipped"])
    print_reasons("clips that give no pair", about.get("pairless", []))
    print_reasons("clips in which nothing changes", about.get("identical", []))
    print_notes(notes.entries())
    dropped = [
        {"clip": entry["clip"], "reason": f"frame {entry['frame']}: {entry['reason']}"}
        for entry in about["dropped"]
    ]
    print_reasons("dropped frames", dropped)
    return 0
