"""MMEW: 300 micro-expressions, 90 fps."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import HEADINGS, MIDDLE, ClipSet, Entry, Rule, columns, number
from micron_jax.datasets.subjects import spelled


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression."""
    return [Entry.of(row, row["clip"], spelled("mmew", row["subject"]))]


def folders(entry: Entry) -> list[tuple[str, ...]]:
    """Returns the folder of the emotion; clips of `others` lie in `repression`."""
    emotion = entry.emotion.casefold()
    names = ["repression", emotion] if emotion == "others" else [emotion]
    return [("Micro_Expression", name, entry.clip) for name in names]


def within_folder(entry: Entry, first: int, last: int) -> dict[str, str] | None:
    """Moves an offset outside the clip's folder to its last file, such an apex to the middle."""
    onset, apex, offset = number(entry.onset), number(entry.apex), number(entry.offset)
    if onset is None or not first <= onset <= last:
        return None
    change = {}
    if offset is None or not onset <= offset <= last:
        offset, change["offset"] = last, str(last)
    if apex is None or not onset <= apex <= offset:
        change["apex"] = MIDDLE
    return change or None


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
            16,
            within_folder,
            "apex or offset impossible (16 rows of the sheet, whose keys are not published): the "
            "folder's last file ends the clip, the apex is its middle",
        ),
    ),
)
