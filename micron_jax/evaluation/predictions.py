"""Tables of predictions: reading a CSV, a log or a workdir; several seeds as one table."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from micron_jax.datasets.catalog import SETS
from micron_jax.datasets.names import class_key, set_key
from micron_jax.datasets.protocols import Protocol
from micron_jax.datasets.sheets.delimited import read_text
from micron_jax.datasets.subjects import numbered, numbers_subjects, person, plain
from micron_jax.datasets.synthetic_names import is_marked, marked, unmarked
from micron_jax.errors import UserError
from micron_jax.evaluation.megc import parse_log
from micron_jax.evaluation.prediction import (
    PROBABILITY,
    REQUIRED,
    Prediction,
    name_of,
    parse_csv,
    row_error,
    write_csv,
)
from micron_jax.evaluation.spelling import one_spelling
from micron_jax.evaluation.subject_logs import is_subject_log, parse_subject_log

__all__ = ["FILE", "Prediction", "combine_seeds", "mismatch", "read_predictions", "write_csv"]

FILE = "predictions.csv"


def read_predictions(
    path: Path, protocol: Protocol | None = None, *, allow_unlabeled: bool = False
) -> list[Prediction]:
    """Reads a CSV, a log of MEGC2019 or of `subject_logs`, or the `predictions.csv` of a workdir.

    Each class, set and subject comes in one spelling; see `spelling`.

    Args:
      protocol: its classes and sets are the only ones allowed. Class names take its spelling, and
        a table without sets takes the protocol's only set. The numbers in a log are places in its
        classes (MEGC2019's by default).
      allow_unlabeled: of a CSV without protocol and columns p_CLASS: allow predictions that are
        no clip's label.

    Raises:
      UserError: the file cannot be read, or a row cannot be used; the message names the row.
    """
    path = path / FILE if path.is_dir() else path
    text = read_text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty: it needs a header {', '.join(REQUIRED)} and rows")
    classes = protocol.classes if protocol else None
    is_log = len(lines[0].split()) == 2 and not set(",;|") & set(lines[0])
    if by_subject := is_subject_log(text):
        rows = list(parse_subject_log(path, text, classes, protocol.sets if protocol else ()))
    elif is_log:
        rows = list(parse_log(path, text, classes))
    else:
        rows = list(parse_csv(path, text))
    if not rows:
        raise UserError(f"{path}: there is a header, but no row below it")
    if protocol:
        rows = [(number, _in_protocol(path, number, row, protocol)) for number, row in rows]
    _check_classes(path, rows, protocol)
    _check_people(path, rows)
    numbers = [number for number, _ in rows]
    (table,) = one_spelling([[row for _, row in rows]], protocol.classes if protocol else ())
    rows = list(zip(numbers, table, strict=True))
    _check_unique(path, rows)
    if not (protocol or is_log or by_subject or allow_unlabeled or table[0].probabilities):
        _check_labeled(path, rows)
    return table


def combine_seeds(tables: Sequence[tuple[Path, Sequence[Prediction]]]) -> list[Prediction]:
    """Returns the tables of several files, each with other seeds of one experiment, as one table.

    Files without seeds (all rows have seed 0) become seeds 0, 1, … in their order.

    Raises:
      UserError: two files hold the same seed, or the seeds were not tested on the same clips.
    """
    if len(tables) > 1 and all(row.seed == 0 for _, table in tables for row in table):
        tables = [
            (path, [dataclasses.replace(row, seed=seed) for row in table])
            for seed, (path, table) in enumerate(tables)
        ]
    spelled = one_spelling([table for _, table in tables])
    tables = [(path, table) for (path, _), table in zip(tables, spelled, strict=True)]
    labels: dict[int, tuple[Path, dict]] = {}
    for path, table in tables:
        for seed in sorted({row.seed for row in table}):
            if seed in labels:
                raise UserError(
                    f"seed {seed} stands in {labels[seed][0]} and in {path}: several files are "
                    "the seeds of one experiment, and each seed is in one file"
                )
            labels[seed] = path, {row.key: row.label for row in table if row.seed == seed}
    (first, (first_path, first_labels)), *rest = labels.items()
    for seed, (path, seed_labels) in rest:
        if reason := mismatch(first_labels, seed_labels):
            raise UserError(f"seeds {first} ({first_path}) and {seed} ({path}) differ: {reason}")
    return [row for _, table in tables for row in table]


def mismatch(first: Mapping[tuple, str], second: Mapping[tuple, str]) -> str:
    """Returns the first difference of two tables' clips and labels, in words; empty if none.

    Args:
      first, second: `Prediction.key` -> label.
    """
    for here, there, name in ((first, second, "first"), (second, first, "second")):
        if lone := [key for key in here if key not in there]:
            return f"{name_of(lone[0])} is in the {name} only ({len(lone)} such clips)"
    for key, label in first.items():
        if (other := second[key]) != label:
            return f"{name_of(key)} is labeled {label!r} in the first, {other!r} in the second"
    return ""


def _in_protocol(path: Path, number: int, row: Prediction, protocol: Protocol) -> Prediction:
    """Returns a row with the protocol's set and columns p_CLASS; refuses what is not of it."""
    source, sets = f"protocol {protocol.name}", ", ".join(protocol.sets)
    if row.probabilities:
        places = {class_key(name): value for name, value in row.probabilities.items()}
        if set(places) != set(map(class_key, protocol.classes)):
            columns = ", ".join(PROBABILITY + name for name in protocol.classes)
            raise row_error(path, number, f"{source} has the columns {columns}")
        values = {name: places[class_key(name)] for name in protocol.classes}
        row = dataclasses.replace(row, probabilities=values)
    if not row.set and len(protocol.sets) > 1:
        reason = f"{source} has {len(protocol.sets)} sets, whose subjects share numbers"
        raise row_error(path, number, f"{reason}: add a column `set` ({sets})")
    if row.set and protocol.sets:
        names = {set_key(unmarked(name)): name for name in protocol.sets}
        if (name := names.get(set_key(unmarked(row.set)))) is None:
            reason = f"set {row.set!r} is not of {source}, which has: {sets}"
            raise row_error(path, number, reason)
        row = dataclasses.replace(row, set=marked(name) if is_marked(row.set) else name)
    return dataclasses.replace(row, set=row.set or sets)


def _check_classes(
    path: Path, rows: Sequence[tuple[int, Prediction]], protocol: Protocol | None
) -> None:
    """Refuses a word that is none of the protocol's classes, or of those of columns p_CLASS."""
    classes = protocol.classes if protocol else tuple(rows[0][1].probabilities)
    source = f"protocol {protocol.name}" if protocol else "the columns p_CLASS"
    known = set(map(class_key, classes))
    for number, row in rows if known else ():
        for column in ("label", "prediction"):
            word = getattr(row, column)
            if class_key(word) not in known:
                reason = f"{column} {word!r} is not of {source}, which has: {', '.join(classes)}"
                raise row_error(path, number, reason)


def _check_labeled(path: Path, rows: Sequence[tuple[int, Prediction]]) -> None:
    """Refuses a prediction that is the label of no clip: often another spelling of a class."""
    labels = sorted({row.label for _, row in rows})
    for number, row in rows:
        if row.prediction not in labels:
            count = sum(other.prediction == row.prediction for _, other in rows)
            raise row_error(
                path,
                number,
                f"prediction {row.prediction!r} ({count} rows) is no clip's label; labels are: "
                f"{', '.join(labels)}; write each class in one way, or, if it is a class that no "
                "clip here has, name the protocol or allow unlabeled classes",
            )


def _check_people(path: Path, rows: Sequence[tuple[int, Prediction]]) -> None:
    """Refuses `1` beside `sub01` where no set tells whether they are one person or two."""
    first: dict[tuple[str, int], tuple[tuple, str, int]] = {}
    for number, row in rows:
        count = numbered(plain(row.subject))
        if count is None or numbers_subjects(row.set):
            continue
        shared = person(row.set, row.subject)
        other, text, place = first.setdefault((row.set, count), (shared, row.subject, number))
        if other != shared:
            reason = f"subject {row.subject!r}, and {text!r} in row {place}: one person or two?"
            mend = "write each person in one way" + ("" if row.set else ", or add a column `set`")
            raise row_error(path, number, f"{reason} {mend}")


def _check_unique(path: Path, rows: Sequence[tuple[int, Prediction]]) -> None:
    """Refuses a clip that is tested twice under one seed, and two people under one id."""
    numbers: dict[tuple, int] = {}
    origins: dict[str, tuple[str, int]] = {}
    for number, row in rows:
        first = numbers.setdefault((row.seed, *row.key), number)
        if first != number:
            reason = f"{name_of(row.key)} stood in row {first} already (seed {row.seed})"
            raise row_error(path, number, f"{reason}: a clip is tested once a seed")
        # Without a column `set`, paths name it: `casme2/sub18/EP01` and `smic_hs/s18/s18_ne_01`.
        origin = row.clip.split("/")[0].casefold()
        if not row.set and origin in SETS:
            other, first = origins.setdefault(row.subject, (origin, number))
            if other != origin:
                raise row_error(
                    path,
                    number,
                    f"subject {row.subject} is of {origin}, in row {first} of {other}: two people "
                    "under one id; add a column `set`",
                )
