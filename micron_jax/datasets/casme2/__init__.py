"""CASME II: 255 micro-expressions of 26 subjects, 200 fps."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import HEADINGS, MIDDLE, ClipSet, Entry, Mend, columns
from micron_jax.datasets.subjects import spelled


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression."""
    subject = spelled("casme2", row["subject"])  # text `01` or the number 1
    return [Entry.of(row, f"sub{subject}/{row['clip']}", subject)]


CASME2 = ClipSet(
    name="casme2",
    title="CASME II: 255 micro-expressions, 26 subjects, 200 fps",
    fps=200.0,
    sheet_files=("casme2-coding-*.xls*",),
    columns=HEADINGS | columns(onset="OnsetFrame", apex="ApexFrame", offset="OffsetFrame"),
    entries=entries,
    folders=lambda entry: [tuple(entry.clip.split("/"))],
    emotions=("others", "disgust", "happiness", "repression", "surprise", "sadness", "fear"),
    mends=(
        Mend("sub04/EP12_01f", "apex", "/", MIDDLE, "the sheet has no apex: the middle is taken"),
    ),
)
