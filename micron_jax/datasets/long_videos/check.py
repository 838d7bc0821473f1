"""The report of `data check` on a spotting truth: counts, and what a user should know of rows."""

import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from micron_jax.datasets.long_videos.catalog import LONG_SETS
from micron_jax.datasets.long_videos.times import KINDS, LONGEST_MICRO, MICRO
from micron_jax.datasets.long_videos.truth import Expression, Truth

LINES = 10  # printed of each kind of fault


def check_truth(truth: Truth, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the report on a truth.

    Args:
      about: what its build noted; see `build.truth_of`.

    Returns:
      `Truth.counts`, and {"set", "minutes" or None, "labels": {label: count}, "per_subject":
      {subject: {kind: count}}, "differences": [lines], "version" of the sheet that the counts fit
      or "", "doubled", "overlapping", "long_micro", "short_macro", "outside", "no_apex",
      "missing_paths": [lines]}, and `about`.
    """
    about = dict(about or {})
    name = about.get("set") or next(iter({video.set for video in truth.videos}), "")
    counts = truth.counts()
    seconds = [video.seconds for video in truth.videos]
    people: dict[str, Counter] = {}
    for expression in truth.expressions:
        subject = truth.videos[expression.video].subject
        people.setdefault(subject, Counter())[expression.kind] += 1
    version, differences = _compare(name, counts)
    return {
        "set": name,
        **counts,
        "minutes": None if None in seconds else sum(seconds) / 60,
        "labels": dict(Counter(e.label for e in truth.expressions if e.label).most_common()),
        "per_subject": {who: dict(number) for who, number in sorted(people.items())},
        "version": version,
        "differences": differences,
        **_faults(truth),
    } | {key: value for key, value in about.items() if key != "set"}


def lines(report: Mapping[str, Any]) -> list[str]:
    """Returns a report as lines of text."""
    minutes = report["minutes"]
    length = "length unknown" if minutes is None else f"{minutes:,.1f} minutes"
    out = [
        f"{report['set'] or 'truth'}: videos: {report['videos']:,} ({length}), subjects: "
        f"{report['subjects']:,}, " + ", ".join(f"{kind}: {report[kind]:,}" for kind in KINDS)
    ]
    if report["labels"]:
        out.append("labels: " + ", ".join(f"{n} {c:,}" for n, c in report["labels"].items()))
    if report["version"]:
        out.append(f"counts: as in the owners' sheet {report['version']}")
    for title, key in (
        ("differs from the owners' sheets", "differences"),
        ("skipped rows", "skipped"),
        ("rows read in another way than written", "mended"),
        ("videos without files", "without_files"),
        ("videos without a row, left out (nobody tells what is in them)", "without_rows"),
        ("videos whose files cannot be read", "unreadable"),
        ("videos that lie no more where they were", "missing_paths"),
        ("videos with missing frames", "missing_frames"),
        ("intervals that end beyond their video", "outside"),
        ("intervals that stand there twice", "doubled"),
        ("intervals that overlap another of their kind", "overlapping"),
        (f"micro-expressions longer than {LONGEST_MICRO:g} s", "long_micro"),
        (f"macro-expressions of {LONGEST_MICRO:g} s or less", "short_macro"),
        ("expressions without an apex", "no_apex"),
        ("notes", "notes"),
    ):
        entries = report.get(key) or ()
        if isinstance(entries, Mapping):
            entries = [f"{video}: {count:,}" for video, count in entries.items()]
        texts = [_line(entry) for entry in entries]
        if texts:
            out += [f"{title}: {len(texts):,}", *(f"  {text}" for text in texts[:LINES])]
            out += [f"  and {len(texts) - LINES:,} more"] if len(texts) > LINES else []
    return out


def _compare(name: str, counts: Mapping[str, int]) -> tuple[str, list[str]]:
    """Returns the sheet's version whose counts these are, or the differences from the nearest."""
    spec = LONG_SETS.get(name)
    if spec is None:
        return "", []
    found = {
        version: [
            f"{key}: {counts[key]:,}, in the owners' sheet {version} {number:,}"
            for key, number in expected.items()
            if counts[key] != number
        ]
        for version, expected in spec.counts.items()
    }
    nearest = min(found, key=lambda version: len(found[version]))
    return ("" if found[nearest] else nearest), found[nearest]


def _faults(truth: Truth) -> dict[str, list[str]]:
    by_video: dict[int, list[Expression]] = {}
    for expression in truth.expressions:
        by_video.setdefault(expression.video, []).append(expression)
    faults: dict[str, list[str]] = {
        key: []
        for key in ("doubled", "overlapping", "long_micro", "short_macro", "outside", "no_apex")
    }
    for place, expressions in by_video.items():
        video = truth.videos[place]
        for one, other in itertools.combinations(sorted(expressions, key=_order), 2):
            if one.kind == other.kind and other.onset <= one.offset:
                same = (one.onset, one.offset) == (other.onset, other.offset)
                line = f"{_shown(truth, one)} and {other.onset:g}..{other.offset:g}"
                faults["doubled" if same else "overlapping"].append(line)
        for one in expressions:
            if video.last is not None and (one.offset > video.last or one.onset < video.first):
                line = f"{_shown(truth, one)}, frames {video.first}..{video.last}"
                faults["outside"].append(line)
            if one.apex is None:
                faults["no_apex"].append(_shown(truth, one))
            if video.fps:
                seconds = (one.offset - one.onset) / video.fps
                is_short = seconds <= LONGEST_MICRO
                if is_short != (one.kind == MICRO):
                    key = "short_macro" if is_short else "long_micro"
                    faults[key].append(f"{_shown(truth, one)}: {seconds:.2f} s")
    paths = [video.path for video in truth.videos if video.path]
    faults["missing_paths"] = [path for path in paths if not Path(path).exists()]
    return faults


def _order(expression: Expression) -> tuple[float, float]:
    return expression.onset, expression.offset


def _shown(truth: Truth, expression: Expression) -> str:
    name = truth.videos[expression.video].name
    return f"{name}, {expression.kind} {expression.onset:g}..{expression.offset:g}"


def _line(entry: Mapping | str) -> str:
    if isinstance(entry, str):
        return entry
    change = ""
    if "field" in entry:
        change = f"{entry['field']} {entry['was'] or '(empty)'} -> {entry['now'] or '(empty)'}, "
    return f"row {entry['row']}, {entry['video']}: {change}{entry['reason']}"
