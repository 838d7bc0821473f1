"""Writes small trees and sheets that imitate the benchmarks as their vendors hand them out."""

import functools
from pathlib import Path

import cv2
import numpy as np
import openpyxl


@functools.cache
def picture(level: int, suffix: str) -> bytes:
    """A flat 8x8 image's file."""
    return cv2.imencode(suffix, np.full((8, 8, 3), level, np.uint8))[1].tobytes()


def write_frames(folder: Path, numbers, pattern: str = "img{}.jpg") -> None:
    """Files of these numbers; the image's level is the number modulo 200."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        name = pattern.format(number)
        (folder / name).write_bytes(picture(number % 200, Path(name).suffix))


def write_sheet(path: Path, header: list, rows: list, sheet: str = "Sheet1", before=()) -> Path:
    """An .xlsx or .xls; `before` are the lines above the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [*before, header, *rows]
    if path.suffix == ".xls":
        import xlwt

        book = xlwt.Workbook()
        page = book.add_sheet(sheet)
        for y, line in enumerate(lines):
            for x, cell in enumerate(line):
                if cell is not None:
                    page.write(y, x, cell)
        book.save(str(path))
        return path
    book = openpyxl.load_workbook(path) if path.exists() else openpyxl.Workbook()
    page = book.create_sheet(sheet) if path.exists() else book.active
    page.title = sheet
    for line in lines:
        page.append(list(line))
    book.save(path)
    return path


CASME2_HEADER = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None]
CASME2_HEADER += ["Action Units", "Estimated Emotion"]


def casme2_row(subject, clip, onset, apex, offset, emotion="happiness", units="12"):
    return [subject, clip, None, onset, apex, offset, None, units, emotion]


CASME2_ROWS = [
    casme2_row("01", "EP02_01f", 46, 49, 52),
    casme2_row("01", "EP03_02", 131, 133, 135, "others", "4+L10"),
    casme2_row(4, "EP12_01f", 10, "/", 15, "repression"),
]


def write_casme2(root: Path, rows=None, frames="CASME2-RAW") -> Path:
    rows = CASME2_ROWS if rows is None else rows
    write_sheet(root / "CASME2-coding-20190701.xlsx", CASME2_HEADER, rows)
    for subject, clip, _, onset, _, offset, *_ in rows:
        folder = root / frames / f"sub{int(subject):02}" / clip
        if frames == "Cropped":
            write_frames(folder, range(onset, offset + 1), "reg_img{}.jpg")
        else:
            write_frames(folder, range(1, offset + 5))
    return root


SAMM_HEADER = ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame"]
SAMM_HEADER += ["Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion"]
SAMM_ROWS = [
    ["006", "006_1_2", 1, 562, 565, 570, 9, "1/2", "13", "Happiness"],
    ["028", "028_4_1", 4, 10, 40, 20, 11, "1/2", "4", "Other"],
    ["032", "032_3_1", 3, 9990, 5, 10004, 15, "1/2", "4", "Anger"],
]


def write_samm(root: Path, rows=None, suffix=".xlsx") -> Path:
    rows = SAMM_ROWS if rows is None else rows
    before = [["SAMM notes"], *([["note"]] * 12)]
    path = root / f"SAMM_Micro_FACS_Codes_v2{suffix}"
    write_sheet(path, SAMM_HEADER, rows, "MICRO_ONLY", before)
    for subject, clip, _, onset, _, offset, *_ in rows:
        pattern = subject + "_{:05}.jpg" if subject == "006" else subject + "_{:04}.jpg"
        write_frames(root / "SAMM" / subject / clip, range(onset, offset + 1), pattern)
    return root


SMIC_HEADER = [None, "Subject", "Filename", "OnsetF", "OffsetF", "Emotion"]
SMIC_ROWS = [
    [1, 1, "s1_ne_01", 100, 105, "negative"],
    [2, 3, "s3_po_08", 7, 10, "positive"],
    [3, 18, "s18_sur_03", 50, 54, "negative"],
]


def write_smic(root: Path, modality="HS", rows=None, frames="SMIC_all_cropped"):
    """Short clips, which need no sheet: their folders annotate them."""
    for _, subject, clip, onset, offset, emotion, *_ in SMIC_ROWS if rows is None else rows:
        place = "surprise" if "_sur_" in clip else emotion
        folder = root / frames / modality / f"s{subject}" / "micro" / place / clip
        write_frames(folder, range(onset, offset + 1), "reg_image{}.bmp")
    return root


SMIC_E_HEADER = ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F"]
SMIC_E_HEADER += ["Onset3F", "Offset3F", None, "FirstF", "LastF", "Emotion"]


