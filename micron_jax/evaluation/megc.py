"""The log format of MEGC2019's recognition challenge: parser and writer.

A subject begins with a line of the database's and the subject's name. One line for each clip
follows: its name, the true class and the predicted class, as numbers:

    casme2 sub01
    EP02_01f 1 1
    EP19_05f 0 1

For the challenge 0 is negative, 1 positive, 2 surprise; in the log of another protocol a number is
the place of a class in the protocol. Names in a log are the challenge's: `smic s01` is subject 1 of
smic_hs.

Here UAR is the mean of the classes' recalls, as the challenge defines it. Some papers print another
number: the public log of STSTNet (Liong et al., FG 2019) gives its published UF1 of 0.7353 on the
composite, but its published UAR of 0.7605 is the mean *precision* of that log; the mean recall is
0.7186. Compute a UAR from the log, where there is one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from micron_jax.datasets.protocols import THREE
from micron_jax.datasets.subjects import numbered, plain, spelled
from micron_jax.datasets.synthetic_names import is_marked
from micron_jax.errors import UserError
from micron_jax.evaluation.prediction import Prediction, row_error, write_text

# Set -> the database's name in a log, its subjects' prefix, digits of their number there.
DATABASES = {"casme2": ("casme2", "sub", 2), "smic_hs": ("smic", "s", 2), "samm": ("samm", "", 3)}
SETS = {database: name for name, (database, *_) in DATABASES.items()}


def parse_log(
    path: Path, text: str, classes: Sequence[str] | None = None
) -> Iterator[tuple[int, Prediction]]:
    """Yields (row number, prediction) of a log's text; each subject is a fold.

    Args:
      text: the log, with spaces or tabs between columns and empty lines anywhere.
      classes: the class of each number; MEGC2019's three by default.

    Raises:
      UserError: a line has neither of the two forms, or its class is none of `classes`.
    """
    classes = THREE if classes is None else classes
    person = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if len(words) == 2:
            person = person_of(*words)
        elif len(words) == 3 and person:
            dataset, subject = person
            clip = words[0]
            if dataset == "casme2" and "/" not in clip:  # its clips' names recur in other subjects
                clip = f"sub{subject}/{clip}"
            label, prediction = (class_at(path, number, word, classes) for word in words[1:])
            fold = f"{dataset}/{subject}"
            yield number, Prediction(clip, subject, label, prediction, set=dataset, fold=fold)
        elif words:
            raise row_error(
                path,
                number,
                f"{line.strip()!r} is neither `DATABASE SUBJECT` nor, below such a line, "
                "`CLIP TRUTH PREDICTION`",
            )


def write_log(
    path: Path, predictions: Sequence[Prediction], classes: Sequence[str] | None = None
) -> None:
    """Writes predictions of one seed as a log, whole or not at all.

    Args:
      classes: of the protocol, whose places are the log's numbers; MEGC2019's three by default.

    Raises:
      UserError: there are several seeds, a set without a name, a name with a space, or a class
        that is not among `classes`; or the file cannot be written.
    """
    classes = THREE if classes is None else classes
    for name in sorted({name for row in predictions for name in (row.label, row.prediction)}):
        if name not in classes:
            names = ", ".join(classes)
            raise UserError(f"class {name!r} is none of {names}: a MEGC log needs the protocol")
    seeds = {row.seed for row in predictions}
    if len(seeds) > 1:
        raise UserError(f"a MEGC log holds one seed, here are {len(seeds)}: choose one")
    if any(not row.set for row in predictions):
        raise UserError("a MEGC log names the data set: add a column `set`, or name the protocol")
    if synthetic := [row.set for row in predictions if is_marked(row.set)]:
        raise UserError(f"a MEGC log is of benchmarks, and {synthetic[0]} is none")
    blocks: dict[tuple[str, str], list[str]] = {}
    for row in predictions:
        database, subject = _log_names(row.set, row.subject)
        clip = row.clip.rsplit("/", 1)[-1] if row.set in DATABASES else row.clip
        for name in (database, subject, clip):
            if len(name.split()) != 1:
                raise UserError(f"{name!r}: a MEGC log cannot hold a name with spaces")
        lines = blocks.setdefault((database, subject), [f"{database} {subject}"])
        lines.append(f"{clip} {classes.index(row.label)} {classes.index(row.prediction)}")
    write_text(path, "\n".join("\n".join(lines) for lines in blocks.values()) + "\n")


def person_of(database: str, subject: str) -> tuple[str, str]:
    """Returns (set, subject) for the names in a log."""
    dataset = SETS.get(database.casefold(), database)
    return dataset, spelled(dataset, subject) if dataset in DATABASES else subject


def _log_names(dataset: str, subject: str) -> tuple[str, str]:
    """Returns (database, subject) as a log names them."""
    if dataset not in DATABASES:
        return dataset, subject
    database, prefix, digits = DATABASES[dataset]
    number = numbered(plain(subject))
    return database, subject if number is None else f"{prefix}{number:0{digits}}"


def class_at(path: Path, number: int, word: str, classes: Sequence[str]) -> str:
    """Returns the class of a number in row `number` of a log; UserError if there is none."""
    if word.isdecimal() and int(word) < len(classes):
        return classes[int(word)]
    names = ", ".join(f"{place} {name}" for place, name in enumerate(classes))
    raise row_error(path, number, f"class {word!r} is not known; there are: {names}")
