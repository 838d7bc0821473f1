"""The prediction for one test clip, and the CSV of a table of them.

The CSV needs the columns `clip`, `subject`, `label` and `prediction`. The columns `set`, `seed`,
`fold` and `p_CLASS` (one for each class) are optional; other columns are ignored.
"""

import collections
import csv
import dataclasses
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from micron_jax.datasets.names import MISSING, NO_CLASS
from micron_jax.datasets.sheets.cells import clean
from micron_jax.datasets.sheets.delimited import separator
from micron_jax.errors import UserError
from micron_jax.files import write_whole, writing

REQUIRED = ("clip", "subject", "label", "prediction")
OPTIONAL = ("set", "seed", "fold")
PROBABILITY = "p_"
UNNAMED = "#"  # begins the names that clips get whose source has none


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One test clip under one seed.

    Attributes:
      clip: unique for its subject; `#negative-1` and so on where the source names no clips.
      subject: unique in its set: subjects of two sets are two people, whatever their numbers.
      set: the data set's name, or empty where there is one set and no name for it.
      fold: in which the clip was tested; empty if unknown.
      probabilities: class -> probability, in the order of the protocol's classes; may be empty.
    """

    clip: str
    subject: str
    label: str
    prediction: str
    set: str = ""
    seed: int = 0
    fold: str = ""
    probabilities: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def person(self) -> tuple[str, str]:
        return self.set, self.subject

    @property
    def unnamed(self) -> bool:
        return self.clip.startswith(UNNAMED)

    @property
    def key(self) -> tuple[str, str, str]:
        """The clip itself, under whatever seed."""
        return self.set, self.subject, self.clip


def name_of(key: tuple[str, str, str]) -> str:
    """Returns the words of a message for the clip of a `Prediction.key`."""
    dataset, subject, clip = key
    return f"clip {clip} of subject {f'{dataset}/{subject}' if dataset else subject}"


def row_error(path: Path, number: int, reason: str) -> UserError:
    """Returns the error for a row of a file that cannot be used."""
    return UserError(f"{path}, row {number}: {reason}")


def write_text(path: Path, text: str) -> None:
    """Writes a file, whole or not at all; UserError if the file cannot be written."""
    with writing(path):
        write_whole(path, text.encode())


def write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """Writes the CSV, whole or not at all; `read_predictions` returns the same predictions.

    Raises:
      ValueError: the predictions do not all have probabilities of the same classes.
      UserError: the file cannot be written.
    """
    classes = list(predictions[0].probabilities) if predictions else []
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    columns = ["clip", "subject", "set", "seed", "fold", "label", "prediction"]
    if not any(row.set for row in predictions):
        columns.remove("set")
    writer.writerow([*columns, *(PROBABILITY + name for name in classes)])
    for row in predictions:
        if list(row.probabilities) != classes:
            raise ValueError(f"{row.clip}: probabilities of {list(row.probabilities)}")
        values = [f"{row.probabilities[name]:.6g}" for name in classes]
        writer.writerow([*(getattr(row, column) for column in columns), *values])
    write_text(path, text.getvalue())


def parse_csv(path: Path, text: str) -> Iterator[tuple[int, Prediction]]:
    """Yields (row number, prediction) of a CSV's text; rows have the numbers of an editor.

    Raises:
      UserError: a column is missing, or a row cannot be used.
    """
    delimiter = separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header, end = None, 0
    try:
        for cells in reader:
            number, end = end + 1, reader.line_num  # a quoted cell may hold line ends
            cells = [clean(cell) for cell in cells]
            if not any(cells) or _is_hint(cells, delimiter):
                continue
            if header is None:
                header = _header(path, number, cells)
                continue
            while len(cells) > len(header) and not cells[-1]:  # a comma at the end
                cells.pop()
            if _names(cells) == header:
                reason = "the header stands here again: give two tables as two files"
                raise row_error(path, number, reason)
            if len(cells) != len(header):
                raise row_error(path, number, f"{len(cells)} cells, the header has {len(header)}")
            yield number, _prediction(path, number, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise row_error(path, reader.line_num, f"cannot be read as CSV ({error})") from None


def _is_hint(cells: Sequence[str], delimiter: str) -> bool:
    """Tells whether a row is `sep=;`, by which spreadsheets know the separator."""
    return "".join(cells).casefold() in ("sep=", f"sep={delimiter}")


def _header(path: Path, number: int, cells: Sequence[str]) -> list[str]:
    """Returns `_names` of a header that has all columns, once each."""
    names = _names(cells)
    while not names[-1]:  # a comma at the end
        names.pop()
    for name, times in collections.Counter(names).items():
        if times > 1 and (name in REQUIRED + OPTIONAL or name.startswith(PROBABILITY)):
            raise row_error(path, number, f"column {name!r} stands there {times} times")
    if missing := [name for name in REQUIRED if name not in names]:
        reason = f"no column {', '.join(missing)}; the header needs {', '.join(REQUIRED)}"
        raise row_error(path, number, reason)
    return names


def _names(cells: Sequence[str]) -> list[str]:
    """Returns columns in lower case, except for the names of classes."""
    size = len(PROBABILITY)
    return [
        PROBABILITY + cell[size:] if cell[:size].lower() == PROBABILITY else cell.lower()
        for cell in (unicodedata.normalize("NFKC", cell) for cell in cells)
    ]


def _prediction(path: Path, number: int, cells: Mapping[str, str]) -> Prediction:
    for name in (*REQUIRED, "set"):
        if cells.get(name) == "":
            raise row_error(path, number, f"{name} is empty")
    for name in REQUIRED:
        if cells[name].casefold() in (NO_CLASS if name in ("label", "prediction") else MISSING):
            raise row_error(path, number, f"{name} is {cells[name]!r}")
    probabilities = {}
    for name, cell in cells.items():
        if name.startswith(PROBABILITY):
            try:
                value = float(cell.replace(",", "."))  # as a German spreadsheet writes it
            except ValueError:
                value = float("nan")
            if not 0 <= value <= 1 + 1e-6:  # float32's sums
                raise row_error(path, number, f"{name} is {cell!r}, not a number of 0 to 1")
            probabilities[name.removeprefix(PROBABILITY)] = value
    seed = cells.get("seed", "0")
    if not re.fullmatch(r"-?\d{1,9}(\.0+)?", seed):
        raise row_error(path, number, f"seed is {seed!r}, not a whole number")
    return Prediction(
        **{name: cells[name] for name in REQUIRED},
        set=cells.get("set", ""),
        seed=int(seed.partition(".")[0]),
        fold=cells.get("fold", ""),
        probabilities=probabilities,
    )
