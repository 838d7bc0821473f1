"""`micron-jax bench ablation`: the words of the command, and its table."""

import argparse
import functools
import sys
from pathlib import Path

from micron_jax.programs.arguments import add_command
from micron_jax.programs.options import read_recipe
from micron_jax.programs.output import decimals, percent, print_report

TEXT = "measure what each part of the network and its objective brings, row by row"
PX = ("0.5", "1", "2")
EXAMPLES = """
  micron-jax bench ablation --corpus corpus --data-dir test --labeled-dir labeled \\
      --workdir runs/ablation --seeds 3 --json ablation.json
"""


def add(kinds) -> None:
    """Adds the command to those of `micron-jax bench`."""
    parser = add_command(kinds, "ablation", TEXT, EXAMPLES, _run)
    folder = dict(type=Path, metavar="DIR", required=True)
    parser.option("--config", default="ablation", required=False)
    parser.option("--workdir", "folder where every row and seed is trained, or continued")
    text = "folder of the unlabeled corpus that `micron-jax data build frames` built"
    parser.option("--corpus", text, **folder)
    text = "folder where `micron-jax data build casme2` built a set of `micron-jax data synth`"
    parser.option("--labeled-dir", text, **folder)
    text = "sets of `micron-jax data synth`; the motion of their test people is to be found"
    parser.option("--data-dir", text, nargs="+", required=True)
    parser.count("--seeds", 3, "seeds of every row")
    parser.option("--json")


def _run(options: argparse.Namespace) -> int:
    from micron_jax.benchmarks import ablation

    result = ablation.run(
        read_recipe(options, "bench ablation"),
        options.workdir,
        corpus=options.corpus,
        folders=options.data_dir,
        labeled=options.labeled_dir,
        seeds=options.seeds,
        notify=functools.partial(print, flush=True),
    )
    if result.signal:
        print("stopped; the same command goes on", file=sys.stderr)
        return 128 + result.signal
    print_report(table(result.report, options.seeds), result.report, options.json)
    return 0


def table(report: dict, seeds: int) -> list[str]:
    """Formats a report of `ablation.run`, in Markdown."""
    lines = [
        f"{report['people']} people, {report['clips']} clips; {report['steps']} steps, "
        f"{seeds} seeds; stratified AUC at 0.5, 1, 2 px; UF1 of one subject left out",
        "",
        "| | read-out | 0.5 px | 1 px | 2 px | false positives | UF1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        low, high = row["intervals"]["uf1"] if row["intervals"] else (None, None)
        uf1 = f"{row['uf1']:.3f}" + (f" ({low:.3f}-{high:.3f})" if low is not None else "")
        for number, (kind, scores) in enumerate(row["readouts"].items()):
            cells = [row["name"] if not number else "", kind]
            cells += [decimals(scores[px]["stratified"]).strip() for px in PX]
            cells += [percent(scores["false_positives"]), "" if number else uf1]
            lines.append("| " + " | ".join(cells) + " |")
    return lines
