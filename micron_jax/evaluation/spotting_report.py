"""The report of spotting in its two forms, `report.html` and `report.md`, from templates."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micron_jax import __version__
from micron_jax.datasets.long_videos.times import KINDS
from micron_jax.datasets.long_videos.truth import Truth
from micron_jax.evaluation.prediction import write_text
from micron_jax.evaluation.report_content import Table, share, span
from micron_jax.evaluation.spotting_matching import Matches
from micron_jax.evaluation.spotting_metrics import per_kind
from micron_jax.files import writing

MAX_VIDEOS = 300  # that the page draws
POINTS = 60  # of a curve
NAMES = {"micro": "micro", "macro": "macro", "both": "both kinds", "any": "any, kind ignored"}


def spotting_text(summary: Mapping[str, Any], notes: Sequence[str] = (), title: str = "") -> str:
    """Returns the report as Markdown whose tables a terminal shows, too.

    Args:
      summary: of `spotting_metrics.summarize_spotting`, with `choices` of
        `spotting_thresholds.compare_choices` where there are epochs.
      notes: lines on how truth and detections were read.
    """
    from micron_jax.evaluation.report import TEMPLATES

    content = _content(summary, notes)
    return TEMPLATES.get_template("spotting.md").render(content, title=title)


def write_spotting_pages(
    folder: Path,
    summary: Mapping[str, Any],
    truth: Truth,
    matches: Matches,
    chosen: np.ndarray,
    *,
    notes: Sequence[str] = (),
    title: str,
) -> Path:
    """Writes both forms, each whole or not at all, into a folder that it makes.

    Args:
      chosen: which detections count, bool [N]; see `spotting_metrics.select`.

    Returns:
      The HTML page.

    Raises:
      UserError: the report cannot be written.
    """
    from micron_jax.evaluation.report import HTML, MARKDOWN, TEMPLATES

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lines, left_out = video_lines(truth, matches, chosen)
    content = _content(summary, notes) | {
        "curves": _curves(summary),
        "videos": lines,
        "left_out": left_out,
        "version": __version__,
    }
    page = TEMPLATES.get_template("spotting.html").render(content, title=title)
    write_text(folder / HTML, page)
    write_text(folder / MARKDOWN, spotting_text(summary, notes, title))
    return folder / HTML


def video_lines(
    truth: Truth, matches: Matches, chosen: np.ndarray
) -> tuple[list[dict[str, Any]], int]:
    """Returns the truth and the detections of each video on one line, and how many have none.

    Returns:
      ([{"name", "subject", "bars": [{"row": 0 of the truth, 1 of a detection; "kind", "state":
      `hit`, `miss` or `false`; "x", "width": shares of 1; "text"}]}], number of videos that are
      left out, as they have neither, or the fewest errors of more than `MAX_VIDEOS`).
    """
    of_video: dict[int, list[tuple[int, str, str, Any]]] = {}
    right = chosen & (matches.hits >= 0)
    hit = set(matches.hits[right].tolist())
    for n, expression in enumerate(truth.expressions):
        state = "hit" if n in hit else "miss"
        of_video.setdefault(expression.video, []).append((0, expression.kind, state, expression))
    for n in np.flatnonzero(chosen):
        one = matches.joined[n]
        state = "hit" if right[n] else "false"
        bar = (1, one.detection.kind, state, one.detection)
        of_video.setdefault(one.video, []).append(bar)
    errors = {place: sum(bar[2] != "hit" for bar in bars) for place, bars in of_video.items()}
    places = sorted(sorted(of_video, key=lambda place: -errors[place])[:MAX_VIDEOS])
    lines = []
    for place in places:
        video, bars = truth.videos[place], of_video[place]
        first = min([bar[3].onset for bar in bars] + [video.first or 0])
        last = max([bar[3].offset for bar in bars] + [video.last or 0])
        length = last - first + 1
        lines.append(
            {
                "name": video.name,
                "subject": video.subject,
                "bars": [
                    {
                        "row": row,
                        "kind": kind,
                        "state": state,
                        "x": (one.onset - first) / length,
                        "width": (one.offset - one.onset + 1) / length,
                        "text": f"{kind} {one.onset:g}..{one.offset:g}: {_STATES[row, state]}",
                    }
                    for row, kind, state, one in bars
                ],
            }
        )
    return lines, len(truth.videos) - len(lines)


_STATES = {
    (0, "hit"): "expression, found",
    (0, "miss"): "expression, missed",
    (1, "hit"): "detection, right",
    (1, "false"): "detection, false",
}


def _content(summary: Mapping[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    minutes = summary["minutes"]
    length = "" if minutes is None else f" ({minutes:,.1f} minutes)"
    return {
        "summary": summary,
        "names": {name: NAMES[name] for name, _ in per_kind(summary)},
        "headline": f"{summary['videos']:,} videos{length} of {summary['subjects']:,} subjects; "
        f"an expression is found at IoU {summary['iou']:g} or more",
        "kinds": _kinds(summary),
        "strs": summary["strs"] and _strs(summary["strs"]),
        "choices": summary.get("choices") and _choices(summary["choices"]),
        "subjects": _subjects(summary),
        "notes": [*_threshold_note(summary["threshold"]), *_standing_notes(summary), *notes],
    }


def _kinds(summary: Mapping[str, Any]) -> Table:
    header = ["", "expressions", "detections", "TP", "FP", "FN", "F1", "95 % interval"]
    header += ["precision", "recall", "false alarms a minute"]
    rows = []
    for name, one in per_kind(summary):
        alarms = one["false_alarms_per_minute"]
        rows.append(
            [
                NAMES[name],
                *(one[key] for key in ("expressions", "detections", "tp", "fp", "fn")),
                share(one["f1"]),
                span(one["interval"]),
                share(one["precision"]),
                share(one["recall"]),
                "–" if alarms is None else f"{alarms:.2f}",
            ]
        )
    return Table(header, rows)


def _strs(strs: Mapping[str, Mapping]) -> Table:
    keys = ("spotting_f1", "f1", "strs", "uf1", "uar")
    header = ["", "found, with a label", "F1 of spotting", "F1 of recognition", "STRS"]
    return Table(
        [*header, "UF1", "UAR"],
        [
            [NAMES[name], one["found"], *(share(one[key]) for key in keys)]
            for name, one in strs.items()
            if name != "both" or len(strs) > 2
        ],
    )


def _choices(choices: Sequence[Mapping]) -> Table:
    return Table(
        [
            *("epoch and threshold", "micro", "macro", "both kinds", "95 % interval"),
            *("both, to the first row", "95 % interval", ""),
        ],
        [
            [
                one["choice"],
                *(share(one[name]) for name in (*KINDS, "both")),
                span(one["interval"]),
                *_difference(one["difference"]),
                "LEAKY, no result" if one["leaky"] else "honest",
            ]
            for one in choices
        ],
    )


def _difference(difference: Mapping[str, Any] | None) -> list[str]:
    if difference is None:
        return ["–", "–"]
    return [f"{difference['both']:+.4f}", span(difference["interval"], "+.4f")]


def _subjects(summary: Mapping[str, Any]) -> Table:
    names = [name for name in (*KINDS, "both") if name in dict(per_kind(summary))]
    header = ["subject"]
    for name in names:
        header += [f"{NAMES[name]}: TP", "FP", "FN", "F1"]
    rows = []
    for person in summary["per_subject"]:
        row = ["/".join(filter(None, (person["set"], person["subject"])))]
        for name in names:
            one = person[name]
            row += [one["tp"], one["fp"], one["fn"], share(one["f1"])]
        rows.append(row)
    return Table(header, rows)


def _threshold_note(threshold: Any) -> list[str]:
    if threshold is None:
        return ["All detections count, whatever their confidence."]
    if not isinstance(threshold, Mapping):
        return [f"Detections of a confidence of {threshold:g} or more count."]
    texts = [
        f"{kind} {one['min']:.4g} to {one['max']:.4g}" if one else f"{kind}: nothing counts"
        for kind, one in threshold.items()
    ]
    return [
        "Thresholds are chosen for each subject on all the others, for the best F1 of each kind: "
        f"{', '.join(texts)}."
    ]


def _standing_notes(summary: Mapping[str, Any]) -> list[str]:
    notes = []
    if bounds := summary["intervals"]:
        notes.append(
            f"Intervals: {100 * bounds['level']:g} %, percentile bootstrap over subjects, "
            f"{bounds['resamples']:,} resamples."
        )
    if summary["subjects"] < 5:
        count = summary["subjects"]
        notes.append(f"Subjects: {count}. So few tell next to nothing about others.")
    if summary["minutes"] is None:
        notes.append("No false alarms a minute: the truth does not tell the length of each video.")
    if apex := summary["apex"]:
        seconds = apex["median_seconds"]
        more = "" if seconds is None else f" ({seconds:.3f} s)"
        notes.append(
            f"Apex of {apex['pairs']:,} expressions that are found: off by "
            f"{apex['median_frames']:g} frames{more}, the median."
        )
    return notes


def _curves(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the figures of the curves, as the template `figures.html` draws lines."""
    figures = [
        ("Precision over recall", "recall", "precision"),
        ("Recall over false alarms a minute", "false_alarms_per_minute", "recall"),
    ]
    result = []
    for title, x, y in figures:
        lines = []
        for kind, points in summary["curve"].items():
            pairs = [(p[x], p[y]) for p in points if p[x] is not None]
            places = np.linspace(0, len(pairs) - 1, min(len(pairs), POINTS)).round().astype(int)
            if len(pairs):
                lines.append({"name": kind, "points": [pairs[place] for place in places]})
        if lines:
            from micron_jax.evaluation.plots import nice_ticks

            values = [point for line in lines for point in line["points"]]
            ticks = [nice_ticks(0, max(v[axis] for v in values)) for axis in (0, 1)]
            result.append({"title": title, "lines": lines, "x_ticks": ticks[0], "ticks": ticks[1]})
    return result
