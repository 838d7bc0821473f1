"""`micron-jax evaluate`: UF1, UAR, intervals and a report of any predictions."""

import argparse
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs import evaluate_spotting as spotting
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import new_file
from micron_jax.programs.output import print_text, write_json

EXAMPLES = """
  micron-jax evaluate runs/casme2_5
  micron-jax evaluate theirs.csv --protocol casme2_5 --report report --json theirs.json
  micron-jax evaluate runs/casme2_5 --against theirs.csv
  micron-jax evaluate runs/a --against runs/b --against runs/c --report DIR
  micron-jax evaluate --spotting detections.csv --truth truth.csv --report DIR
  micron-jax evaluate --spotting cas_pred.csv --truth casme_sq --data-dir DIR --json out.json

JSON: samples, subjects, uf1, uar, accuracy, per_class, per_set, confusion (row label, column
prediction, in the order of classes), intervals, seeds, and more.
"""


def main(argv: list[str]) -> int:
    options = _arguments().parse_args(argv)
    if options.spotting:
        return spotting.evaluate_spotting(options)
    _check_outputs(options)

    from micron_jax.datasets.protocols import SYNTHETIC, find, of_synthetic
    from micron_jax.evaluation import action_units
    from micron_jax.evaluation.metrics import METRICS
    from micron_jax.evaluation.prediction import write_csv
    from micron_jax.evaluation.report import report_text, write_pages
    from micron_jax.evaluation.run_files import Run, protocol_of, read_run
    from micron_jax.evaluation.several_runs import compare_runs
    from micron_jax.evaluation.significance import Bootstrap
    from micron_jax.evaluation.summary import summarize
    from micron_jax.files import writing
    from micron_jax.locks import sole_writer

    first = options.predictions[0]
    if (first / action_units.FILE).is_file():
        return _evaluate_units(options)
    protocol = find(options.protocol) if options.protocol else protocol_of(first)
    if options.protocol == SYNTHETIC.name:
        protocol = of_synthetic(protocol, protocol.sets)
    classes = protocol.classes if protocol else None
    allow = options.allow_unlabeled
    predictions = _read(options.predictions, protocol, options.seed, allow)
    others = {
        str(path): _read([path], protocol, options.seed, allow, any_seed=True)
        for path in options.against
    }
    _check_two_classes(predictions, protocol)
    bootstrap = Bootstrap(options.resamples)
    summary = summarize(predictions, protocol, bootstrap=bootstrap)
    if others:
        here = ", ".join(map(str, options.predictions))
        several = compare_runs({here: predictions} | others, protocol, bootstrap=bootstrap)
        summary["against"] = [
            {"file": pair["second"]} | {key: pair[key] for key in (*METRICS, "mcnemar")}
            for pair in several["pairs"]
            if pair["first"] == here
        ]
        if len(others) > 1:
            summary |= several
    run = read_run(first) if len(options.predictions) == 1 else Run()
    if run.leaky:
        summary["leaky"] = dict(run.leaky)
    if run.keyframe_errors:
        summary["keyframe_errors"] = dict(run.keyframe_errors)
    text = report_text(summary, run)
    write_json(options.json, summary)
    if options.csv:
        write_csv(options.csv, predictions)
    if options.megc:
        _write_log(options.megc, predictions, classes)
    if options.report:
        title = ", ".join(path.resolve().name for path in options.predictions)
        busy = f"--report {options.report}: another run is writing it; wait for its end"
        with writing(options.report), sole_writer(options.report, busy=busy):
            page = write_pages(options.report, summary, run, title=title)
        text += f"\nreport: {page}\n"
    print_text(text.removesuffix("\n"))
    return 0


