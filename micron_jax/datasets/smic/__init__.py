"""SMIC: 164 micro-expressions of 16 subjects (HS, 100 fps); VIS and NIR, 25 fps."""

import functools

from micron_jax.datasets.annotations import Row
from micron_jax.datasets.clipset import MIDDLE, ClipSet, Entry, Mend, columns
from micron_jax.datasets.subjects import spelled

EMOTIONS = ("negative", "positive", "surprise")

SURPRISE_NOTE = "the sheet says negative; the clip's name and its place say surprise"
MIDDLE_NOTE = "SMIC has no apex: the middle of onset and offset is taken, as the field does"
FOLDERS_NOTE = (
    "where no sheet has NIR: the emotion is the folder's name, onset and offset are the numbers "
    "of the folder's first and last file"
)


def entries(row: Row) -> list[Entry]:
    """Returns the row's micro-expressions: a long clip may hold two or three (Onset2F, Onset3F)."""
    subject = spelled("smic_hs", row["subject"])
    return [
        Entry.of(
            row,
            row["clip"] + (f"#{number}" if number else ""),
            subject,
            onset=row["onset" + number],
            apex=MIDDLE,
            offset=row["offset" + number],
        )
        for number in ("", "2", "3")
        if not number or row["onset" + number] or row["offset" + number]
    ]


def _folders(modality: str, entry: Entry) -> list[tuple[str, ...]]:
    clip, subject = entry.clip.split("#")[0], f"s{entry.subject}"
    # The folder may have the emotion of the sheet or the mended one.
    emotions = dict.fromkeys(filter(None, (entry.emotion, entry.row["emotion"])))
    short = [(modality, subject, "micro", emotion, clip) for emotion in emotions]
    return [*short, (modality, subject, clip)]  # the last: a long clip of SMIC-E


def _from_folder(parts: tuple[str, ...], first: int, last: int) -> Entry | None:
    """Returns the entry of a folder of NIR, whose layout is its annotation."""
    if len(parts) < 5 or (parts[-5].upper(), parts[-3].casefold()) != ("NIR", "micro"):
        return None
    emotion, subject = parts[-2].casefold(), spelled("smic_nir", parts[-4])
    if emotion not in EMOTIONS:
        return None
    times = {"onset": str(first), "apex": MIDDLE, "offset": str(last)}
    return Entry.of(Row(0, {}), parts[-1], subject, emotion=emotion, **times)


def _set(modality: str, fps: float, count: str, **more) -> ClipSet:
    return ClipSet(
        name=f"smic_{modality.lower()}",
        title=f"SMIC {modality}: {count}, {fps:g} fps",
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
            emotion="Emotion",
        ),
        optional=("onset2", "offset2", "onset3", "offset3"),
        entries=entries,
        folders=functools.partial(_folders, modality),
        emotions=EMOTIONS,
        **more,
    )


SMIC_HS = _set(
    "HS",
    100.0,
    "164 micro-expressions, 16 subjects",
    mends=(Mend("s18_sur_03", "emotion", "negative", "surprise", SURPRISE_NOTE),),
    notes=(MIDDLE_NOTE,),
)
SMIC_VIS = _set("VIS", 25.0, "visible light", notes=(MIDDLE_NOTE,))
SMIC_NIR = _set(
    "NIR", 25.0, "near infrared", notes=(MIDDLE_NOTE, FOLDERS_NOTE), without_sheet=_from_folder
)
