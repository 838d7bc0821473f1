"""CAS(ME)2: 357 expressions in long videos of 22 subjects, 30 fps.

Its workbook has no headings. Its first sheet numbers subjects and calls videos by what they show
(`anger1_2` is the second expression of anger1); two more sheets tell the names in the files.
"""

import re
from pathlib import Path

from micron_jax.datasets.long_videos.longset import LongSet, LongSheet, SheetRow
from micron_jax.datasets.long_videos.times import frame_number
from micron_jax.datasets.sheets import Sheet, open_workbook
from micron_jax.errors import UserError

CODES = {
    "disgust1": "0101",
    "disgust2": "0102",
    "anger1": "0401",
    "anger2": "0402",
    "happy1": "0502",
    "happy2": "0503",
    "happy3": "0505",
    "happy4": "0507",
    "happy5": "0508",
}
# Subject in the sheet, from 1 -> in the names of files.
PEOPLE = (15, 16, 19, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 40)
_CODE = r"0?(?P<code>10[12]|40[12]|50[23578])"
INSTRUCTIONS = """\
CAS(ME)2 is free for research, under a license a staff member signs.
Ask: http://casme.psych.ac.cn/casme/e3 (Institute of Psychology, Chinese Academy of Sciences).
Ask for: part A, the long videos, and their annotation.
Put them below one folder, unpacked, and name that folder with --source:
  CAS(ME)^2code_final.xlsx   (three sheets, without headings)
  rawpic/s15/15_0101disgustingteeth/img_1.jpg ...     or longVideoFaceCropped/s15/..., or films
The sheet alone is enough to evaluate detections; false alarms a minute need the videos.
Where two folders of videos are there, choose with --frames."""


def read(path: Path) -> LongSheet:
    """Reads the workbook, or its first sheet exported; UserError if it is another workbook."""
    book = open_workbook(path)
    sheets = [book.sheet(name) for name in book.names]
    sheet = next((sheet for sheet in sheets if _is_coding(sheet)), None)
    if sheet is None:
        raise UserError(
            f"{path}: no sheet of it has, without headings, the columns subject, anger1_1, onset, "
            "apex, offset, action units, emotion, kind"
        )
    people = {str(n): f"s{file:02}" for n, file in enumerate(PEOPLE, 1)}
    codes, rows = dict(CODES), []
    for other in sheets:
        if other is not sheet:
            people |= _rules(other, r"\d{1,3}", 2, r"s\d+", 1)
            codes |= _rules(other, r"[a-z]+\d", 1, r"\d{3,4}", 0)
    for number in sorted(sheet.rows):
        cells = [_text(sheet, number, column) for column in range(8)]
        subject, clip, onset, apex, offset, _, emotion, kind = cells
        if frame_number(onset) is None and not rows:
            continue  # headings that somebody wrote above
        title = clip.split("_")[0].casefold()
        who, code = people.get(subject.lstrip("0")), codes.get(title)
        if who is None or code is None:
            what, value = ("subject", subject) if who is None else ("video", clip)
            known = ", ".join(people if who is None else codes)
            raise UserError(f"{path}, row {number}: {what} {value!r}; known ones are {known}")
        video = f"{who}/{who[1:]}_{code.zfill(4)}"
        rows.append(SheetRow(number, who, video, onset, apex, offset, kind, emotion, clip))
    return LongSheet(sheet.name, rows)


def video_key(text: str) -> str:
    """Returns `15_401` for `s15/15_0401girlcrashing`, `15_0401`, `casme_015_0401`."""
    pattern = rf"(?<!\d)0*(?P<who>\d{{2}})[\W_]+{_CODE}(?!\d)"
    match = re.search(pattern, text)
    return f"{match['who']}_{match['code']}" if match else ""


def _is_coding(sheet: Sheet) -> bool:
    lines = [[_text(sheet, n, column) for column in range(8)] for n in sorted(sheet.rows)[:3]]
    titles = [re.fullmatch(r"[A-Za-z]+\d_\d+", line[1].strip()) for line in lines]
    return any(titles) and any(frame_number(line[2]) is not None for line in lines)


def _rules(sheet: Sheet, key: str, key_at: int, value: str, value_at: int) -> dict[str, str]:
    """Returns the pairs of a sheet of naming rules; a key may stand there many times."""
    pairs = {}
    for number in sheet.rows:
        texts = [_text(sheet, number, at).casefold() for at in (key_at, value_at)]
        if re.fullmatch(key, texts[0]) and re.fullmatch(value, texts[1]):
            pairs[texts[0]] = texts[1]
    return pairs


def _text(sheet: Sheet, number: int, column: int) -> str:
    cell = sheet.rows[number].get(column)
    return cell.text if cell else ""


CASME_SQ = LongSet(
    name="casme_sq",
    title="CAS(ME)2, long videos to spot in: 300 macro, 57 micro, 22 subjects, 30 fps",
    fps=30.0,
    sheet_files=("*code_final*",),
    read=read,
    video_key=video_key,
    tail=rf"(?:s\d+/)?\d+_{_CODE}[^/]*",
    counts={"code_final": {"videos": 95, "subjects": 22, "macro": 300, "micro": 57}},
    instructions=INSTRUCTIONS,
)