def _arguments() -> Arguments:
    parser = Arguments(
        "micron-jax evaluate",
        "UF1, UAR and accuracy of predictions, pooled over folds, with 95 % intervals "
        "over subjects. A CSV needs the columns clip, subject, label, prediction; set, seed, fold "
        "and p_CLASS are read, too. A log of MEGC2019, one with lists of `Predicted` and `Ground "
        "Truth` (STSTNet, HTNet, CausalNet), and the workdir of `micron-jax finetune` are read as "
        "well. With --spotting: F1 of detections in long videos.",
        EXAMPLES,
    )
    text = "CSV, log or workdir; several of them are seeds of one experiment"
    parser.option("predictions", text, nargs="*", type=Path, metavar="PREDICTIONS")
    parser.option(
        "--against",
        "test the difference to these predictions on the same clips; may be repeated: all pairs "
        "are tested, and p is corrected for their number",
        action="append",
        default=[],
        type=Path,
        metavar="OTHER",
    )
    parser.option(
        "--protocol",
        "check classes and counts against it: composite, casme2_3, casme2_5, samm_3, ... "
        "(a workdir brings its own)",
        metavar="NAME",
    )
    parser.flag(
        "--allow-unlabeled",
        "of a CSV without protocol: accept predicted classes that are no clip's label; they do not "
        "count in UF1 and UAR",
    )
    parser.option("--seed", "take only this seed of several", type=int, metavar="N")
    parser.count("--resamples", 10_000, "resamples of the bootstrap", at_least=100)
    parser.option("--json")
    text = "write report.html, one self-contained page, and report.md there"
    parser.option("--report", text, type=Path, metavar="DIR")
    output = dict(type=new_file, metavar="OUT")
    parser.option("--csv", "write the predictions there as CSV", **output)
    text = "write the predictions there as a log of MEGC2019; the detections as MEGC2023's table"
    parser.option("--megc", text, **output)
    spotting.add(parser)
    return parser


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuses, before the work, an output that would overwrite an input, and no input."""
    spotting.check_unused(options)
    if not options.predictions:
        raise UserError("name the PREDICTIONS: a CSV, log or workdir; or --spotting DETECTIONS")
    inputs = [path.resolve() for path in options.predictions]
    if len(set(inputs)) < len(inputs):
        raise UserError("one of the predictions is given twice: each is a seed of its own")
    others = [path.resolve() for path in options.against]
    if len(set(others)) < len(others):
        raise UserError("one of --against is given twice")
    if both := set(others) & set(inputs):
        raise UserError(f"--against {both.pop()}: its predictions are what it is compared with")
    inputs += others
    inputs += [path / "predictions.csv" for path in inputs if path.is_dir()]
    for name in ("json", "csv", "megc"):
        path = getattr(options, name)
        if path and path.resolve() in inputs:
            raise UserError(f"--{name} {path} would overwrite what is read: name another file")
    if options.report and options.report.exists() and not options.report.is_dir():
        raise UserError(f"--report {options.report} is a file: name a folder")


def _evaluate_units(options: argparse.Namespace) -> int:
    """Prints the figures of a workdir of action units."""
    from micron_jax.evaluation import action_units
    from micron_jax.evaluation.significance import Bootstrap

    (first, *rest), unread = options.predictions, ("against", "protocol", "seed", "csv", "megc")
    if rest or (given := [name for name in unread if getattr(options, name) not in (None, [])]):
        what = "another path" if rest else f"--{given[0]}"
        raise UserError(f"{first} has action units: give it alone, without {what}")
    table = action_units.read_units(first / action_units.FILE)
    summary = action_units.summarize_units(table, bootstrap=Bootstrap(options.resamples))
    write_json(options.json, summary)
    text = action_units.units_text(summary)
    if options.report:
        text += f"\n\nreport: {action_units.write_units_report(options.report, summary, ())}"
    print_text(text)
    return 0


def _write_log(path: Path, predictions: list, classes) -> None:
    from micron_jax.evaluation.megc import write_log

    try:
        write_log(path, predictions, classes)
    except UserError as error:
        if isinstance(error.__cause__, OSError):  # a disk that is full: no option mends it
            raise
        raise UserError(f"--megc: {error} (see --protocol, --seed)") from None


def _check_two_classes(predictions: list, protocol) -> None:
    """Refuses a table of one label where nothing tells what other classes there are."""
    label = predictions[0].label
    if protocol or predictions[0].probabilities or any(row.label != label for row in predictions):
        return
    raise UserError(
        f"all {len(predictions)} rows have the label {label!r}: UF1 and UAR of one class tell "
        "nothing; name the protocol (--protocol)"
    )


def _read(
    paths: list[Path], protocol, seed: int | None, allow_unlabeled: bool, *, any_seed: bool = False
) -> list:
    """Returns one experiment's predictions; of several files each is a seed.

    Only those of `seed`, if it is given; with `any_seed` also those of an only, other seed.
    """
    from micron_jax.evaluation.predictions import combine_seeds, read_predictions

    predictions = combine_seeds(
        [
            (path, read_predictions(path, protocol, allow_unlabeled=allow_unlabeled))
            for path in paths
        ]
    )
    seeds = sorted({row.seed for row in predictions})
    if seed is None or (any_seed and len(seeds) == 1):
        return predictions
    if seed not in seeds:
        raise UserError(f"--seed {seed}: {paths[0]} has {', '.join(map(str, seeds))}")
    return [row for row in predictions if row.seed == seed]
