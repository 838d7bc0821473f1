"""CAS(ME)3: part A, 860 labeled micro-expressions of 94 subjects; part C, 165 of 30; 30 fps."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import MIDDLE, ClipSet, Entry, Rule, columns, number
from micron_jax.datasets.subjects import spelled

OUT_OF_ORDER = "frame numbers out of order (five rows of the sheet, whose keys are not published)"


def part_a(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression; its key needs the onset, too."""
    subject = spelled("casme3", row["subject"])
    return [Entry.of(row, f"{subject}/{row['clip']}/{row['onset']}", subject)]


def part_a_folders(entry: Entry) -> list[tuple[str, ...]]:
    """Returns the folder of the recording, and that of the clip that was cut out of it."""
    subject, recording, onset = entry.subject, entry.row["clip"], entry.row["onset"]
    return [(subject, recording, "color"), ("frame", f"{subject}_{recording}_{onset}")]


def part_c(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression, of the subject's only recording."""
    subject = spelled("casme3_c", row["subject"])
    return [Entry.of(row, f"{subject}/{row['clip']}/{row['onset']}", subject, apex=MIDDLE)]


def part_c_folders(entry: Entry) -> list[tuple[str, ...]]:
    """Returns the folders that may hold the subject's recording."""
    place = ("part_C", entry.subject)
    return [(*place, "a", "color"), (*place, "color"), place]


def in_order(entry: Entry, first: int, last: int) -> dict[str, str] | None:
    """Mends impossible frame numbers without adding to the sheet.

    A 0 where files count from 1 becomes the first frame; an offset before the apex becomes the
    apex; any other apex outside the clip becomes its middle.
    """
    onset, apex, offset = number(entry.onset), number(entry.apex), number(entry.offset)
    if None in (onset, apex, offset):
        return None
    change = {}
    if onset == 0 and first == 1:
        onset = change["onset"] = 1
    if apex == 0 and onset == 1:
        apex = change["apex"] = 1
    if offset < apex and onset <= apex <= last and not onset < offset:
        change["offset"] = apex
    elif not onset <= apex <= offset and onset < offset:
        change["apex"] = (onset + offset) // 2
    return {field: str(value) for field, value in change.items()} or None


CASME3 = ClipSet(
    name="casme3",
    title="CAS(ME)3 part A: 860 micro-expressions, 94 subjects, 30 fps, color",
    fps=30.0,
    sheet_files=("cas(me)3_part_a_me_label*.xls*",),
    sheets=("label",),
    columns=columns(
        subject="Subject",
        clip="Filename",
        onset="Onset",
        apex="Apex",
        offset="Offset",
        action_units="AU",
        emotion="emotion",
    ),
    entries=part_a,
    folders=part_a_folders,
    emotions=("disgust", "surprise", "others", "fear", "anger", "sad", "happy"),
    rules=(Rule(5, in_order, OUT_OF_ORDER),),
)

CASME3_C = ClipSet(
    name="casme3_c",
    title="CAS(ME)3 part C (mock crime): 165 micro-expressions, 30 subjects, 30 fps",
    fps=30.0,
    sheet_files=("cas(me)3_part_c*.xls*", "mockcrimeme*.xls*"),
    sheets=("mockCrimeME",),
    columns=columns(
        subject="sub",
        clip="count",
        onset="onset",
        offset="offset",
        action_units="au",
        emotion="emotion",
    ),
    entries=part_c,
    folders=part_c_folders,
    emotions=("negative", "surprise", "others", "positive"),
    notes=("part C has no apex: the middle of onset and offset is taken",),
)
