"""4DME: micro-expressions, the gray camera's clips, 60 fps."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import ClipSet, Entry, columns


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression."""
    return [Entry.of(row, f"{row['subject']}/{row['clip']}", row["subject"])]


FOURDME = ClipSet(
    name="fourdme",
    title="4DME: micro-expressions of the gray camera, 60 fps",
    fps=60.0,
    sheet_files=("4dme_labelling_micro*.xls*",),
    columns=columns(
        subject="sub_ID",
        clip="fold_name",
        onset="Onset",
        apex="Apex",
        offset="Offset",
        action_units="AUs",
        emotion="Emotion",
    ),
    entries=entries,
    folders=lambda entry: [("gray_micro", *entry.clip.split("/"))],
    emotions=("positive", "negative", "surprise", "repression", "others"),
    compound=True,
)
