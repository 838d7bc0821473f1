"""`micron-jax evaluate --spotting`: F1 of detected intervals, their curve, STRS and a report."""

import argparse
import fnmatch
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.programs.arguments import Arguments
from micron_jax.programs.options import number
from micron_jax.programs.output import print_text, write_json

OPTIONS = ("truth", "data_dir", "threshold", "epoch", "fps")
OF_RECOGNITION = ("against", "protocol", "seed", "allow_unlabeled")
OTHERS = "others"


def add(parser: Arguments) -> None:
    """Adds the options of spotting to those of `evaluate`."""
    parser.option(
        "--spotting",
        "in place of PREDICTIONS: detections in long videos, a CSV with the columns video, onset, "
        "offset and, if wanted, apex, kind (micro, macro), confidence, label, subject; a table of "
        "MEGC (vid, onset, offset, type); or a folder of LGSNet's logs",
        type=Path,
        metavar="DETECTIONS",
    )
    parser.option(
        "--truth",
        "of --spotting: a built set (casme_sq, samm_lv, casme3_lv), its owners' sheet, a folder of "
        "`data synth --films`, or a CSV with the columns video, subject, onset, apex, offset, kind "
        "and, if wanted, label, fps, first, last",
        metavar="(SET | FILE)",
    )
    parser.option("--data-dir", "of --truth SET: folder of the built sets")
    parser.option(
        "--threshold",
        "of --spotting: detections of less confidence do not count; `others`: for each subject and "
        "kind the threshold that is best on the other subjects. Without: all count, and of "
        "LGSNet's logs, `others`",
        type=_threshold,
        metavar="(X | others)",
    )
    text = "of LGSNet's logs: the epoch, named beforehand; without: the last"
    parser.option("--epoch", text, type=number(int, at_least=0), metavar="N")
    parser.option("--fps", "of --truth FILE: frames per second of videos without a rate")


def evaluate_spotting(options: argparse.Namespace) -> int:
    """Prints the figures of detections, and writes what is asked for."""
    from micron_jax.evaluation.significance import Bootstrap
    from micron_jax.evaluation.spotting_logs import is_log_folder
    from micron_jax.evaluation.spotting_metrics import select, summarize_spotting
    from micron_jax.evaluation.spotting_report import spotting_text, write_spotting_pages
    from micron_jax.evaluation.spotting_tables import write_challenge, write_detections
    from micron_jax.files import writing
    from micron_jax.locks import sole_writer

    _check(options)
    truth, notes = _read_truth(options)
    bootstrap = Bootstrap(options.resamples)
    notes, threshold, choices = [*truth.notes, *notes], options.threshold, None
    if is_log_folder(options.spotting):
        matches, choices, more = _read_logs(options, truth, bootstrap)
        threshold = OTHERS if threshold is None else threshold
    else:
        if options.epoch is not None:
            raise UserError(f"--epoch goes with LGSNet's logs, and {options.spotting} is no folder")
        matches, more = _read_table(options.spotting, truth)
    notes += [line for line in more if line]
    summary = summarize_spotting(truth, matches, threshold, bootstrap=bootstrap)
    if choices:
        summary["choices"] = choices
    summary["notes"] = notes
    chosen = select(truth, matches, threshold)
    kept = [one for one, counts in zip(matches.joined, chosen, strict=True) if counts]
    write_json(options.json, summary)
    if options.csv:
        write_detections(options.csv, truth, kept)
    if options.megc:
        write_challenge(options.megc, truth, kept)
    text = spotting_text(summary, notes)
    if options.report:
        title = f"{options.spotting.resolve().name}, {options.truth}"
        busy = f"--report {options.report}: another run is writing it; wait for its end"
        with writing(options.report), sole_writer(options.report, busy=busy):
            page = write_spotting_pages(
                options.report, summary, truth, matches, chosen, notes=notes, title=title
            )
        text += f"\nreport: {page}\n"
    print_text(text.removesuffix("\n"))
    return 0


def check_unused(options: argparse.Namespace) -> None:
    """Refuses options of spotting where predictions are evaluated."""
    for name in OPTIONS:
        if getattr(options, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} goes with --spotting")


