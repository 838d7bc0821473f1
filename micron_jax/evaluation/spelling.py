"""One spelling of classes, sets and subjects in tables of predictions.

Programs write a class as `Negative`, `negative `, 1, 1.0 or 01, and a subject as 01, 1 or sub01.
Without this rule two spellings of one class would count as two, and UF1 would be 0.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from micron_jax.datasets.names import class_key, set_names
from micron_jax.datasets.subjects import person, usual_spellings
from micron_jax.evaluation.prediction import Prediction


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
