"""Subjects: the one rule that tells who is whom, and the usual spelling of each set.

People write one subject as 1, 01, sub01, Sub1, s01, spNO.1 or １. In one set these are one person.
In two sets they are two people: the set is part of a person's key.
"""

import dataclasses
import functools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.sheets.cells import clean
from micron_jax.datasets.synthetic_names import unmarked

Person = tuple[str, str]  # set, key of the subject

# Sets that number their subjects, and the spelling of their sheets.
USUAL = {
    "casme2": "{:02}",
    "samm": "{:03}",
    "smic_hs": "{}",
    "smic_vis": "{}",
    "smic_nir": "{}",
    "smic_hs_e": "{}",
    "smic_vis_e": "{}",
    "casme3": "spNO.{}",
    "casme3_c": "{:02}",
    "mmew": "S{:02}",
    "dfme": "sub{:04}",
}
WORDS = "s|sub|subj|subject|sp|spno|no|p|person|participant"  # before a number


def numbers_subjects(dataset: str) -> bool:
    """Tells whether a set, or a synthetic one in its layout, numbers its subjects."""
    return unmarked(dataset) in USUAL


def key(dataset: str, subject: str) -> str:
    """Returns the key of a subject in its set; two spellings of one person have one key.

    Case, leading zeros, width of digits and spaces do not matter; in a set that numbers its
    subjects, the word before the number does not, either. `1a` and `1` stay two people.
    """
    text = plain(subject)
    number = numbered(text) if numbers_subjects(dataset) else None
    return text if number is None else str(number)


def person(dataset: str, subject: str) -> Person:
    """Returns the key of a person among all sets."""
    return dataset, key(dataset, subject)


def spelled(dataset: str, subject: str) -> str:
    """Returns a subject in the usual spelling of its set, or as it is written if there is none."""
    number = numbered(plain(subject))
    if numbers_subjects(dataset) and number is not None:
        return USUAL[unmarked(dataset)].format(number)
    return clean(subject)


def usual_spellings(subjects: Iterable[tuple[str, str]]) -> dict[Person, str]:
    """Returns the one spelling of each person: the only one, or that of the set, or the commonest.

    Args:
      subjects: (set, subject as it is written); their order does not matter.
    """
    ways: dict[Person, Counter] = defaultdict(Counter)
    for dataset, subject in subjects:
        ways[person(dataset, subject)][clean(subject)] += 1
    names = {}
    for who, texts in ways.items():
        common = min(texts, key=lambda text: (-texts[text], text))
        names[who] = common if len(texts) == 1 else spelled(who[0], common)
    return names


def respelled(samples: Sequence[Sample]) -> list[Sample]:
    """Returns samples with each subject in its one spelling."""
    names = usual_spellings((sample.dataset, sample.subject) for sample in samples)
    return [
        dataclasses.replace(sample, subject=names[person(sample.dataset, sample.subject)])
        for sample in samples
    ]


def numbered(text: str) -> int | None:
    """Returns the number of a `plain` subject that is a number, with or without a usual word."""
    match = re.fullmatch(rf"(?:{WORDS})?(\d{{1,18}})", text)
    return int(match[1]) if match else None


@functools.lru_cache(maxsize=10_000)
def plain(subject: str) -> str:
    """Returns a subject without case, width, outer spaces and leading zeros: `spNO.01` -> `spno1`.

    `1.0`, as programs write a number, is 1.
    """
    text = " ".join(unicodedata.normalize("NFKC", clean(subject)).casefold().split())
    text = re.sub(r"(\d+)\.0+", r"\1", text) if re.fullmatch(r"\d+\.0+", text) else text
    text = re.sub(r"(?<=[^\W\d_])[\s._#:-]+(?=\d)", "", text)
    return re.sub(r"(?<!\d)(?<!\d\.)0+(?=\d)", "", text)
