"""One spelling of classes and sets, whatever program or person wrote them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from micron_jax.datasets.catalog import SETS
from micron_jax.datasets.sheets.cells import clean

MISSING = ("nan", "<na>", "#n/a", "null", "none")  # how programs write a missing value
NO_CLASS = (*MISSING, "n/a", "na", "nat")


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
