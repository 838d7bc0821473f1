"""DFME: the public 2,629 micro-expressions of 259 subjects, 200, 300 or 500 fps by the row."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import ClipSet, Entry, columns
from micron_jax.datasets.subjects import spelled

SPLITS = {
    "train": ("training_full*.xls*", "train_full*.xls*"),
    "test a": ("testa_full*.xls*",),
    "test b": ("testb_full*.xls*",),
}


def entries(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression."""
    return [Entry.of(row, row["clip"], spelled("dfme", row["subject"]))]


DFME = ClipSet(
    name="dfme",
    title="DFME: 2,629 micro-expressions, 259 subjects, 200, 300 and 500 fps, a fixed split",
    fps=0.0,
    sheet_files=tuple(pattern for patterns in SPLITS.values() for pattern in patterns),
    splits=SPLITS,
    columns=columns(
        subject="Subject",
        clip="Filename",
        onset="OnsetFrame",
        apex="ApexFrame",
        offset="OffsetFrame",
        emotion="Emotion",
        fps="Fps",
        action_units="AU",
    ),
    optional=("action_units",),
    entries=entries,
    folders=lambda entry: [(entry.clip,)],
    emotions=("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
    several_folders=True,  # of the parts of the split
)