def write_smic_e(root: Path, rows, modality="HS", top="HS_long/SMIC-HS-E", suffix=".xlsx"):
    """Long clips; `rows`: (subject, clip, [(onset, offset), ...], first, last, emotion)."""
    lines = []
    for subject, clip, intervals, first, last, emotion in rows:
        ends = [end for interval in intervals for end in interval]
        ends += [None] * (6 - len(ends))
        lines.append([subject, clip, None, *ends, None, first, last, emotion])
        write_frames(root / top / f"s{subject:02}" / clip, range(first, last + 1), "image{:06}.jpg")
    write_sheet(root / f"SMIC-{modality}-E_annotation{suffix}", SMIC_E_HEADER, lines, modality)
    return root


CASME3_HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class"]
CASME3_HEADER += ["emotion"]


def casme3_row(subject, recording, onset, apex, offset, emotion="disgust", units="4"):
    """Every cell of this sheet is text."""
    return [subject, recording, str(onset), str(apex), str(offset), units, "I", emotion]


CASME3_ROWS = [
    casme3_row("spNO.1", "a", 3, 5, 8),
    casme3_row("spNO.1", "a", 12, 13, 14, "others"),  # the recording's second
    casme3_row("spNO.2", "b", 2, 4, 6, "Others"),
]


def write_casme3(root: Path, rows=None, cut: bool = False) -> Path:
    """Whole recordings of 20 frames, with depth maps beside; or, cut, the clips alone."""
    rows = CASME3_ROWS if rows is None else rows
    path = root / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    write_sheet(path, CASME3_HEADER, rows, "label")
    for subject, recording, onset, _, offset, *_ in rows:
        if cut:
            name = f"{subject.replace('NO', 'No')}_{recording}_{onset}"
            for kind, suffix in (("frame", "jpg"), ("depth", "png")):
                folder = root / "Part_A_ME_clip" / kind / name
                write_frames(folder, range(int(onset), int(offset) + 1), "{}." + suffix)
        else:
            for kind, suffix in (("color", "jpg"), ("depth", "png")):
                folder = root / "part_A" / subject / recording / kind
                write_frames(folder, range(1, 21), "{}." + suffix)
    return root


def write_casme3_c(root: Path, rows) -> Path:
    """`rows`: (subject, count, onset, offset, units, emotion)."""
    header = ["sub", "count", "onset", "offset", "au", "emotion"]
    write_sheet(root / "CAS(ME)3_part_C_ME.xlsx", header, rows, "mockCrimeME")
    for subject, *_ in rows:
        write_frames(root / "part_C" / f"{subject:02}" / "a" / "color", range(1, 21), "{}.jpg")
    return root


MMEW_HEADER = [*CASME2_HEADER, "remarks"]
MMEW_ROWS = [
    [*casme2_row("S13", "S13-07-001", 1, 4, 9, "anger", "4+7"), None],
    [*casme2_row("S05", "S05-03-002", 1, 5, 9, "others"), "note"],
]


def write_mmew(root: Path, rows=None) -> Path:
    rows = MMEW_ROWS if rows is None else rows
    write_sheet(root / "MMEW_Micro_Exp.xlsx", MMEW_HEADER, rows)
    for row in rows:
        emotion = "repression" if row[8] == "others" else row[8]
        write_frames(
            root / "MMEW_Final" / "Micro_Expression" / emotion / row[1], range(1, 10), "{}.jpg"
        )
    return root


def write_fourdme(root: Path, rows) -> Path:
    """`rows`: (subject, folder, onset, apex, offset, units, emotion)."""
    header = ["sub_ID", "fold_name", "Onset", "Apex", "Offset", "AUs", "Emotion"]
    write_sheet(root / "4DME_Labelling_Micro_release v1.xlsx", header, rows)
    for subject, folder, onset, _, offset, *_ in rows:
        write_frames(
            root / "gray_micro" / str(subject) / folder, range(onset, offset + 1), "{}.jpg"
        )
    return root


DFME_HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion"]
DFME_HEADER += ["EmotionId", "Fps", "AU"]


def write_dfme(root: Path, parts) -> Path:
    """`parts`: training, testA or testB -> rows (clip, onset, apex, offset, emotion, fps)."""
    for part, rows in parts.items():
        lines = [
            [clip[:7], clip, onset, apex, offset, emotion, 0, fps, "L12"]
            for clip, onset, apex, offset, emotion, fps in rows
        ]
        write_sheet(root / f"{part}_full_with_AU.xlsx", DFME_HEADER, lines)
        for clip, onset, _, offset, *_ in rows:
            write_frames(root / part / clip, range(onset, offset + 1), "{:05}.png")
    return root
