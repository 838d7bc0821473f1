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
    parser.option(
        "--classifier",
        "a checkpoint of `finetune`, which names the class of each candidate (column label)",
        metavar="CKPT",
    )
    return run(parser.parse_args(argv))


def run(options) -> int:
    """Searches films by the options of the command, and returns the exit status."""
    from micron_jax import pretrained
    from micron_jax.checkpoints import load
    from micron_jax.checkpoints.weights import digest
    from micron_jax.spotting import confidence
    from micron_jax.spotting.recognition import recognize
    from micron_jax.spotting.spot_folder import RESTLESS, TABLE, SpotFolder
    from micron_jax.spotting.spotted import likely

    fit = confidence.read(options.confidence)[options.method]
    notes = FileNotes()
    clips = read_inputs(options, notes)
    weights = load.read(options.checkpoint)
    model = pretrained.MicronBert(weights)
    if "motion" not in model.map_kinds:
        raise UserError(f"{options.checkpoint}: no displacement branch; micron-tiny has one")
    classifier = pretrained.load(options.classifier) if options.classifier else None
    if classifier and classifier.classifier is None:
        raise UserError(f"{options.classifier}: no classifier; `micron-jax finetune` makes one")
    settings = {
        "checkpoint": digest(weights.params),
        "crop": options.crop,
        "fps": options.fps,
    }
    folder = SpotFolder(options.output, settings)
    with keeping("films that are searched"):
        skipped = _search(model, folder, clips, options)
        if len(skipped) == len(clips):
            raise UserError(f"{skipped[0]['clip']}: {skipped[0]['reason']}")
        least, films = fit.threshold(options.alarms_per_minute), {}
        for clip in clips:
            # A film of the same name that was searched before may have been another one.
            if not folder.has(clip.name, clip.facts, options.method):
                continue
            rows = likely(folder.found(clip.name, options.method), fit, least)
            if classifier:
                classes = recognize(classifier, clip, rows)
                rows = [one | {"label": each} for one, each in zip(rows, classes, strict=True)]
            films[clip.name] = rows
        folder.write(films)
    print(f"detections: {options.output / TABLE}")
    print(f"where the face never rests: {options.output / RESTLESS}")
    count = sum(map(len, films.values()))
    print(f"films: {len(films):,}, detections: {count:,}, of {least:.2f} or more")
    for name in films:
        for note in folder.notes(name):
            print(printable(f"note: {name}: {note}"))
    print_reasons("skipped", skipped)
    print_notes(notes.entries())
    return 0


def _search(model, folder, clips: list, options) -> list[dict]:
    """Searches the films that the folder has not, and returns those that cannot be searched."""
    from micron_jax.spotting.spotted import search
    from micron_jax.video.timing import ASSUMED_FPS

    skipped, settings = [], {"crop": options.crop, "methods": (options.method,)}
    for clip in clips:
        if folder.has(clip.name, clip.facts, options.method):
            continue
        try:
            results = search(model, clip, fps=clip.fps or ASSUMED_FPS, **settings)
        except UserError as error:
            reason = str(error).removeprefix(f"{clip.name}: ")
            skipped.append({"clip": clip.name, "reason": reason})
            continue
        folder.add(clip.name, clip.facts, *results)
    return skipped
