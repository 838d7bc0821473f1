"""MMEW: 300 micro-expressions, 90 fps."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import HEADINGS, ClipSet, Entry, Rule, columns, number
from micron_jax.datasets.subjects import spelled


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression."""
    return [Entry.of(row, row["clip"], spelled("mmew", row["subject"]))]


def folders(entry: Entry) -> list[tuple[str, ...]]:
    """Returns the folder of the emotion; clips of `others` lie in `repression`."""
    emotion = entry.emotion.casefold()
    names = ["repression", emotion] if emotion == "others" else [emotion]
    return [("Micro_Expression", name, entry.clip) for name in names]


# Lines of the sheet with an impossible apex or offset -> the right (apex, offset), as the package
# `meb` has them; the names of these clips are not published.
ENDS = {
    35: (40, 75),
    37: (15, 54),
    38: (46, 59),
    39: (20, 98),
    40: (25, 80),
    41: (20, 93),
    42: (23, 58),
    43: (28, 61),
    44: (32, 68),
    144: (56, 88),
    145: (32, 80),
    147: (27, 85),
    148: (22, 61),
    150: (29, 108),
    156: (31, 72),
    158: (38, 106),
}


def by_line(entry: Entry, first: int, last: int) -> dict[str, str] | None:
    """Returns the right apex and offset of a line of `ENDS`, if the clip's folder has them."""
    onset, (apex, offset) = number(entry.onset), ENDS.get(entry.row.number, (None, None))
    if onset is None or apex is None or not first <= onset <= apex <= offset <= last:
        return None
    ends = {"apex": str(apex), "offset": str(offset)}
    return {field: now for field, now in ends.items() if getattr(entry, field) != now} or None


MMEW = ClipSet(
    name="mmew",
    title="MMEW: 300 micro-expressions, 90 fps",
    fps=90.0,
    sheet_files=("mmew_micro_exp*.xls*",),
    columns=HEADINGS | columns(onset="OnsetFrame", apex="ApexFrame", offset="OffsetFrame"),
    entries=entries,
    folders=folders,
    emotions=("happiness", "surprise", "anger", "disgust", "fear", "sadness", "others"),
    rules=(
        Rule(
            len(ENDS),
            by_line,
            "apex or offset impossible (one of 16 known lines): the values of the package meb",
        ),
    ),
)
