"""SAMM Long Videos: 502 movements in 147 videos of 30 subjects, 200 fps."""

import re
from pathlib import Path

from micron_jax.datasets.annotations import missing_columns, read_rows, sheet_names
from micron_jax.datasets.clipset import columns
from micron_jax.datasets.long_videos.longset import LongSet, LongSheet, SheetRow
from micron_jax.datasets.long_videos.times import frame_number
from micron_jax.datasets.samm import SAMM
from micron_jax.datasets.subjects import spelled
from micron_jax.datasets.vendor_files import named_as
from micron_jax.errors import UserError

COLUMNS = columns(
    subject="Subject", clip="Filename", onset="Onset", apex="Apex", offset="Offset", kind="Type"
)
INSTRUCTIONS = """\
SAMM Long Videos is free for research, under a license.
Ask: https://helward.mmu.ac.uk/STAFF/M.Yap/dataset.php (Manchester Metropolitan University).
Ask for: the long videos (SAMM_longvideos) and SAMM_LongVideos_V2_Release.xlsx or _V3_.
Put them below one folder, unpacked, and name that folder with --source:
  SAMM_LongVideos_V2_Release.xlsx            (notes above the headings)
  SAMM_longvideos/006_1/006_1_0001.jpg ...
  SAMM_Micro_FACS_Codes_v2.xlsx              (if you have SAMM, too: the emotions of the micro ones)
The sheet alone is enough to evaluate detections; false alarms a minute need the videos."""


def read(path: Path) -> LongSheet:
    """Reads the sheet, whose headings stand below its notes; UserError if it is another."""
    names = sheet_names(path)
    sheet = next((name for name in names if not missing_columns(path, name, COLUMNS)), names[0])
    rows, decimals = [], 0
    for row in read_rows(path, sheet, COLUMNS):
        if fault := next(iter(row.faults.items()), None):
            raise UserError(f"{path}, row {row.number}, {fault[0]}: {fault[1]}")
        match = re.fullmatch(r"(\d{1,3}_\d)_\d+", row["clip"])
        if not match:
            reason = f"Filename {row['clip']!r}, where 006_1_2 is the second of video 006_1"
            raise UserError(f"{path}, row {row.number}: {reason}")
        times = [_whole(row[name]) for name in ("onset", "apex", "offset")]
        decimals += times != [row[name] for name in ("onset", "apex", "offset")]
        subject = spelled("samm", row["subject"] or match[1])
        rows.append(SheetRow(row.number, subject, match[1], *times, row["kind"], clip=row["clip"]))
    note = f"times with decimals are rounded to whole frames ({decimals:,} rows)"
    return LongSheet(sheet, rows, [note] if decimals else [])


def emotions(workbooks: list[Path], rows: list[SheetRow]) -> tuple[dict[int, str], str]:
    """Returns the emotions of micro-movements, which SAMM's own sheet has, if it is there."""
    for path in workbooks:
        for sheet in sheet_names(path) if named_as(path, SAMM) else ():
            if not missing_columns(path, sheet, SAMM.columns, SAMM.optional):
                lines = read_rows(path, sheet, SAMM.columns, SAMM.optional)
                emotion = {line["clip"]: line["emotion"] for line in lines}
                micro = [row for row in rows if row.kind.casefold().startswith("micro")]
                return {r.number: emotion[r.clip] for r in micro if r.clip in emotion}, path.name
    return {}, ""


def video_key(text: str) -> str:
    """Returns `6_1` for `006_1`, `SAMM_longvideos/006_1`, `samm_006_1`."""
    match = re.fullmatch(r"(?:.*\D)?0*(\d{1,3})_(\d)(?:\.\w+)?/?", text.replace("\\", "/"))
    return f"{match[1]}_{match[2]}" if match else ""


def _whole(text: str) -> str:
    number = frame_number(text)
    if number is None or number < 0:
        return text
    return str(int(number + 0.5))


SAMM_LV = LongSet(
    name="samm_lv",
    title="SAMM Long Videos, to spot in: 343 macro, 159 micro, 30 subjects, 200 fps",
    fps=200.0,
    sheet_files=("samm_longvideos*", "samm_long_videos*", "samm*long*videos*"),
    read=read,
    video_key=video_key,
    tail=r"\d{3}_\d(?:\.\w+)?",
    counts={"V2": {"videos": 147, "subjects": 30, "macro": 343, "micro": 159}},
    labels=emotions,
    instructions=INSTRUCTIONS,
)
