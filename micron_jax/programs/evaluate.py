"""`micron-jax evaluate`: UF1, UAR and a report, from predictions of ours or of anyone."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs import Arguments, write_json

EXAMPLES = """
  micron-jax evaluate runs/casme2_5
  micron-jax evaluate theirs.csv --protocol casme2_5 --report report --json theirs.json
  micron-jax evaluate runs/casme2_5 --against theirs.csv

JSON: samples, subjects, uf1, uar, accuracy, per_class, per_set, confusion (row label, column
prediction, in the order of classes), intervals, seeds, and more.
"""


def main(argv: list[str]) -> int:
    options = _arguments().parse_args(argv)
    _check_outputs(options)

    from micron_jax.datasets.protocols import find
    from micron_jax.evaluation.megc import write_log
    from micron_jax.evaluation.predictions import write_csv
    from micron_jax.evaluation.report import write_pages
    from micron_jax.evaluation.report_markdown import lines
    from micron_jax.evaluation.run_files import Run, protocol_of, read_run
    from micron_jax.evaluation.significance import compare
    from micron_jax.evaluation.summary import summarize

    first = options.predictions[0]
    protocol = find(options.protocol) if options.protocol else protocol_of(first)
    predictions = _read(options.predictions, protocol, options.seed)
    others = {path: _read([path], protocol, options.seed, alone=True) for path in options.against}
    summary = summarize(predictions, protocol, resamples=options.resamples)
    if others:
        classes = protocol.classes if protocol else None
        summary["against"] = [
            {"file": str(path)} | compare(predictions, other, classes, resamples=options.resamples)
            for path, other in others.items()
        ]
    run = read_run(first) if len(options.predictions) == 1 else Run()
    told = lines(summary, run)
    if options.json:
        write_json(options.json, summary)
    if options.csv:
        write_csv(options.csv, predictions)
    if options.megc:
        write_log(options.megc, predictions, protocol.classes if protocol else None)
    if options.report:
        title = ", ".join(path.resolve().name for path in options.predictions)
        told += ["", f"report: {write_pages(options.report, summary, run, title=title)}"]
    print("\n".join(told))
    return 0


def _arguments() -> Arguments:
    parser = Arguments(
        prog="micron-jax evaluate",
        description="UF1, UAR and accuracy of predictions, pooled over folds, with 95 % intervals "
        "over subjects. A CSV needs the columns clip, subject, label, prediction; set, seed, fold "
        "and p_CLASS are read, too. A log of MEGC2019 and the workdir of `micron-jax finetune` "
        "are read as well.",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "predictions",
        nargs="+",
        type=Path,
        metavar="PREDICTIONS",
        help="CSV, log or workdir; several: the seeds of one experiment",
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        type=Path,
        metavar="OTHER",
        help="test the difference to these predictions on the same clips; may be repeated",
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="check classes and counts against it: composite, casme2_3, casme2_5, samm_3, ... "
        "(a workdir brings its own)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="take this seed of several only")
    parser.add_argument(
        "--resamples", type=int, default=10_000, metavar="N", help="of the bootstrap (%(default)s)"
    )
    for option, metavar, text in (
        ("--json", "OUT", "write all numbers there as well"),
        ("--report", "DIR", "write report.html, one self-contained page, and report.md there"),
        ("--csv", "OUT", "write the predictions there as CSV"),
        ("--megc", "OUT", "write the predictions there as a log of MEGC2019"),
    ):
        parser.add_argument(option, type=Path, metavar=metavar, help=text)
    return parser


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuses before anything is computed what could not be written, or would overwrite input."""
    if options.resamples < 100:
        raise UserError(f"--resamples {options.resamples}: give at least 100")
    resolved = [path.resolve() for path in options.predictions]
    if len(set(resolved)) < len(resolved):
        raise UserError("one of the predictions is given twice: each is a seed of its own")
    given = {path.resolve() for path in (*options.predictions, *options.against)}
    given |= {path / "predictions.csv" for path in given if path.is_dir()}
    for name in ("json", "csv", "megc"):
        path = getattr(options, name)
        if path is None:
            continue
        if path.is_dir() or not path.parent.is_dir():
            raise UserError(f"--{name} {path}: name a file in a folder that exists")
        if path.resolve() in given:
            raise UserError(f"--{name} {path} would overwrite what is read: name another file")
    if options.report and options.report.exists() and not options.report.is_dir():
        raise UserError(f"--report {options.report} is a file: name a folder")


def _read(paths: list[Path], protocol, seed: int | None, *, alone: bool = False) -> list:
    """One experiment's predictions; of several files each is a seed.

    Args:
      seed: to take of several; None for all of them.
      alone: whether an experiment of a single other seed is taken as well.
    """
    from micron_jax.evaluation.predictions import combine, read

    found = combine([(path, read(path, protocol)) for path in paths])
    seeds = sorted({one.seed for one in found})
    if seed is None or (alone and len(seeds) == 1):
        return found
    chosen = [one for one in found if one.seed == seed]
    if not chosen:
        raise UserError(f"--seed {seed}: {paths[0]} has {', '.join(map(str, seeds))}")
    return chosen