def _check(options: argparse.Namespace) -> None:
    if options.predictions:
        raise UserError(f"--spotting takes no PREDICTIONS, and there is {options.predictions[0]}")
    for name in OF_RECOGNITION:
        if getattr(options, name) not in (None, [], False):
            raise UserError(f"--{name.replace('_', '-')} does not go with --spotting")
    if options.truth is None:
        raise UserError("--spotting needs --truth: a built set, its owners' sheet, a CSV, ...")
    inputs = [options.spotting.resolve(), Path(options.truth).resolve()]
    for name in ("json", "csv", "megc"):
        path = getattr(options, name)
        if path and path.resolve() in inputs:
            raise UserError(f"--{name} {path} would overwrite what is read: name another file")
    if options.report and options.report.exists() and not options.report.is_dir():
        raise UserError(f"--report {options.report} is a file: name a folder")


def _threshold(text: str) -> float | str:
    if text == OTHERS:
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number, or others") from None


def _read_truth(options: argparse.Namespace):
    """Returns the truth that --truth names, and lines on it."""
    from micron_jax.datasets.long_videos.build import open_truth, truth_of
    from micron_jax.datasets.long_videos.catalog import LONG_SETS
    from micron_jax.datasets.long_videos.inserted import is_inserted, read_inserted
    from micron_jax.datasets.long_videos.truth import is_table, read_truth, with_rate

    path = Path(options.truth)
    if options.truth in LONG_SETS:
        if options.data_dir is None:
            raise UserError(f"--truth {options.truth} is a set: name the folder by --data-dir")
        truth, about = open_truth(options.data_dir, options.truth)
    else:
        if not path.exists():
            sets = ", ".join(LONG_SETS)
            raise UserError(f"--truth {path} is no file, and none of the sets: {sets}")
        if is_inserted(path):
            return read_inserted(path), ["Truth: expressions that were inserted (synthetic)."]
        name = path.name.casefold().removesuffix(path.suffix.casefold())
        specs = [
            spec
            for spec in LONG_SETS.values()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in spec.sheet_files)
        ]
        if not specs or is_table(path):
            truth = read_truth(path)
            return (with_rate(truth, options.fps) if options.fps else truth), []
        truth, about = truth_of(specs[0], path)
    if options.fps:
        raise UserError(f"--fps goes with a CSV; {about['set']} has its own frame rate")
    mended, skipped = about.get("mended", ()), about.get("skipped", ())
    lines = [f"Rows of the sheet read in another way than written: {len(mended)}."]
    lines += [f"Rows of the sheet that cannot be used: {len(skipped)}."] if skipped else []
    return truth, lines if mended else lines[1:]


def _read_table(path: Path, truth):
    from micron_jax.evaluation.spotting_matching import match_all
    from micron_jax.evaluation.spotting_tables import join, looks_like_seconds, read_detections

    joined, note = join(truth, read_detections(path), path)
    return match_all(truth, joined), [looks_like_seconds(truth, joined), note]


def _read_logs(options: argparse.Namespace, truth, bootstrap):
    """Returns the matches of the epoch, what its choice makes of F1, and lines on both."""
    from micron_jax.evaluation.spotting_logs import read_epochs
    from micron_jax.evaluation.spotting_matching import match_all
    from micron_jax.evaluation.spotting_metrics import strata
    from micron_jax.evaluation.spotting_tables import join
    from micron_jax.evaluation.spotting_thresholds import compare_choices, count, grid_of

    epochs = read_epochs(options.spotting)
    fixed = max(epochs) if options.epoch is None else options.epoch
    if fixed not in epochs:
        names = f"{min(epochs)} to {max(epochs)}"
        raise UserError(f"--epoch {fixed}: {options.spotting} has epochs {names}")
    tables, notes = {}, {}
    for epoch, detections in epochs.items():
        joined, notes[epoch] = join(truth, detections, options.spotting)
        tables[epoch] = match_all(truth, joined)
    grid = grid_of(list(tables.values()))
    counts = {epoch: count(truth, table, grid) for epoch, table in tables.items()}
    choices = None
    if len(truth.people) > 1:
        choices = compare_choices(counts, fixed, bootstrap.draws(strata(truth)))
    line = f"Detections after epoch {fixed} of {min(epochs)} to {max(epochs)}."
    return tables[fixed], choices, [line, notes[fixed]]
