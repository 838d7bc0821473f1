"""One spelling of classes, sets and subjects in tables of predictions.

Programs write a class as `Negative`, `negative `, 1, 1.0 or 01, and a subject as 01, 1 or sub01.
Without this rule two spellings of one class would count as two, and UF1 would be 0.
"""

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from micron_jax.datasets.catalog import SETS
from micron_jax.datasets.sheets.cells import clean
from micron_jax.datasets.subjects import person, usual_spellings
from micron_jax.evaluation.prediction import Prediction


def class_key(word: str) -> str:
    """Returns what spellings of one class share: case, width, spaces, `.0` and leading zeros go."""
    text = " ".join(unicodedata.normalize("NFKC", clean(word)).casefold().split())
    number = re.fullmatch(r"([+-]?\d{1,18})(?:[.,]0*)?", text)
    return str(int(number[1])) if number else text


def set_key(name: str) -> str:
    """Returns what spellings of one set share: `SMIC-HS` is smic_hs, `CASME II` is casme2."""
    text = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
    return text.replace("casmeii", "casme2")


def set_names(names: Iterable[str]) -> dict[str, str]:
    """Returns name as written -> its one spelling: the benchmark's, or else the commonest."""
    known = {set_key(name): name for name in SETS}
    counted = Counter(names)
    commonest: dict[str, str] = {}
    for name in sorted(counted, key=lambda name: (-counted[name], name)):
        commonest.setdefault(set_key(name), name)
    return {name: known.get(set_key(name), commonest[set_key(name)]) for name in counted}


def one_spelling(
    tables: Sequence[Sequence[Prediction]], classes: Sequence[str] = ()
) -> list[list[Prediction]]:
    """Returns tables of one experiment with each class, set and subject in one spelling.

    Args:
      classes: in their spelling; those of the columns p_CLASS serve, too. Any other class is
        spelled as most labels spell it.
    """
    rows = [row for table in tables for row in table]
    known = (*classes, *(name for row in rows[:1] for name in row.probabilities))
    words = _class_names(rows, known)
    sets = set_names(row.set for row in rows)
    people = usual_spellings((sets[row.set], row.subject) for row in rows)

    def respelled(row: Prediction) -> Prediction:
        name = sets[row.set]
        return dataclasses.replace(
            row,
            set=name,
            subject=people[person(name, row.subject)],
            label=words[row.label],
            prediction=words[row.prediction],
        )

    return [[respelled(row) for row in table] for table in tables]


def _class_names(rows: Sequence[Prediction], known: Iterable[str]) -> Mapping[str, str]:
    """Returns word -> the one spelling of its class."""
    spellings: dict[str, str] = {}
    for column in ("prediction", "label"):  # the labels' spelling goes before the predictions'
        counted = Counter(getattr(row, column) for row in rows)
        commonest_last = reversed(counted.most_common())
        spellings |= {class_key(word): word for word, _ in commonest_last}
    spellings |= {class_key(name): name for name in known}
    return {
        word: spellings[class_key(word)] for row in rows for word in (row.label, row.prediction)
    }
