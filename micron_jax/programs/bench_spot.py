"""`micron-jax bench spot`: the words of the command, and its table."""

import argparse
from pathlib import Path

from micron_jax.programs.arguments import add_command
from micron_jax.programs.options import number
from micron_jax.programs.output import decimals, print_reasons, print_report
from micron_jax.programs.stopping import keeping

TEXT = "measure how well micro-expressions are found in films with inserted ones"
EXAMPLES = """
  micron-jax data synth --films VAL --output val --split val --clips 2
  micron-jax data synth --films TEST --output test --split test --clips 2
  micron-jax bench spot --fit-dir val --data-dir test --workdir runs/spot --json spotting.json

Fits the confidence of `micron-jax spot` on the people of --fit-dir, which --confidence reads.
"""


def add(kinds) -> None:
    """Adds the command to those of `micron-jax bench`."""
    parser = add_command(kinds, "spot", TEXT, EXAMPLES, _run)
    parser.option("--checkpoint")
    parser.option(
        "--fit-dir",
        "set on whose people the confidence is fitted",
        type=Path,
        metavar="DIR",
        required=True,
    )
    parser.option("--data-dir", "set whose films are judged", required=True)
    parser.option("--workdir", "keeps what is searched; the same command goes on")
    parser.option(
        "--alarms-per-minute",
        "false alarms at which methods are compared",
        type=number(float, above=0, at_most=1e4),
        default=2.0,
    )
    parser.option("--json")


def _run(options: argparse.Namespace) -> int:
    from micron_jax.benchmarks.spotting import measure
    from micron_jax.checkpoints import load
    from micron_jax.checkpoints.weights import digest
    from micron_jax.pretrained import MicronBert

    weights = load.read(options.checkpoint)
    with keeping("films that are searched"):
        report = measure(
            MicronBert(weights), digest(weights.params), options.fit_dir, options.data_dir,
            options.workdir, options.alarms_per_minute,
        )  # fmt: skip
    print_report(_lines(report), report, options.json)
    print_reasons("not searched", report["unsearched"])
    return 0


def _lines(report: dict) -> list[str]:
    counts = f"{report['films']:,} films of {report['people']:,} people"
    counts += f", {report['minutes']:.1f} minutes, {report['expressions']:,} inserted expressions"
    head = f"{counts}; at {report['alarms_per_minute']:g} false alarms a minute on other people:"
    lines = [head, "| | F1 (95 % over people) | precision | recall | false alarms a minute |"]
    lines.append("|---|---|---|---|---|")
    for name, one in report["methods"].items():
        low, high = one["interval"] or (None, None)
        f1 = f"{decimals(one['f1'])} ({decimals(low)}-{decimals(high)})"
        rest = f"{decimals(one['precision'])} | {decimals(one['recall'])}"
        lines.append(f"| {name} | {f1} | {rest} | {one['false_alarms_per_minute']:.2f} |")
    for name, one in report["methods"].items():
        found = ", ".join(f"{px} px {share:.0%}" for px, share in one["found"].items())
        kinds = ", ".join(f"{kind} {count:.1f}" for kind, count in one["alarms_by_kind"].items())
        lines.append(f"{name}: found of {found}; false alarms a minute: {kinds}")
    return lines
