"""The report of `micron-jax data check`, for people."""

from collections.abc import Mapping, Sequence
from typing import Any

LINES = 10  # of one kind, before "and N more"


def lines(report: Mapping[str, Any]) -> list[str]:
    """A report of `check.check_clips` or `check.check_frames` -> what to print."""
    out = [_first(report)]
    if "emotions" in report:
        out.append(f"emotions: {_pairs(report['emotions'])}")
        out.append(f"clips of subjects: {_pairs(report['clips_of_subject'])}")
    else:
        length = report["lengths"]
        out.append(
            f"frames a clip: {length['min']:,} to {length['max']:,}, "
            f"half of them {length['median']:,.0f} or more"
        )
        out.append(f"clips of a frame rate: {_pairs(report['fps'])}")
        if report["looked_at"] < report["frames"]:
            out.append(
                f"looked at {report['looked_at']:,} of the frames, the first of each clip and "
                "others by chance; what follows is of these (--sample all looks at each)"
            )
    out.append(f"frame sizes: {_pairs(report['frame_sizes'])}")
    for title, entries in (
        ("unreadable frames", map(_broken, report["unreadable"])),
        ("clips that share identical frames", map(_pair, report["duplicates"])),
        ("records in another clip's place", map(_misplaced, report.get("misplaced", ()))),
        ("skipped when built", map(_reason, report.get("skipped", ()))),
        ("clips with gaps", map(_reason, report.get("gaps", ()))),
        ("mended when built", map(_reason, report.get("mended", ()))),
        ("frames dropped when built", map(_reason, report.get("dropped", ()))),
        ("differs from a complete set", report.get("differences", ())),
    ):
        out += _listed(title, list(entries))
    for fit in report.get("protocols", ()):
        out.append(f"protocol {fit['name']}: {'as published' if fit['ok'] else 'DIFFERS'}")
        out += [f"  {_part(name, part)}" for name, part in fit["sets"].items()]
        out += [f"  ! {line}" for line in fit["differences"]]
    if "corpus" in report:
        out += _corpus(report["corpus"], report["subjects"])
    return out


def _first(report: Mapping) -> str:
    people = f", subjects: {report['subjects']:,}" if "subjects" in report else ""
    return f"{report['set']}: clips: {report['clips']:,}{people}, frames: {report['frames']:,}"


def _corpus(corpus: Mapping, subjects: int) -> list[str]:
    out = [f"corpus of {corpus['clips']:,} clips from {corpus['source']}"]
    if corpus["subjects"]:
        out.append(
            f"  its clips' names speak of {len(corpus['subjects'])} of the {subjects} subjects "
            f"(clips): {_pairs(corpus['subjects'])}"
        )
    else:
        out.append("  no subject stands in its clips' names (clips that were renamed can hide one)")
    equal = corpus["identical_frames"]
    if equal is None:
        out.append("  frames were not compared: there are too many")
    elif equal:
        out.append(f"  frames identical with the benchmark's: {_pairs(equal)}")
    return out + [f"  {line}" for line in _listed("clips to leave out", corpus["leave_out"])]


def _listed(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  and {len(entries) - LINES:,} more"] if len(entries) > LINES else []
    return [f"{title}: {len(entries):,}", *(f"  {entry}" for entry in entries[:LINES]), *more]


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _part(name: str, part: Mapping) -> str:
    return f"{name}: {_pairs(part['classes'])}; subjects {part['subjects']}"


def _broken(entry: Mapping) -> str:
    frame = "" if entry["frame"] is None else f" frame {entry['frame']}"
    return f"{entry['clip']}{frame}: {entry['reason']}"


def _pair(entry: Mapping) -> str:
    people = "" if entry.get("same_subject", True) else ", of DIFFERENT subjects"
    return f"{' and '.join(entry['clips'])}: {entry['frames']:,}{people}"


def _misplaced(entry: Mapping) -> str:
    return f"{entry['clip']}: the record is of {entry['record']}"


def _reason(entry: Mapping) -> str:
    return f"{entry['clip']}: {entry['reason']}"
