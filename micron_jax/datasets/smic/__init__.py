"""SMIC: short clips (HS of 100 fps, VIS and NIR of 25), and SMIC-E, the long clips around them.

Folders annotate the short clips: their names say the subject, the emotion and the clip. The
workbooks annotate SMIC-E; they lack clips that SMIC HS has.
"""

import functools
import re

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import MIDDLE, ClipSet, Entry, Mend, columns, number
from micron_jax.datasets.subjects import spelled

EMOTIONS = ("negative", "positive", "surprise")
CODES = {"ne": "negative", "po": "positive", "sur": "surprise"}  # in the name of a clip
CLIP = re.compile(r"s0*(\d+)_(ne|po|sur)_\d+", re.IGNORECASE)
LONG = re.compile(r"(?:smic|hs|vis|nir)[^a-z0-9]*(?:e|long)(?![a-z])")  # a folder of SMIC-E

WRONG = "s18_sur_03"
SURPRISE_NOTE = "marked as negative; the clip's name and the published counts say surprise"
MIDDLE_NOTE = "SMIC has no apex: the middle of onset and offset is taken, as the field does"
FOLDERS_NOTE = (
    "folders annotate the clips: the emotion is a folder's name, onset and offset are the numbers "
    "of the first and the last file of the clip's folder"
)
INTERVALS_NOTE = (
    "the second and third interval of a long clip are samples of their own (NAME#2, NAME#3); one "
    "that lies outside FirstF..LastF, or repeats an earlier one, is a mistake of the sheet and is "
    "left out"
)
MENDS = tuple(
    Mend(clip, "emotion", "negative", "surprise", SURPRISE_NOTE) for clip in (WRONG, f"{WRONG}#2")
)


def entries(row: Row) -> list[Entry]:
    """Returns the micro-expressions of a long clip: one to three (Onset2F, Onset3F)."""
    subject = spelled("smic_hs_e", row["subject"])
    first, last = number(row["first"]), number(row["last"])
    result, intervals = [], set()
    for order in ("", "2", "3"):
        onset, offset = row["onset" + order], row["offset" + order]
        ends = number(onset), number(offset)
        if order and not (onset or offset):
            continue
        if order and (ends in intervals or _outside(ends, first, last)):
            continue
        intervals.add(ends)
        clip = row["clip"] + (f"#{order}" if order else "")
        result.append(Entry.of(row, clip, subject, onset=onset, apex=MIDDLE, offset=offset))
    return result


def _outside(ends: tuple[int | None, int | None], first: int | None, last: int | None) -> bool:
    """Tells whether an interval cannot lie in first..last (None: the sheet does not say it)."""
    low, high = ends
    if low is None or high is None:
        return False  # the plan reports it
    return high < low or (first is not None and low < first) or (last is not None and high > last)


def _long_folders(modality: str, entry: Entry) -> list[tuple[str, ...]]:
    clip, subject = entry.clip.split("#")[0], f"s{entry.subject}"
    # The folder may have the emotion of the sheet or the mended one.
    emotions = dict.fromkeys(filter(None, (entry.emotion, entry.row["emotion"])))
    tops = (f"SMIC-{modality}-E", f"{modality}_long", modality)
    # A folder `micro` below HS holds the short clips.
    deep = [(top, subject, "micro", mood, clip) for top in tops[:2] for mood in emotions]
    return [*((top, subject, clip) for top in tops), *deep]


def _short_folders(entry: Entry) -> list[tuple[str, ...]]:
    return [tuple(entry.row["folder"].split("/"))]


def _from_folder(modality: str, parts: tuple[str, ...], first: int, last: int) -> Entry | None:
    """Returns the entry of a short clip: HS/s1/micro/negative/s1_ne_01.

    One of the levels `micro` and `negative` may be missing; without both it is a long clip.
    """
    top = _top(parts)
    if top is None or modality.lower() not in _words(parts[top]):
        return None
    levels = [part.casefold() for part in parts[top + 1 : -1]]
    match = CLIP.fullmatch(parts[-1])
    people = [part for part in levels if part[-1:].isdigit()] + ([match[1]] if match else [])
    named = CODES[match[2].casefold()] if match else ""
    moods = [part for part in levels if part in EMOTIONS]
    if named and "micro" in levels:
        moods.append(named)
    if not (people and moods) or any(part.startswith("non") for part in levels):
        return None
    subject, faults = spelled("smic_hs", people[0]), {}
    if named and named != moods[0] and parts[-1].casefold() != WRONG:
        faults["emotion"] = f"the folder says {moods[0]}, the clip's name {named}"
    if spelled("smic_hs", people[-1]) != subject:
        faults["subject"] = f"the folder says {people[0]}, the clip's name {people[-1]}"
    row = Row(0, {"folder": "/".join(parts[top:])}, faults)
    times = {"onset": str(first), "apex": MIDDLE, "offset": str(last)}
    return Entry.of(row, parts[-1], subject, emotion=moods[0], **times)


def _top(parts: tuple[str, ...]) -> int | None:
    """Returns the place of the nearest folder named as HS, VIS or NIR; None for SMIC-E's."""
    for place in range(len(parts) - 2, max(len(parts) - 6, -1), -1):
        if {"hs", "vis", "nir"} & set(_words(parts[place])):
            long = any(
                LONG.search(part.casefold()) for part in parts[max(place - 1, 0) : place + 1]
            )
            return None if long else place
    return None


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", name.casefold())


def _short(modality: str, fps: float, count: str) -> ClipSet:
    return ClipSet(
        name=f"smic_{modality.lower()}",
        title=f"SMIC {modality}: {count}, {fps:g} fps",
        fps=fps,
        sheet_files=(),
        columns={},
        entries=lambda row: [],
        folders=_short_folders,
        emotions=EMOTIONS,
        mends=MENDS[:1],
        notes=(MIDDLE_NOTE, FOLDERS_NOTE),
        without_sheet=functools.partial(_from_folder, modality),
        example=f"{modality}/s1/micro/negative/s1_ne_01 (long clips are another set)",
    )


def _long(modality: str, fps: float) -> ClipSet:
    return ClipSet(
        name=f"smic_{modality.lower()}_e",
        title=f"SMIC-E {modality}: long clips, by the workbook, {fps:g} fps",
        fps=fps,
        sheet_files=("smic*annotation*.xls*",),
        sheets=(modality,),
        file_token=modality.lower(),
        columns=columns(
            subject="Subject",
            clip="Filename",
            onset="OnsetF|Onset1F",
            offset="OffsetF|Offset1F",
            onset2="Onset2F",
            offset2="Offset2F",
            onset3="Onset3F",
            offset3="Offset3F",
            first="FirstF",
            last="LastF",
            emotion="Emotion",
        ),
        optional=("onset2", "offset2", "onset3", "offset3", "first", "last"),
        entries=entries,
        folders=functools.partial(_long_folders, modality),
        emotions=EMOTIONS,
        mends=MENDS,
        notes=(MIDDLE_NOTE, INTERVALS_NOTE),
    )


SMIC_HS = _short("HS", 100.0, "164 micro-expressions, 16 subjects")
SMIC_VIS = _short("VIS", 25.0, "visible light, 71 micro-expressions, 8 subjects")
SMIC_NIR = _short("NIR", 25.0, "near infrared, 71 micro-expressions, 8 subjects")
SMIC_HS_E = _long("HS", 100.0)
SMIC_VIS_E = _long("VIS", 25.0)
