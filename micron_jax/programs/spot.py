"""`micron-jax spot`: when micro-expressions happen in films."""

from pathlib import Path

from micron_jax.errors import UserError, printable
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import add_inputs, number, read_inputs
from micron_jax.programs.output import print_notes, print_reasons
from micron_jax.programs.stopping import keeping
from micron_jax.video.file_notes import FileNotes

EXAMPLES = """
  micron-jax spot --input interview.mp4 --output looks/interview
  micron-jax spot --input films/ --output spotted --alarms-per-minute 0.5
  micron-jax evaluate --spotting spotted/detections.csv --truth truth.csv

detections.csv has a row for each candidate: its frames, numbered as in the film from 0, their
seconds, where on the face, how far (px of a face of 224), and the probability that it is a
micro-expression, learned from films into which known ones were inserted. Blinks are of the eyes.
restless.csv has the spans in which the face moves all the time, as it does in speech: what is
smaller there than the px of its row cannot be seen.
Started again, the same command goes on with the films that are left.
"""


def main(argv: list[str]) -> int:
    text = "Candidates of micro-expressions in films, with onset, apex, offset and probability."
    parser = Arguments("micron-jax spot", text, EXAMPLES)
    parser.option("--checkpoint")
    add_inputs(parser)
    parser.option("--output")
    parser.option(
        "--method",
        "what is followed: the network's displacement, or optical flow, which knows nothing",
        choices=("motion", "flow"),
        default="motion",
    )
    parser.option(
        "--alarms-per-minute",
        "false alarms that are borne, as films of talking people have them; sets the lowest "
        "probability of a row",
        type=number(float, above=0, at_most=1e4),
        default=2.0,
    )
    parser.option(
        "--confidence",
        "what `micron-jax bench spot --json` wrote (default: that of micron-tiny)",
        type=Path,
        metavar="FILE",
    )
    options = parser.parse_args(argv)

    from micron_jax.checkpoints import load
    from micron_jax.checkpoints.weights import digest
    from micron_jax.pretrained import MicronBert
    from micron_jax.spotting import confidence
    from micron_jax.spotting.spot_folder import RESTLESS, TABLE, SpotFolder
    from micron_jax.spotting.spotted import film_frames, spot
    from micron_jax.video.timing import ASSUMED_FPS
    from micron_jax.visualization.cropped_clip import crop_clips

    fits = confidence.read(options.confidence)
    notes = FileNotes()
    clips = read_inputs(options, notes)
    weights = load.read(options.checkpoint)
    model = MicronBert(weights)
    if "motion" not in model.map_kinds:
        raise UserError(f"{options.checkpoint}: no displacement branch; micron-tiny has one")
    settings = {
        "checkpoint": digest(weights.params),
        "crop": options.crop,
        "fps": options.fps,
    }
    folder, skipped = SpotFolder(options.output, settings), []
    with keeping("films that are searched"):
        for clip in clips:
            if folder.has(clip.name, clip.facts):
                continue
            try:
                cropped = crop_clips([clip], options.crop, model.config.img_size)[0]
                fps = clip.fps or ASSUMED_FPS
                results = spot(
                    model,
                    film_frames(cropped),
                    fps=fps,
                    faces=options.crop == "face",
                    methods=confidence.METHODS,
                )
            except UserError as error:
                reason = str(error).removeprefix(f"{clip.name}: ")
                skipped.append({"clip": clip.name, "reason": reason})
                continue
            folder.add(clip.name, clip.facts, *results)
    if len(skipped) == len(clips):
        raise UserError(f"{skipped[0]['clip']}: {skipped[0]['reason']}")
    fit = fits[options.method]
    least = fit.threshold(options.alarms_per_minute)
    # A film of the same name that was searched before may have been another one.
    names = [clip.name for clip in clips if folder.has(clip.name, clip.facts)]
    rows = folder.write(names, options.method, fit, least)
    print(f"detections: {options.output / TABLE}")
    print(f"where the face never rests: {options.output / RESTLESS}")
    print(f"films: {len(names):,}, detections: {rows:,}, of {least:.2f} or more")
    for name in names:
        for note in folder.notes(name):
            print(printable(f"note: {name}: {note}"))
    print_reasons("skipped", skipped)
    print_notes(notes.entries())
    return 0
