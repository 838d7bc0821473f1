"""What a classifier said of each test clip, pooled over folds; and its CSV, ours or anyone's.

A CSV needs the columns `clip`, `subject`, `label` and `prediction`; `set`, `seed`, `fold` and
`p_CLASS`, a column a class, are ours beside them. Others are passed over. MEGC2019's logs: `megc`.
"""

import collections
import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from micron_jax.datasets.catalogue import SETS
from micron_jax.errors import UserError
from micron_jax.files import write_whole

REQUIRED = ("clip", "subject", "label", "prediction")
OPTIONAL = ("set", "seed", "fold")
PROBABILITY = "p_"
FILE = "predictions.csv"
NOTHING = ("", "nan", "none", "null", "n/a", "na")  # how programs write a missing value


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One test clip under one seed.

    Attributes:
      clip: unique for its subject.
      subject: unique in its set: subjects of two sets are two people, whatever their numbers.
      label, prediction: class names.
      set: the data set's name, or empty where there is one set and no name for it.
      seed: of the training.
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
    def key(self) -> tuple[str, str, str]:
        """The clip itself, under whatever seed."""
        return self.set, self.subject, self.clip


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


def read(path: Path, classes: Sequence[str] | None = None) -> list[Prediction]:
    """Reads a CSV, a log of MEGC2019, or the `predictions.csv` of a run's workdir.

    Args:
      path: a file, or a workdir.
      classes: of the protocol; the numbers in a log are indices into them. MEGC2019's by default.

    Raises:
      UserError: it cannot be read, or a row cannot be used; the message names the row.
    """
    path = path / FILE if path.is_dir() else path
    text = read_text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path} is empty: needed is a header {', '.join(REQUIRED)} and rows")
    if len(lines[0].split()) == 2 and not set(",;") & set(lines[0]):
        from micron_jax.evaluation.megc import parse_log

        found = list(parse_log(path, text, classes))
    else:
        found = list(_rows(path, text, max(",;\t", key=lines[0].count)))
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
        difference = _difference(clips, others)
        if difference:
            raise UserError(f"seeds {first} ({at}) and {seed} ({path}) differ: {difference}")
    return [one for _, run in runs for one in run]


def _difference(ours: Mapping[tuple, str], theirs: Mapping[tuple, str]) -> str:
    """What keeps two runs from being compared, or nothing."""
    for here, there, which in ((ours, theirs, "first"), (theirs, ours, "second")):
        only = [key for key in here if key not in there]
        if only:
            return f"{name_of(only[0])} is in the {which} only ({len(only)} such clips)"
    for key, label in ours.items():
        if theirs[key] != label:
            return (
                f"{name_of(key)} is labelled {label!r} in the first, {theirs[key]!r} in the second"
            )
    return ""


def name_of(key: tuple[str, str, str]) -> str:
    """A clip as a message names it."""
    dataset, subject, clip = key
    return f"clip {clip} of subject {f'{dataset}/{subject}' if dataset else subject}"


def read_text(path: Path) -> str:
    """A file's text, without a byte order mark; UserError if it cannot be read or is not UTF-8."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, row {row}: not UTF-8: save it as CSV UTF-8") from None


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all; UserError if it cannot be written."""
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, Prediction]]:
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
    for name in (*REQUIRED, *(("set",) if "set" in cells else ())):
        if cells[name].casefold() in NOTHING:
            raise refused(path, row, f"{name} is {repr(cells[name]) if cells[name] else 'empty'}")
    probabilities = {}
    for name, cell in cells.items():
        if name.startswith(PROBABILITY):
            value = _number(cell)
            if value is None or not 0 <= value <= 1:
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


def refused(path: Path, row: int, reason: str) -> UserError:
    """What to raise for a row that cannot be used."""
    return UserError(f"{path}, row {row}: {reason}")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def seeds_of(predictions: Iterable[Prediction]) -> list[int]:
    """The seeds there are, ascending."""
    return sorted({one.seed for one in predictions})
