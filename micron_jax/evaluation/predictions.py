"""Tables of predictions: reading a CSV, a log or a workdir; several seeds as one table."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from micron_jax.datasets.catalog import SETS
from micron_jax.datasets.protocols import Protocol
from micron_jax.errors import UserError
from micron_jax.evaluation.megc import parse_log
from micron_jax.evaluation.prediction import (
    PROBABILITY,
    REQUIRED,
    Prediction,
    name_of,
    parse_csv,
    read_text,
    row_error,
    write_csv,
)

__all__ = ["FILE", "Prediction", "combine_seeds", "mismatch", "read_predictions", "write_csv"]

FILE = "predictions.csv"


def read_predictions(path: Path, protocol: Protocol | None = None) -> list[Prediction]:
    """Reads a CSV, a log of MEGC2019, or the `predictions.csv` of a workdir.

    Args:
      protocol: its classes and sets are the only ones allowed. Class names take its spelling, and
        a table without sets takes the protocol's only set. The numbers in a log are places in its
        classes (MEGC2019's by default).

    Raises:
      UserError: the file cannot be read, or a row cannot be used; the message names the row.
    """
    path = path / FILE if path.is_dir() else path
    text = read_text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty: it needs a header {', '.join(REQUIRED)} and rows")
    if len(lines[0].split()) == 2 and not set(",;") & set(lines[0]):
        numbered = parse_log(path, text, protocol.classes if protocol else None)
    else:
        numbered = parse_csv(path, text)
    rows = [(number, _normalized(path, number, row, protocol)) for number, row in numbered]
    if not rows:
        raise UserError(f"{path}: there is a header, but no row below it")
    _check_unique(path, rows)
    return [row for _, row in rows]


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


def _normalized(path: Path, number: int, row: Prediction, protocol: Protocol | None) -> Prediction:
    """Returns a row in the protocol's words, or in those of its columns p_CLASS."""
    classes, source = tuple(row.probabilities), "the columns p_CLASS"
    if protocol is not None:
        source = f"protocol {protocol.name}"
        if classes and set(classes) != set(protocol.classes):
            columns = ", ".join(PROBABILITY + name for name in protocol.classes)
            raise row_error(path, number, f"{source} has the columns {columns}")
        classes, sets = protocol.classes, ", ".join(protocol.sets)
        if not row.set and len(protocol.sets) > 1:
            reason = f"{source} has {len(protocol.sets)} sets, whose subjects share numbers"
            raise row_error(path, number, f"{reason}: add a column `set` ({sets})")
        if row.set and protocol.sets and row.set not in protocol.sets:
            reason = f"set {row.set!r} is not of {source}, which has: {sets}"
            raise row_error(path, number, reason)
        row = dataclasses.replace(row, set=row.set or sets)
    if not classes:
        return row
    spellings = {name.casefold(): name for name in classes}
    for column in ("label", "prediction"):
        word = getattr(row, column)
        if word.casefold() not in spellings:
            reason = f"{column} {word!r} is not of {source}, which has: {', '.join(classes)}"
            raise row_error(path, number, reason)
        row = dataclasses.replace(row, **{column: spellings[word.casefold()]})
    return row


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
