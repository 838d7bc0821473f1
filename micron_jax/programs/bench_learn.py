"""`micron-jax bench learn`: the words of the command, and its table."""

import argparse
from pathlib import Path

from micron_jax.programs.arguments import add_command
from micron_jax.programs.options import SHARED, new_file
from micron_jax.programs.output import decimals, percent, print_report

TEXT = "measure how well a checkpoint finds the motion in clips with known truth"
PX = ("0.5", "1", "2")
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
    parser.option("--data-dir", "sets that `micron-jax data synth` made", **several)
    parser.option(
        "--choose-dir",
        "sets whose val (or train) people the rivals' settings are chosen on (default: those "
        "of --data-dir)",
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

    report, truth, maps = learn.measure(
        options.checkpoint,
        options.data_dir,
        choose=options.choose_dir,
        split=options.split,
        seeds=options.seeds,
    )
    print_report(table(report), report, options.json)
    if options.sheet:
        with writing(options.sheet):
            write_whole(options.sheet, learn_sheet.png(truth, maps))
        print(f"to look at: {options.sheet}")
    return 0


def table(report: dict) -> list[str]:
    """Formats a report of `learn.measure`."""
    lines = [
        f"{report['people']} people ({report['split']}), {report['clips']} clips, of these "
        f"motionless: {report['motionless']}",
        "",
        f"{'':<20}{'stratified AUC (95 % over people)':<57}{'AUC in a clip':<21}"
        f"{'stratified, unseen':<21}false",
        f"{'px':<20}"
        + "".join(f"{px:<19}" for px in PX)
        + 2 * "".join(f"{px:<7}" for px in PX)
        + "positives",
    ]
    for name, scores in report["readouts"].items():
        unseen = "".join(f"{decimals(scores[px]['unseen']['stratified'])}  " for px in PX)
        lines.append(_row(name, scores) + unseen + f"{percent(scores['false_positives']):>9}")
    lines += ["", "without the patches that a blink or a turn of the head moves"]
    for name in ("ours", "flow", "difference", "random"):
        scores = report["readouts"][name]["calm"]
        lines.append(_row(name, scores) + f"{percent(scores['false_positives']):>30}")
    differences = ", ".join(
        f"{px} px {of['difference']:+.3f} ({of['low']:+.3f} to {of['high']:+.3f})"
        for px in PX
        if (of := report["over_flow"][px])["low"] is not None
    )
    lines += ["", f"ours is {report['ours']}, flow {report['chosen']['flow']}"]
    if differences:
        lines.append(f"ours less flow, the same people: {differences}")
    if not report["chosen_on"]:
        lines.append(
            "nobody else to choose on: the rivals have their default settings, and there is no "
            "`location`; --choose-dir names a set with val or train people"
        )
    return lines


def _row(name: str, scores: dict) -> str:
    intervals = "".join(
        f"{decimals(of['stratified'])} ({decimals(of['low'])}-{decimals(of['high'])})  "
        for of in (scores[px] for px in PX)
    )
    return f"{name:<20}{intervals}" + "".join(f"{decimals(scores[px]['auc'])}  " for px in PX)
