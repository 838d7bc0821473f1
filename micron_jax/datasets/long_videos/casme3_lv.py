"""CAS(ME)3 part A, whole recordings: 4,206 expressions in 956 of them, 98 subjects, 30 fps."""

import re
from pathlib import Path

from micron_jax.datasets.annotations import missing_columns, read_rows, sheet_names
from micron_jax.datasets.casme3 import CASME3
from micron_jax.datasets.clipset import columns
from micron_jax.datasets.long_videos.longset import LongSet, LongSheet, SheetRow
from micron_jax.datasets.subjects import spelled
from micron_jax.datasets.vendor_files import named_as
from micron_jax.errors import UserError

COLUMNS = columns(
    subject="Subject",
    recording="Filename",
    onset="Onset",
    apex="Apex",
    offset="Offset",
    kind="Expression type",
)
INSTRUCTIONS = """\
CAS(ME)3 is free for research, under a license a staff member signs.
Ask: http://casme.psych.ac.cn/casme/e4 (Institute of Psychology, Chinese Academy of Sciences).
Ask for: the color frames of part A, whole recordings, and their annotation.
Put them below one folder, unpacked, and name that folder with --source:
  annotation/CAS(ME)3_part_A_v2.xls                          (sheet AU+Emotion)
  annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx       (if wanted: emotions of the micro ones)
  part_A/spNO.1/a/color/1.jpg ...
Depth maps are not read. The sheet alone is enough to evaluate detections; false alarms a minute
need the recordings."""


def read(path: Path) -> LongSheet:
    """Reads the sheet of macro- and micro-expressions; UserError if the workbook has none."""
    names = sheet_names(path)
    fits = [name for name in names if not missing_columns(path, name, COLUMNS)]
    # The first version has a sheet of its micro-expressions beside.
    sheet = max(fits or names[:1], key=lambda name: len(read_rows(path, name, COLUMNS)))
    rows = []
    for row in read_rows(path, sheet, COLUMNS):
        if fault := next(iter(row.faults.items()), None):
            raise UserError(f"{path}, row {row.number}, {fault[0]}: {fault[1]}")
        subject, recording = spelled("casme3", row["subject"]), row["recording"].casefold()
        times = [row[name] for name in ("onset", "apex", "offset")]
        clip = f"{subject}/{recording}/{row['onset']}"
        video = f"{subject}/{recording}"
        rows.append(SheetRow(row.number, subject, video, *times, row["kind"], clip=clip))
    return LongSheet(sheet, rows)


def emotions(workbooks: list[Path], rows: list[SheetRow]) -> tuple[dict[int, str], str]:
    """Returns the emotions of micro-expressions, which another sheet has, if it is there."""
    onsets = {mend.clip: mend.now for mend in CASME3.mends if mend.field == "onset"}
    for path in workbooks:
        for sheet in sheet_names(path) if named_as(path, CASME3) else ():
            if missing_columns(path, sheet, CASME3.columns, CASME3.optional):
                continue
            emotion = {}
            for line in read_rows(path, sheet, CASME3.columns, CASME3.optional):
                place = f"{spelled('casme3', line['subject'])}/{line['clip']}"
                for onset in (line["onset"], onsets.get(f"{place}/{line['onset']}")):
                    emotion[f"{place}/{onset}".casefold()] = line["emotion"]
            micro = [row for row in rows if row.kind.casefold().startswith("micro")]
            named = {row.number: row.clip.casefold() for row in micro}
            return {n: emotion[clip] for n, clip in named.items() if clip in emotion}, path.name
    return {}, ""


def video_key(text: str) -> str:
    """Returns `1_a` for `spNO.1/a`, `001/a`, `1_a`, `part_A/spNO.1/a/color`."""
    pattern = r"(?:.*\D)?0*(\d{1,4})[/_]([a-m])(?:/color)?(?:\.\w+)?/?"
    match = re.fullmatch(pattern, text.replace("\\", "/").casefold())
    return f"{match[1]}_{match[2]}" if match else ""


CASME3_LV = LongSet(
    name="casme3_lv",
    title="CAS(ME)3 part A, whole recordings to spot in: 3,346 macro, 860 micro, 98 subjects",
    fps=30.0,
    sheet_files=("cas(me)3_part_a_v*", "cas(me)3_part_a"),
    read=read,
    video_key=video_key,
    tail=r"spno\.?\d+/[a-m](?:/color)?(?:\.\w+)?",
    counts={
        "v2": {"videos": 956, "subjects": 98, "macro": 3346, "micro": 860},
        "v1": {"videos": 956, "subjects": 98, "macro": 3285, "micro": 921},
    },
    labels=emotions,
    instructions=INSTRUCTIONS,
)
