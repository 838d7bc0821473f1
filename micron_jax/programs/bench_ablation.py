"""`micron-jax bench ablation`: the words of the command, and its table."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs import write_json

TEXT = "what each part of the network and its objective brings, row by row"
PX = ("0.5", "1", "2")
EXAMPLES = """
  micron-jax bench ablation --corpus corpus --data-dir test --labeled-dir labeled \\
      --workdir runs/ablation --seeds 3 --json ablation.json
"""


def add(kinds) -> None:
    """Adds the command to those of `micron-jax bench`."""
    parser = kinds.add_parser("ablation", help=TEXT, description=TEXT, examples=EXAMPLES)
    parser.add_argument("--config", default="ablation", help="rows and settings (%(default)s)")
    for option, text in (
        ("--workdir", "every row and seed is trained there, or goes on"),
        ("--corpus", "where `data build frames` put the unlabeled frames"),
        ("--labeled-dir", "where `data build casme2` put a set of `data synth`"),
    ):
        parser.add_argument(option, type=Path, required=True, help=text)
    parser.add_argument(
        "--data-dir",
        type=Path,
        nargs="+",
        required=True,
        help="sets that `data synth` made, whose test people the motion is looked for in",
    )
    parser.add_argument("--seeds", type=int, default=3, help="of every row (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there as well")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.seeds < 1:
        raise UserError(f"--seeds {options.seeds}: needed is 1 or more")
    if options.json and (options.json.is_dir() or not options.json.parent.is_dir()):
        raise UserError(f"--json {options.json}: name a file in a folder that exists")

    from micron_jax import config as configs
    from micron_jax.benchmarks import ablation

    report = ablation.run(
        configs.load(options.config),
        options.workdir,
        corpus=options.corpus,
        folders=options.data_dir,
        labeled=options.labeled_dir,
        seeds=options.seeds,
    )
    if isinstance(report, int):
        return report
    print("\n".join(table(report, options.seeds)))
    if options.json:
        write_json(options.json, report)
    return 0


def table(report: dict, seeds: int) -> list[str]:
    """What is printed of a report of `ablation.run`, in Markdown."""
    lines = [
        f"{report['people']} people, {report['clips']} clips; {report['steps']} steps, "
        f"{seeds} seeds; stratified AUC at 0.5, 1, 2 px; UF1 of one subject left out",
        "",
        "| | read-out | 0.5 px | 1 px | 2 px | false positives | UF1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        low, high = row["intervals"]["uf1"] if row["intervals"] else (None, None)
        judged = f"{row['uf1']:.3f}" + (f" ({low:.3f}-{high:.3f})" if low is not None else "")
        for number, (kind, of) in enumerate(row["readouts"].items()):
            cells = [row["name"] if not number else "", kind]
            cells += [_number(of[px]["stratified"]) for px in PX]
            wrong = of["false_positives"]
            cells += ["-" if wrong is None else f"{100 * wrong:.1f} %", "" if number else judged]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
