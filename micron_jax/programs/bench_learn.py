"""`micron-jax bench learn`: the words of the command, and its table."""

import argparse
from pathlib import Path

from micron_jax.programs.arguments import add_command
from micron_jax.programs.bench_learn_table import table
from micron_jax.programs.options import SHARED, new_file
from micron_jax.programs.output import print_report

TEXT = "measure how well a checkpoint finds the motion in clips with known truth"
EXAMPLES = """
  micron-jax bench learn --checkpoint runs/demo --data-dir synthetic
  micron-jax bench learn --checkpoint runs/a runs/b --data-dir synthetic --choose-dir others \\
      --sheet maps.png
"""


def add(kinds) -> None:
    """Adds the command to those of `micron-jax bench`."""
    parser = add_command(kinds, "learn", TEXT, EXAMPLES, _run)
    several = dict(nargs="+", required=True)
    text = f"{SHARED['--checkpoint']['help']}; several of one setting (its seeds) are averaged"
    parser.option("--checkpoint", text, default=None, **several)
    text = "sets that `micron-jax data synth` made, of pictures or films"
    parser.option("--data-dir", text, **several)
    parser.option(
        "--choose-dir",
        "sets whose val (or train) people the rivals' settings and the noise floors are chosen on "
        "(default: those of --data-dir)",
        type=Path,
        metavar="DIR",
        nargs="+",
        default=(),
    )
    splits = ("test", "val")
    parser.option("--split", "split whose people are tested", choices=splits, default="test")
    parser.count("--seeds", 3, "seeds of the random weights that are compared with")
    parser.option("--json")
    parser.option(
        "--sheet", "draw example maps there, with faces", type=new_file, metavar="OUT.png"
    )


def _run(options: argparse.Namespace) -> int:
    from micron_jax.benchmarks import learn, learn_sheet
    from micron_jax.files import write_whole, writing

    report, truth, readouts = learn.measure(
        options.checkpoint,
        options.data_dir,
        choose_on=options.choose_dir,
        split=options.split,
        seeds=options.seeds,
    )
    print_report(table(report), report, options.json)
    if options.sheet:
        with writing(options.sheet):
            write_whole(options.sheet, learn_sheet.png(truth, readouts))
        print(f"to look at: {options.sheet}")
    return 0
