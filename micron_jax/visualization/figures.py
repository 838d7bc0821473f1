"""Figures of a timeline: the curve with its candidates, and a strip of its top moments."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from micron_jax.spotting.intervals import Interval
from micron_jax.spotting.timeline import Timeline
from micron_jax.visualization.overlay import FIXED, LABELS, LEAST, legend, show_face, show_map

MOMENTS = 5  # at most, in the strip
AROUND = 1 / 8  # s: from the highest energy to the frames that stand for onset and offset
MARK = "tab:red"
LOWEST = 1 / 3  # of the color scale: the end of the curve's scale, at least


def scale_of(timeline: Timeline) -> float:
    """The end of the one color scale of all of a clip's maps."""
    return FIXED.get(timeline.kind) or max(float(timeline.energy.max()), LEAST[timeline.kind])


def moments(timeline: Timeline) -> list[Interval]:
    """The moments of the strip: the strongest candidates, or else the highest energy."""
    if timeline.intervals:
        return timeline.intervals[:MOMENTS]
    apex, seconds = int(timeline.energy.argmax()), timeline.seconds
    onset, offset = (
        int(np.abs(seconds - (seconds[apex] + shift)).argmin()) for shift in (-AROUND, AROUND)
    )
    return [Interval(onset, apex, offset, float(timeline.energy[apex]), 0.0, 0.0)]


def draw_timeline(timeline: Timeline, *, title: str = "") -> Figure:
    """Draws the energy over time, the candidates shaded and numbered, and the optical flow below.

    Returns:
      A matplotlib figure, as `draw_pair`.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot(timeline.seconds, timeline.energy, color="black", linewidth=1)
    upper.set_ylabel(f"energy\n({LABELS[timeline.kind]})", fontsize=8)
    upper.set_ylim(0, 1.15 * max(float(timeline.energy.max()), LOWEST * scale_of(timeline)))
    lower.plot(timeline.seconds, timeline.flow_energy, color="tab:blue", linewidth=1)
    lower.set_ylabel("optical flow,\npx (no network)", fontsize=8)
    lower.set_ylim(0, 1.15 * max(float(timeline.flow_energy.max()), LEAST["flow"]))
    lower.set_xlabel("seconds", fontsize=8)
    half = timeline.durations() / 2
    number = dict(textcoords="offset points", ha="center", color=MARK, fontsize=9)
    for rank, interval in enumerate(timeline.intervals, 1):
        begin, apex, end = timeline.seconds[interval.frames]
        strong = rank <= MOMENTS
        for axis in (upper, lower):
            edges = begin - half[interval.onset], end + half[interval.offset]
            axis.axvspan(*edges, color=MARK, alpha=0.25 if strong else 0.08)
        if strong:
            upper.plot(apex, interval.energy, "o", color=MARK, markersize=4)
            upper.annotate(str(rank), (apex, interval.energy), (0, 5), **number)
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=7)
        axis.margins(x=0.01)
    count = len(timeline.intervals)
    summary = f"{count} candidate{'s' * (count != 1)} of 1/25 to 1/2 s"
    figure.suptitle(f"{title}: {summary}" if title else summary, fontsize=10)
    return figure


def draw_moments(
    timeline: Timeline, crops: Mapping[int, np.ndarray], *, title: str = "", aspect: float = 1.0
) -> Figure:
    """Draws a row a moment: its onset, apex and offset, and the map over its apex.

    Args:
      crops: by index, uint8 [V, V, 3]; those of all `moments` are there.
      aspect: width over height of what the square crops show.

    Returns:
      A matplotlib figure, as `draw_pair`.
    """
    rows, top = moments(timeline), scale_of(timeline)
    height = 2.3 / min(1, aspect)
    size = (9.6 * max(1, min(aspect, 1.5)), height * len(rows) + 0.5)
    figure = Figure(figsize=size, layout="compressed")
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for rank, (row, moment) in enumerate(zip(axes, rows, strict=True), 1):
        for axis, name, n in zip(row, ("onset", "apex", "offset"), moment.frames, strict=False):
            when = f"{name}, {timeline.seconds[n]:.2f} s (frame {timeline.numbers[n]})"
            show_face(axis, crops[n], when, aspect)
        sure = f"{moment.strength:.0f} σ"
        if not math.isnan(moment.confidence):
            sure = f"p = {moment.confidence:.2f}"
        label = f"{rank}: {moment.part} {sure}"
        label = label if moment.strength else "no candidate"
        place = dict(transform=row[0].transAxes, rotation=90, va="center", ha="right")
        row[0].text(-0.06, 0.5, label, color=MARK, **place)
        apex = moment.apex
        scale = show_map(row[3], crops[apex], timeline.maps[apex], top, "came and went", aspect)
    legend(axes[:, 3], scale, LABELS[timeline.kind])
    figure.suptitle(title, fontsize=10)
    return figure
