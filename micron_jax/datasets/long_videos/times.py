"""Onset, apex and offset of an expression as sheets and tables write them."""

import re
from typing import NamedTuple

MICRO, MACRO = "micro", "macro"
KINDS = (MICRO, MACRO)
LONGEST_MICRO = 0.5  # seconds
UNKNOWN = ("", "/", "-", "-1", "-1.0", "nan", "n/a", "none", "_")

NO_OFFSET = "no offset is given: the interval ends at its apex, as in most published work"
NO_APEX = "no apex is given: it is left empty"
OUTSIDE = "the apex lies outside onset..offset: it is left empty"


class TimeFault(ValueError):
    """Times that are no interval: `field: reason`."""


class Change(NamedTuple):
    """A field that is read in another way than it is written."""

    field: str
    was: str
    now: str
    reason: str


class Times(NamedTuple):
    """An interval in frame numbers, both ends included; `apex` is None where it is not known."""

    onset: float
    apex: float | None
    offset: float


def frame_number(text: str) -> float | None:
    """Returns a frame number, with decimals where a sheet has them; None if the text is none."""
    match = re.fullmatch(r"(-?\d{1,15})(?:[.,](\d{0,15}))?", text.strip())
    return float(f"{match[1]}.{match[2] or 0}") if match else None


def read_times(onset: str, apex: str, offset: str) -> tuple[Times, list[Change]]:
    """Reads an interval.

    An offset that is 0 or unknown becomes the apex. An apex that is 0, unknown or outside the
    interval becomes None.

    Raises:
      TimeFault: they are no interval.
    """
    changes = []
    first, last, top = frame_number(onset), frame_number(offset), frame_number(apex)
    if first is None or first < 0:
        raise TimeFault(f"onset: {onset!r} is no frame number")
    if top is None and apex.strip().casefold() not in UNKNOWN:
        raise TimeFault(f"apex: {apex!r} is no frame number")
    if top is not None and (top < 0 or (top == 0 and first > 0)):
        top = None
    if top is None and apex.strip():
        changes.append(Change("apex", apex, "", NO_APEX))
    open_end = last is not None and (last < 0 or (last == 0 and first > 0))
    if open_end or offset.strip().casefold() in UNKNOWN:
        if top is None or top <= first:
            raise TimeFault(f"offset: {offset!r}, and no apex after the onset that could end it")
        last = top
        changes.append(Change("offset", offset, f"{top:g}", NO_OFFSET))
    if last is None:
        raise TimeFault(f"offset: {offset!r} is no frame number")
    if last < first:
        raise TimeFault(f"offset: {offset} comes before onset {onset}")
    if top is not None and not first <= top <= last:
        top = None
        changes.append(Change("apex", apex, "", OUTSIDE))
    return Times(first, top, last), changes


def kind_of(text: str) -> str:
    """Returns `micro` or `macro` for a word that means it; empty for an empty one.

    Sheets write `micro-expression` and `Micro - 1/2`, challenges `me` and `mae`, other programs
    `2` for micro and `1` for macro.

    Raises:
      TimeFault: it means neither.
    """
    word = re.sub(r"[\s_.-]+", "", text.casefold())
    if not word:
        return ""
    if word.startswith("micro") or word in ("me", "mie", "mes", "2", "20"):
        return MICRO
    if word.startswith("macro") or word in ("mae", "maes", "1", "10"):
        return MACRO
    raise TimeFault(f"kind: {text!r} is neither micro nor macro")


def kind_by_duration(onset: float, offset: float, fps: float) -> str:
    """Returns `micro` for what lasts 0.5 s or less from onset to offset."""
    return MICRO if (offset - onset) / fps <= LONGEST_MICRO + 1e-9 else MACRO
