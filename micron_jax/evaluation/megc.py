"""The log that MEGC2019's recognition challenge asked of its entrants, read and written.

A fold, that is a subject, begins with a line of the data base's and the subject's name; a line a
clip follows: its name, the true class and the predicted one, as numbers, in this order:

    casme2 sub01
    EP02_01f 1 1
    EP19_05f 0 1

For the challenge 0 is negative, 1 positive, 2 surprise. In a log of another protocol the numbers
are the places of its classes, in its order; that is ours, the challenge had one protocol. Names
are the challenge's in a log and ours elsewhere: `smic s01` is subject 1 of smic_hs.

UAR is the mean of the classes' recalls here, as the challenge defines it and `metrics` computes it.
Not every published "UAR" is. The one log of the challenge that is public in this format, that of
STSTNet (Liong et al., FG 2019), gives its published UF1 of 0.7353 on the composite; the 0.7605 that
the paper calls UAR is the mean *precision* of that log, and its mean recall is 0.7186. A table of
others' UAR may mix the two: recompute it from a log where there is one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from micron_jax.datasets.protocols import THREE
from micron_jax.errors import UserError
from micron_jax.evaluation.prediction import Prediction, refused, write_text

# Our set -> the log's name, its subject's prefix, the digits of the number in the log and in ours.
NAMES = {
    "casme2": ("casme2", "sub", 2, 2),
    "smic_hs": ("smic", "s", 2, 1),
    "samm": ("samm", "", 3, 3),
}
OURS = {name: dataset for dataset, (name, *_) in NAMES.items()}


def parse_log(
    path: Path, text: str, classes: Sequence[str] | None = None
) -> Iterator[tuple[int, Prediction]]:
    """A log's text -> (row, prediction) a clip, each subject a fold.

    Args:
      path: for messages.
      text: the log; spaces or tabs between columns, empty lines anywhere.
      classes: what the numbers mean; MEGC2019's three by default.

    Raises:
      UserError: a line is none of the two kinds, or its class is none of `classes`.
    """
    classes = THREE if classes is None else classes
    fold = None
    for row, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if len(words) == 2:
            fold = _subject(*words)
        elif len(words) == 3 and fold:
            dataset, subject = fold
            label, prediction = (_class(path, row, word, classes) for word in words[1:])
            clip = _clip(dataset, subject, words[0])
            name = f"{dataset}/{subject}"
            yield row, Prediction(clip, subject, label, prediction, set=dataset, fold=name)
        elif words:
            raise refused(
                path,
                row,
                f"{line.strip()!r} is neither `DATABASE SUBJECT` nor, below such a line, "
                "`CLIP TRUTH PREDICTION`",
            )


def write_log(
    path: Path, predictions: Sequence[Prediction], classes: Sequence[str] | None = None
) -> None:
    """Writes predictions of one seed as a log, whole or not at all; subjects in their order.

    Args:
      classes: of the protocol, whose places are the log's numbers; MEGC2019's three by default.

    Raises:
      UserError: a log cannot hold this: several seeds, a set without name, a name with a space,
        a class that is not among `classes`.
    """
    classes = THREE if classes is None else classes
    for name in {one.label for one in predictions} | {one.prediction for one in predictions}:
        if name not in classes:
            known = ", ".join(classes)
            raise UserError(f"class {name!r} is none of {known}: a MEGC log needs --protocol")
    seeds = {one.seed for one in predictions}
    if len(seeds) > 1:
        raise UserError(f"a MEGC log holds one run, here are {len(seeds)}: choose with --seed")
    if any(not one.set for one in predictions):
        raise UserError("a MEGC log names the data set: add a column `set`, or give --protocol")
    folds: dict[tuple[str, str], list[str]] = {}
    for one in predictions:
        database, subject = _in_log(one.set, one.subject)
        clip = one.clip.rsplit("/", 1)[-1] if one.set in NAMES else one.clip
        for name in (database, subject, clip):
            if len(name.split()) != 1:
                raise UserError(f"{name!r}: a MEGC log cannot hold a name with spaces")
        numbers = [classes.index(one.label), classes.index(one.prediction)]
        folds.setdefault((database, subject), []).append(f"{clip} {numbers[0]} {numbers[1]}")
    blocks = ["\n".join([" ".join(fold), *lines]) for fold, lines in folds.items()]
    write_text(path, "\n".join(blocks) + "\n")


def _subject(database: str, subject: str) -> tuple[str, str]:
    """The log's names -> ours."""
    dataset = OURS.get(database.casefold(), database)
    if dataset in NAMES:
        _, prefix, _, digits = NAMES[dataset]
        number = subject.casefold().removeprefix(prefix)
        subject = number.lstrip("0").zfill(digits) if number.isdecimal() else subject
    return dataset, subject


def _in_log(dataset: str, subject: str) -> tuple[str, str]:
    if dataset not in NAMES:
        return dataset, subject
    database, prefix, digits, _ = NAMES[dataset]
    return database, prefix + subject.zfill(digits) if subject.isdecimal() else subject


def _clip(dataset: str, subject: str, clip: str) -> str:
    """CASME II's clips have their names twice, in two subjects: ours stand below the subject's."""
    return f"sub{subject}/{clip}" if dataset == "casme2" and "/" not in clip else clip


def _class(path: Path, row: int, word: str, classes: Sequence[str]) -> str:
    if word.isdecimal() and int(word) < len(classes):
        return classes[int(word)]
    known = ", ".join(f"{number} {name}" for number, name in enumerate(classes))
    raise refused(path, row, f"class {word!r} is not known; there are: {known}")
