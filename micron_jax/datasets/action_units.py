"""Action units of the Facial Action Coding System, as the sheets of the benchmarks write them.

`4+L10`, `R6A+R12`, `AU4, AU7`, `4,38`, `AD38`, `T18`: side, intensity and kind of a unit are
dropped, its number stays. `ref(7B)` is there in the reference frame already and does not move: it
does not count. Cells that leave a unit open (`?`, `L12 or L14`) say nothing.
"""

import re
import unicodedata

_REFERENCE = re.compile(r"\bref\s*\([^)]*\)", re.IGNORECASE)
_UNIT = re.compile(
    r"(?:AU|AD|M|[LRTBAU]|A/[LR])*\s*(?<!\d)(\d{1,2})(?!\d)\s*(?:[A-E](?:/[A-E])?)?(?:\([a-z]\))?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[\s+,;、/&()]*")


def units_of(cell: str) -> frozenset[int] | None:
    """Returns the numbers of a cell's units; None: it is empty, or leaves a unit open."""
    text = unicodedata.normalize("NFKC", cell).strip()
    moving = _REFERENCE.sub(" ", text)
    if not text or not _BETWEEN.fullmatch(_UNIT.sub(" ", moving)):
        return None
    return frozenset(int(number) for number in _UNIT.findall(moving))
