"""CAS(ME)3: part A, 860 labeled micro-expressions of 94 subjects; part C, 165 of 30; 30 fps."""

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import MIDDLE, ClipSet, Entry, Mend, columns
from micron_jax.datasets.subjects import spelled

VENDOR = "a typing mistake; the value of the owners' CAS(ME)3_part_A_v2.xls"
NO_FRAME_0 = "there is no frame 0; the owners' list of errors adds 1"
LONG_NOTE = (
    "spNO.214/c/5 is 115 s long in the sheet (5..3460), which is kept; others end it at frame 34"
)
MENDS = (
    Mend("spNO.149/d/112", "apex", "83", "160", VENDOR),
    Mend("spNO.216/d/3647", "onset", "3647", "2647", VENDOR),
    Mend("spNO.40/e/1812", "offset", "0", "1845", VENDOR),
    Mend("spNO.40/e/2327", "offset", "0", "2403", VENDOR),
    Mend("spNO.216/e/0", "onset", "0", "1", NO_FRAME_0),
    Mend("spNO.216/e/0", "apex", "0", "1", NO_FRAME_0),
)


def part_a(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression; its key needs the onset, too."""
    subject = spelled("casme3", row["subject"])
    return [Entry.of(row, f"{subject}/{row['clip']}/{row['onset']}", subject)]


def part_a_folders(entry: Entry) -> list[tuple[str, ...]]:
    """Returns the folder of the recording, and that of the clip that was cut out of it."""
    subject, recording = entry.subject, entry.row["clip"]
    # The clip's folder may have the onset of the sheet or the mended one.
    onsets = dict.fromkeys((entry.row["onset"], entry.onset))
    cut = [("frame", f"{subject}_{recording}_{onset}") for onset in onsets]
    return [(subject, recording, "color"), *cut]


def part_c(row: Row) -> list[Entry]:
    """Returns the row's one micro-expression, of the subject's only recording."""
    subject = spelled("casme3_c", row["subject"])
    return [Entry.of(row, f"{subject}/{row['clip']}/{row['onset']}", subject, apex=MIDDLE)]


def part_c_folders(entry: Entry) -> list[tuple[str, ...]]:
    """Returns the folders that may hold the subject's recording."""
    place = ("part_C", entry.subject)
    return [(*place, "a", "color"), (*place, "color"), place]


CASME3 = ClipSet(
    name="casme3",
    title="CAS(ME)3 part A: 860 micro-expressions, 94 subjects, 30 fps, color",
    fps=30.0,
    sheet_files=("cas(me)3_part_a_me_label*.xls*",),
    sheets=("label", "Sheet1"),  # of the second version and of the first
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
    mends=MENDS,
    notes=(LONG_NOTE,),
    several_folders=True,
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
