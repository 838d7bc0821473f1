"""Predictions pooled over folds: reading whatever holds them, and several seeds as one table."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from micron_jax.datasets.catalog import SETS
from micron_jax.datasets.protocols import Protocol
from micron_jax.errors import UserError
from micron_jax.evaluation.megc import parse_log
from micron_jax.evaluation.prediction import Prediction, name_of, read_text, refused
from micron_jax.evaluation.predictions_csv import PROBABILITY, REQUIRED, parse_csv, write_csv

__all__ = ["FILE", "Prediction", "combine", "difference", "read", "write_csv"]

FILE = "predictions.csv"


def read(path: Path, protocol: Protocol | None = None) -> list[Prediction]:
    """Reads a CSV, a log of MEGC2019, or the `predictions.csv` of a run's workdir.

    Args:
      path: a file, or a workdir.
      protocol: whose classes and sets there may be. Class names are then spelled as it does, and
        a table that names no set is of the protocol's only one. The numbers in a log are places
        in its classes (MEGC2019's by default).

    Raises:
      UserError: it cannot be read, or a row cannot be used; the message names the row.
    """
    path = path / FILE if path.is_dir() else path
    text = read_text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty: needed is a header {', '.join(REQUIRED)} and rows")
    if len(lines[0].split()) == 2 and not set(",;") & set(lines[0]):
        rows = parse_log(path, text, protocol.classes if protocol else None)
    else:
        rows = parse_csv(path, text)
    found = [(row, _fitted(path, row, one, protocol)) for row, one in rows]
    if not found:
        raise UserError(f"{path}: there is a header, but no row below it")
    _refuse_doubles(path, found)
    return [one for _, one in found]


def combine(runs: Sequence[tuple[Path, Sequence[Prediction]]]) -> list[Prediction]:
    """Several files of one experiment, each with seeds of its own, as one table.

    Files that say nothing of seeds (all of theirs 0) are numbered in their order.

    Raises:
      UserError: two files hold the same seed, or seeds were not tested on the same clips.
    """
    if len(runs) > 1 and all(one.seed == 0 for _, run in runs for one in run):
        runs = [
            (path, [dataclasses.replace(one, seed=number) for one in run])
            for number, (path, run) in enumerate(runs)
        ]
    tested: dict[int, tuple[Path, dict]] = {}
    for path, run in runs:
        for seed in sorted({one.seed for one in run}):
            if seed in tested:
                raise UserError(
                    f"seed {seed} stands in {tested[seed][0]} and in {path}: several files are "
                    "seeds of one experiment; compare two experiments with --against"
                )
            tested[seed] = path, {one.key: one.label for one in run if one.seed == seed}
    first, (at, clips) = next(iter(tested.items()))
    for seed, (path, others) in tested.items():
        if what := difference(clips, others):
            raise UserError(f"seeds {first} ({at}) and {seed} ({path}) differ: {what}")
    return [one for _, run in runs for one in run]


def difference(ours: Mapping[tuple, str], theirs: Mapping[tuple, str]) -> str:
    """What keeps two runs from being compared, or nothing."""
    for here, there, which in ((ours, theirs, "first"), (theirs, ours, "second")):
        only = [key for key in here if key not in there]
        if only:
            return f"{name_of(only[0])} is in the {which} only ({len(only)} such clips)"
    for key, label in ours.items():
        if theirs[key] != label:
            return (
                f"{name_of(key)} is labeled {label!r} in the first, {theirs[key]!r} in the second"
            )
    return ""


def _fitted(path: Path, row: int, one: Prediction, protocol: Protocol | None) -> Prediction:
    """A row in the protocol's words; without a protocol, columns p_CLASS say which classes are."""
    classes, name = tuple(one.probabilities), "the columns p_CLASS"
    if protocol is not None:
        if classes and set(classes) != set(protocol.classes):
            wanted = ", ".join(PROBABILITY + known for known in protocol.classes)
            raise refused(path, row, f"protocol {protocol.name} has the columns {wanted}")
        classes, name = protocol.classes, f"protocol {protocol.name}"
        if not one.set and len(protocol.sets) > 1:
            several = f"{name} has {len(protocol.sets)} sets, whose subjects share numbers"
            raise refused(path, row, f"{several}: add a column `set` ({', '.join(protocol.sets)})")
        if not one.set:
            one = dataclasses.replace(one, set="".join(protocol.sets))
        elif protocol.sets and one.set not in protocol.sets:
            known = ", ".join(protocol.sets)
            raise refused(path, row, f"set {one.set!r} is not of {name}, which has: {known}")
    if not classes:
        return one
    spelled = {known.casefold(): known for known in classes}
    for column in ("label", "prediction"):
        said = getattr(one, column)
        if said.casefold() not in spelled:
            known = ", ".join(classes)
            raise refused(path, row, f"{column} {said!r} is not of {name}, which has: {known}")
        one = dataclasses.replace(one, **{column: spelled[said.casefold()]})
    return one


def _refuse_doubles(path: Path, rows: Sequence[tuple[int, Prediction]]) -> None:
    """Refuses a clip that is tested twice under one seed, and two people under one id."""
    seen: dict[tuple, int] = {}
    homes: dict[str, tuple[str, int]] = {}
    for row, one in rows:
        first = seen.setdefault((one.seed, *one.key), row)
        if first != row:
            again = f"{name_of(one.key)} stood in row {first} already"
            raise refused(path, row, f"{again} (seed {one.seed}): a clip is tested once a seed")
        # Without a column, paths still tell: `casme2/sub18/EP01` and `smic_hs/s18/s18_ne_01`.
        origin = one.clip.split("/")[0].casefold()
        if not one.set and origin in SETS:
            home, first = homes.setdefault(one.subject, (origin, row))
            if home != origin:
                raise refused(
                    path,
                    row,
                    f"subject {one.subject} is of {origin}, in row {first} of {home}: two people "
                    "under one id; add a column `set`",
                )
