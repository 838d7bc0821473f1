"""Predictions of action units: their table, F1 of each unit, intervals, the report.

A clip shows any number of units, and each is a question of its own. True positives, false positives
and false negatives of a unit are summed over the folds before its F1 is taken, as for emotions;
macro F1 is the mean over units. A unit is predicted at a probability of 0.5 or more.
"""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax.datasets.sheets.delimited import read_text
from micron_jax.errors import UserError
from micron_jax.evaluation.prediction import row_error, write_text
from micron_jax.evaluation.report_content import Table, share, span
from micron_jax.evaluation.significance import LEVEL, Bootstrap, percentiles
from micron_jax.files import write_json, writing

FILE, SUMMARY = "units.csv", "units.json"
_KEYS = ("clip", "subject", "set", "seed", "fold")


@dataclasses.dataclass(frozen=True)
class UnitPredictions:
    """Predictions of R rows, one a clip and seed.

    Attributes:
      units: names of U units.
      keys: (clip, subject, set, seed, fold) of each row.
      labels: bool [R, U].
      probabilities: float64 [R, U].
    """

    units: tuple[str, ...]
    keys: list[tuple[str, str, str, int, str]]
    labels: np.ndarray
    probabilities: np.ndarray


def write_units(path: Path, table: UnitPredictions) -> None:
    """Writes the table as CSV, whole or not at all; UserError if the file cannot be written."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_KEYS, *table.units, *(f"p_{unit}" for unit in table.units)])
    for key, labels, values in zip(table.keys, table.labels, table.probabilities, strict=True):
        writer.writerow([*key, *map(int, labels), *(f"{value:.6g}" for value in values)])
    write_text(path, text.getvalue())


def read_units(path: Path) -> UnitPredictions:
    """Reads a table; UserError if it is none."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    units = tuple(n[2:] for n in reader.fieldnames or () if n.startswith("p_"))
    keys, labels, probabilities = [], [], []
    for row in reader:
        try:
            keys.append((row["clip"], row["subject"], row["set"], int(row["seed"]), row["fold"]))
            labels.append([{"0": False, "1": True}[row[unit]] for unit in units])
            probabilities.append([float(row[f"p_{unit}"]) for unit in units])
        except (KeyError, TypeError, ValueError):
            needs = f"{', '.join(_KEYS)}, and for each unit 0 or 1 and its probability"
            raise row_error(path, reader.line_num, f"it needs {needs}") from None
    if not keys or not units:
        raise UserError(f"{path}: no predictions of action units")
    return UnitPredictions(units, keys, np.array(labels, bool), np.array(probabilities))


def summarize_units(
    table: UnitPredictions, *, bootstrap: Bootstrap | None = None
) -> dict[str, Any]:
    """Computes F1 of each unit and their mean; of several seeds the means.

    Returns:
      {"samples": clips, "subjects", "seeds", "macro_f1", "interval": [low, high] over subjects or
      None for one subject, "per_unit": {unit: {"samples": clips that show it, "f1", "interval",
      "recall", "precision", "always": F1 of always saying that it is there}}}.
    """
    bootstrap = bootstrap or Bootstrap()
    people = sorted({(key[2], key[1]) for key in table.keys})
    seeds = sorted({key[3] for key in table.keys})
    guesses = table.probabilities >= 0.5
    counts = np.zeros((len(seeds), len(people), 3, len(table.units)))
    for n, key in enumerate(table.keys):
        there, guess = table.labels[n], guesses[n]
        place = seeds.index(key[3]), people.index((key[2], key[1]))
        counts[place] += [there & guess, ~there & guess, there & ~guess]
    hits, extra, missed = np.moveaxis(counts.sum(1), 1, 0)  # [seeds, U] each
    f1 = _f1(counts.sum(1)).mean(0)
    intervals = macro = None
    if len(people) > 1:
        sets = sorted({name for name, _ in people})
        times = bootstrap.draws(np.array([sets.index(name) for name, _ in people]))
        drawn = np.einsum("bp,rpcu->brcu", times.astype(np.float64), counts)
        values = _f1(np.moveaxis(drawn, 2, -2)).mean(1)  # [resamples, U]
        intervals = [list(percentiles(column)) for column in values.T]
        macro = list(percentiles(values.mean(1)))
    clips = len({key[:3] for key in table.keys})
    shown = table.labels[[key[3] == seeds[0] for key in table.keys]].sum(0)
    return {
        "samples": clips,
        "subjects": len(people),
        "seeds": len(seeds),
        "macro_f1": float(f1.mean()),
        "interval": macro,
        "per_unit": {
            unit: {
                "samples": int(shown[n]),
                "f1": float(f1[n]),
                "interval": intervals and intervals[n],
                "recall": float(_share(hits[:, n], hits[:, n] + missed[:, n]).mean()),
                "precision": float(_share(hits[:, n], hits[:, n] + extra[:, n]).mean()),
                "always": float(2 * shown[n] / (clips + shown[n])),
            }
            for n, unit in enumerate(table.units)
        },
    }


def units_text(summary: dict[str, Any], lines: Sequence[str] = ()) -> str:
    """Returns the report as Markdown whose table a terminal shows, too."""
    from micron_jax.evaluation.report import markdown_table

    return "\n\n".join(
        [_headline(summary), markdown_table(_table(summary)), *_notes(summary, lines)]
    )


def write_units_report(folder: Path, summary: dict[str, Any], lines: Sequence[str]) -> Path:
    """Writes `units.json`, `report.md` and `report.html`; returns the page."""
    from micron_jax.evaluation.report import HTML, MARKDOWN, TEMPLATES

    title = folder.resolve().name
    with writing(folder):
        write_json(folder / SUMMARY, summary | {"lines": list(lines)})
    write_text(folder / MARKDOWN, f"# {title}\n\n{units_text(summary, lines)}\n")
    content = {"title": title, "headline": _headline(summary), "units": _table(summary)}
    page = TEMPLATES.get_template("units.html").render(content, notes=_notes(summary, lines))
    write_text(folder / HTML, page)
    return folder / HTML


def _headline(summary: dict[str, Any]) -> str:
    seeds = f"{summary['seeds']} seed{'s' if summary['seeds'] > 1 else ''}"
    return (
        f"{summary['samples']:,} clips of {summary['subjects']:,} subjects, "
        f"{len(summary['per_unit'])} action units, {seeds}"
    )


def _table(summary: dict[str, Any]) -> Table:
    header = ["unit", "clips", "F1", f"{100 * LEVEL:g} % interval", "recall", "precision", "always"]
    rows = [
        [
            unit, one["samples"], share(one["f1"]), span(one["interval"]), share(one["recall"]),
            share(one["precision"]), share(one["always"]),
        ]
        for unit, one in summary["per_unit"].items()
    ]  # fmt: skip
    mean = float(np.mean([one["always"] for one in summary["per_unit"].values()]))
    macro = [share(summary["macro_f1"]), span(summary["interval"]), "–", "–", share(mean)]
    return Table(header, [*rows, ["macro F1", "", *macro]])


def _notes(summary: dict[str, Any], lines: Sequence[str]) -> list[str]:
    return [
        "F1 of each unit is pooled over the folds; intervals over subjects. `always` is F1 of "
        "saying of every clip that the unit is there: below it nothing was learned.",
        *lines,
    ]


def _f1(counts: np.ndarray) -> np.ndarray:
    """F1 of hits, false alarms and misses, [..., 3, U] -> [..., U]; 0 without any of them."""
    hits, extra, missed = np.moveaxis(counts, -2, 0)
    return _share(2 * hits, 2 * hits + extra + missed)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
