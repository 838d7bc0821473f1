"""Logs with one list of labels and one of predictions a subject, without names of clips.

The code of STSTNet (Liong et al., FG 2019) and of those who started from it prints, a subject,

    Subject: sub01
    Predicted   : [0, 2]
    Ground Truth: [0, 1]

with other lines between them, or behind the mark of a logger. HTNet and CausalNet print `Best
Predicted`, and keep all subjects as a dictionary of Python or JSON, which may stand in any file:

    {'sub01': {'pred': [0, 2], 'truth': [0, 1]}, ...}

A number is the place of a class in the protocol; without one 0 is negative, 1 positive, 2 surprise.
A clip is called by its label and its place among the subject's clips of that label, `#negative-1`.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from micron_jax.datasets.protocols import THREE
from micron_jax.errors import Notice
from micron_jax.evaluation.megc import DATABASES, class_at, person_of
from micron_jax.evaluation.prediction import UNNAMED, Prediction, row_error

# What stands before the words of a line: nothing, `INFO:root:`, `[12:30] `, `===== Testing `.
_BEFORE = r"(?im)^(?:[^\n]*[:\]\-=|>])?[ \t]*(?:testing[ \t]+)?"
_LINE = re.compile(
    _BEFORE + r"(?:(?P<best>best[ _])?(?P<word>subject|predicted|predictions?|ground[ _]?truth)"
    r"[ \t]*[:=])[ \t]*(?P<value>(?:\w*\()*\[[^\]]*\]|[^\s\[][^\n=]*)"
)
_ENTRY = re.compile(r"(?P<mark>['\"])(?P<subject>[^'\"\n]+)(?P=mark)\s*:\s*\{(?P<body>[^{}]*)\}")
_LIST = r"['\"](?:%s)['\"]\s*:\s*\[([^\]]*)\]"
_PREDICTED, _TRUTH = (re.compile(_LIST % words) for words in ("pred", "truth|true|gt"))
_ITEM = re.compile(r"[^\s,\[\]()'\"]+")

# How the composite's public data writes subjects, and of which set they are.
_NAMES = {"casme2": r"sub\d+", "smic_hs": r"s\d+", "samm": r"\d{3}"}


class _Subject(NamedTuple):
    """One subject's lists, as text; `row` of the file is where they begin."""

    row: int
    name: str
    labels: list[str]
    predictions: list[str]


def is_subject_log(text: str) -> bool:
    """Tells whether a text holds such lists."""
    words = {_word(match) for match in _lists(text)}
    return {"predicted", "truth"} <= words or any(True for _ in _dictionary(text))


def parse_subject_log(
    path: Path, text: str, classes: Sequence[str] | None = None, sets: Sequence[str] = ()
) -> Iterator[tuple[int, Prediction]]:
    """Yields (row number, prediction) of a log's text; each subject is a fold.

    Args:
      classes: the class of each number; MEGC2019's three by default.
      sets: of the protocol. With several, or without any in a log that writes subjects in two or
        more of the ways of the composite's sets, the way tells the set.

    Raises:
      UserError: a subject has no lists, two of them, or lists of different lengths; or a class is
        none of `classes`.
    """
    classes = THREE if classes is None else classes
    subjects = list(_printed(path, text)) or list(_dictionary(text))
    earlier: dict[str, int] = {}
    for row, name, labels, predictions in subjects:
        if name in earlier:
            reason = f"subject {name} stood in row {earlier[name]} already"
            raise row_error(path, row, f"{reason}: give each run as a file of its own")
        earlier[name] = row
        if len(labels) != len(predictions):
            reason = f"subject {name} has {len(labels)} labels, but {len(predictions)} predictions"
            raise row_error(path, row, f"{reason}: correct the lists, or remove the subject")
    ways = {name: _set_of(name) for name in earlier}
    several = len(sets) > 1 or (not sets and len(set(ways.values())) > 1)
    for row, name, labels, predictions in subjects:
        dataset, subject = "", name
        if several and ways[name]:
            dataset, subject = person_of(DATABASES[ways[name]][0], name)
        places: Counter = Counter()
        for words in zip(labels, predictions, strict=True):
            label, prediction = (_class(path, row, word, classes) for word in words)
            places[label] += 1
            clip = f"{UNNAMED}{label}-{places[label]}"
            fold = f"{dataset}/{subject}" if dataset else subject
            yield row, Prediction(clip, subject, label, prediction, set=dataset, fold=fold)


def _printed(path: Path, text: str) -> Iterator[_Subject]:
    """Yields the subjects of printed lines."""
    lines = list(_LINE.finditer(text))
    plain = any(_word(line) == "predicted" and not line["best"] for line in lines)
    blocks: list[dict] = []
    for line in lines:
        word, row = _word(line), text.count("\n", 0, line.start("value")) + 1
        if word == "subject":
            blocks.append({"row": row, "name": line["value"].strip().strip("'\"")})
        elif not line["value"].rstrip().endswith("]") or (line["best"] and plain):
            continue
        elif not blocks:
            raise row_error(path, row, "a list without a line `Subject: NAME` above it")
        elif word in blocks[-1]:
            name = blocks[-1]["name"]
            raise row_error(path, row, f"a second list of subject {name}; a subject has one")
        else:
            blocks[-1][word] = _items(line["value"])
    if not any("predicted" in block for block in blocks):
        return
    if not plain:
        message = (
            f"{path}: `Best Predicted` is the epoch that is best on each test subject; its figures "
            "are no result (leaky)"
        )
        warnings.warn(Notice(message), stacklevel=2)
    for block in blocks:
        for word, title in (("predicted", "Predicted"), ("truth", "Ground Truth")):
            if word not in block:
                reason = f"subject {block['name']} has no list `{title}: [...]`"
                mend = "if the run broke off here, remove the subject's lines"
                raise row_error(path, block["row"], f"{reason}; {mend}")
        yield _Subject(block["row"], block["name"], block["truth"], block["predicted"])


def _dictionary(text: str) -> Iterator[_Subject]:
    """Yields the subjects of a dictionary, but for lines that are comments."""
    text = re.sub(r"(?m)^[ \t]*#.*$", "", text)
    for entry in _ENTRY.finditer(text):
        lists = [pattern.search(entry["body"]) for pattern in (_TRUTH, _PREDICTED)]
        if all(lists):
            row = text.count("\n", 0, entry.start()) + 1
            yield _Subject(row, entry["subject"].strip(), *(_items(one[1]) for one in lists))


def _lists(text: str) -> Iterator[re.Match]:
    return (line for line in _LINE.finditer(text) if "[" in line["value"])


def _word(line: re.Match) -> str:
    first = line["word"].casefold()[0]
    return {"s": "subject", "p": "predicted", "g": "truth"}[first]


def _items(value: str) -> list[str]:
    return _ITEM.findall(value[value.find("[") + 1 :])


def _class(path: Path, row: int, word: str, classes: Sequence[str]) -> str:
    """Returns the class of an item, a number (`2`, `2.0`) or a class's own name."""
    number = re.fullmatch(r"(\d+)(?:\.0*)?", word)
    return class_at(path, row, number[1], classes) if number or word not in classes else word


def _set_of(subject: str) -> str:
    """Returns the set of a subject of the composite by the way it is written; empty if none."""
    ways = [name for name, way in _NAMES.items() if re.fullmatch(way, subject.casefold())]
    return ways[0] if ways else ""
