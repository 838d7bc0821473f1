"""Predictions as a CSV, ours or anyone's.

Needed are the columns `clip`, `subject`, `label` and `prediction`; `set`, `seed`, `fold` and
`p_CLASS`, a column a class, are ours beside them. Others are passed over.
"""

import collections
import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from micron_jax.evaluation.prediction import Prediction, refused, write_text

REQUIRED = ("clip", "subject", "label", "prediction")
OPTIONAL = ("set", "seed", "fold")
PROBABILITY = "p_"
NOTHING = ("nan", "none", "null", "n/a", "na")  # how programs write a missing class


def write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """Writes our CSV, whole or not at all; `read` gives the same predictions back.

    Raises:
      ValueError: the predictions do not all have probabilities of the same classes.
      UserError: the file cannot be written.
    """
    classes = list(predictions[0].probabilities) if predictions else []
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    columns = ["clip", "subject", "set", "seed", "fold", "label", "prediction"]
    if not any(one.set for one in predictions):
        columns.remove("set")
    writer.writerow([*columns, *(PROBABILITY + name for name in classes)])
    for one in predictions:
        if list(one.probabilities) != classes:
            raise ValueError(f"{one.clip}: probabilities of {list(one.probabilities)}")
        values = [f"{one.probabilities[name]:.6g}" for name in classes]
        writer.writerow([*(getattr(one, column) for column in columns), *values])
    write_text(path, text.getvalue())


def parse_csv(path: Path, text: str) -> Iterator[tuple[int, Prediction]]:
    """A table's text -> (row, prediction) a clip; rows are numbered as an editor does.

    Raises:
      UserError: a column is missing, or a row cannot be used.
    """
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header, row = None, 0
    try:
        for cells in reader:
            start, row = row + 1, reader.line_num  # a quoted cell may hold line ends
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = _header(path, start, cells)
                continue
            if len(cells) != len(header):
                raise refused(path, start, f"{len(cells)} cells, the header has {len(header)}")
            yield start, _prediction(path, start, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise refused(path, reader.line_num, f"cannot be read as CSV ({error})") from None


def _header(path: Path, row: int, cells: Sequence[str]) -> list[str]:
    """Our columns in lower case; names of classes as they are."""
    names = [
        PROBABILITY + cell[len(PROBABILITY) :]
        if cell.lower().startswith(PROBABILITY)
        else cell.lower()
        for cell in cells
    ]
    for name, times in collections.Counter(names).items():
        ours = name in REQUIRED + OPTIONAL or name.startswith(PROBABILITY)
        if times > 1 and ours:
            raise refused(path, row, f"column {name!r} stands there {times} times")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        what = ", ".join(missing)
        raise refused(path, row, f"no column {what}; the header needs {', '.join(REQUIRED)}")
    return names


def _prediction(path: Path, row: int, cells: Mapping[str, str]) -> Prediction:
    for name in (*REQUIRED, "set"):
        if not cells.get(name, "anything"):
            raise refused(path, row, f"{name} is empty")
    for name in ("label", "prediction"):
        if cells[name].casefold() in NOTHING:
            raise refused(path, row, f"{name} is {cells[name]!r}")
    probabilities = {}
    for name, cell in cells.items():
        if name.startswith(PROBABILITY):
            value = _number(cell)
            if value is None or not 0 <= value <= 1 + 1e-6:  # float32's sums
                raise refused(path, row, f"{name} is {cell!r}, not a number of 0 to 1")
            probabilities[name[len(PROBABILITY) :]] = value
    seed = cells.get("seed", "0")
    if not seed.removeprefix("-").isdecimal():
        raise refused(path, row, f"seed is {seed!r}, not a whole number")
    return Prediction(
        **{name: cells[name] for name in REQUIRED},
        set=cells.get("set", ""),
        seed=int(seed),
        fold=cells.get("fold", ""),
        probabilities=probabilities,
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
