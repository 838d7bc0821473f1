"""`micron-jax visualize`: what moved between two frames, and when in a video."""

import argparse
import math
import sys

from micron_jax.errors import printable
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import add_inputs, read_inputs
from micron_jax.programs.output import print_notes, print_reasons
from micron_jax.programs.stopping import writing_whole
from micron_jax.video.file_notes import FileNotes

MAP_KINDS = ("motion", "moved", "symmetric", "cosine", "release")

EXAMPLES = """
  micron-jax visualize --input clip.mp4 --output looks/clip
  micron-jax visualize --checkpoint runs/demo --input clip.mp4 --output looks/clip
  micron-jax visualize --checkpoint runs/demo --input apex.jpg onset.jpg --output looks/pair
  micron-jax visualize --checkpoint RELEASE.pth --set casme2 --data-dir DIR --clip sub01/EP02_01f \\
      --output looks/EP02_01f

Of two images, or a clip of two frames: pair.png, flicker.png, pair.npz. Of a longer clip:
timeline.png, moments.png, top_moment.png, flicker.png, annotated.mp4, energy.csv, intervals.csv,
timeline.npz. flicker.png is animated: browsers show the two frames in turn, and the motion 5 times
as large. The intervals are candidates that a person should look at: blinks and words are among
them.
"""


def main(argv: list[str]) -> int:
    parser = Arguments(
        "micron-jax visualize",
        "Maps of a pair of frames, or the energy of the micro-attention over a "
        "clip with candidate micro-expressions marked. Frames are registered first.",
        EXAMPLES,
    )
    parser.option("--checkpoint")
    add_inputs(parser)
    parser.option("--output")
    parser.option(
        "--map",
        "kind of heat map (default: motion if the checkpoint was trained on known motion; "
        "otherwise symmetric for a pair, cosine for a clip)",
        choices=MAP_KINDS,
    )
    parser.option(
        "--details",
        "figures of pairs also show Patch of Interest, CLS attention and reconstruction",
        action="store_true",
    )
    parser.option("--heat", argparse.SUPPRESS, choices=MAP_KINDS)
    options = parser.parse_args(argv)
    if options.heat:
        print("micron-jax: --heat is now --map; the old name goes away", file=sys.stderr)
        options.map = options.map or options.heat

    import micron_jax
    from micron_jax.video.timing import ASSUMED_FPS
    from micron_jax.visualization.folder import visualize
    from micron_jax.visualization.pairs import PairView

    notes = FileNotes()
    clips = read_inputs(options, notes)
    with writing_whole(options.output):
        model = micron_jax.load(options.checkpoint)
        settings = dict(crop=options.crop, kind=options.map, details=options.details)
        view = visualize(model, clips, options.output, **settings)
    print(f"to look at: {options.output}")
    print_notes(notes.entries())
    if isinstance(view, PairView):
        if view.registration.refused:
            print(f"the frames are not registered: {view.registration.refused}")
        return 0
    if clips[0].fps is None:
        print(f"the files tell no frame rate: {ASSUMED_FPS:g} a second taken (--fps)")
    print(f"frames: {len(view.numbers):,}, candidates: {len(view.intervals)}")
    for rank, interval in enumerate(view.intervals[:5], 1):
        begin, apex, end = view.seconds[interval.frames]
        part = f"{interval.part}, " if interval.part else ""
        sure = f"probability {interval.confidence:.2f}"
        if math.isnan(interval.confidence):
            sure = f"{interval.strength:.1f} standard deviations"
        print(f"  {rank}: {begin:.2f} to {end:.2f} s, apex {apex:.2f} s, {part}{sure}")
    for note in view.notes:
        print(printable(f"note: {note}"))
    print_reasons(
        "dropped frames",
        [{"clip": f"frame {number}", "reason": reason} for number, reason in view.dropped],
    )
    return 0
