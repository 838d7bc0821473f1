"""SAMM: 159 micro-movements of 29 subjects, 200 fps, gray."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import HEADINGS, MIDDLE, ClipSet, Entry, Mend, columns
from micron_jax.datasets.subjects import spelled

OUTSIDE = "the sheet's apex lies outside onset..offset: the middle is taken"

TYPED = "a typing mistake (outside onset..offset); the value of corrected copies of the sheet"


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-movement."""
    return [Entry.of(row, row["clip"], spelled("samm", row["subject"]))]  # `006` is text


SAMM = ClipSet(
    name="samm",
    title="SAMM: 159 micro-movements, 29 subjects, 200 fps, gray",
    fps=200.0,
    sheet_files=("samm_micro_facs_codes*.xls*", "samm_*_micro_facs_codes*.xls*", "samm.xls*"),
    sheets=("MICRO_ONLY",),
    columns=HEADINGS | columns(onset="Onset Frame", apex="Apex Frame", offset="Offset Frame"),
    entries=entries,
    folders=lambda entry: [(entry.subject, entry.clip)],
    emotions=("anger", "other", "happiness", "surprise", "contempt", "disgust", "fear", "sadness"),
    mends=(
        Mend("028_4_1", "apex", "1143", "1113", TYPED),
        Mend("032_3_1", "apex", "1930", "4930", TYPED),
        Mend("028_4_1", "apex", None, MIDDLE, OUTSIDE),
        Mend("032_3_1", "apex", None, MIDDLE, OUTSIDE),
    ),
)
