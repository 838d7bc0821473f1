"""Figures of a timeline: the curve with its candidates, and a strip of its top moments."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from micron_jax.spotting.timeline import Interval, Timeline
from micron_jax.visualization.overlay import LABELS, LEAST, legend, show_face, show_heat

MOMENTS = 5  # at most, in the strip
MARK = "tab:red"


def scale_of(timeline: Timeline) -> float:
    """The end of the one color scale of all of a clip's maps."""
    return max(float(timeline.energy.max()), LEAST[timeline.kind])


def moments(timeline: Timeline) -> list[Interval]:
    """What the strip shows: the strongest candidates; without any, where the energy is highest."""
    if timeline.intervals:
        return timeline.intervals[:MOMENTS]
    last, apex = len(timeline.energy) - 1, int(timeline.energy.argmax())
    around = max(1, round(timeline.fps / 8))
    energy = float(timeline.energy[apex])
    return [Interval(max(0, apex - around), apex, min(last, apex + around), energy, 0.0)]


def draw_timeline(timeline: Timeline, *, title: str = "") -> Figure:
    """The energy over time with candidates shaded and numbered, and the optical flow below.

    Args:
      timeline: from `watch`.
      title: printed above.

    Returns:
      A matplotlib figure, as `pairs.draw_pair`.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot(timeline.seconds, timeline.energy, color="black", linewidth=1)
    upper.set_ylabel(f"energy\n({LABELS[timeline.kind]})", fontsize=8)
    upper.set_ylim(0, 1.15 * scale_of(timeline))
    lower.plot(timeline.seconds, timeline.flow_energy, color="tab:blue", linewidth=1)
    lower.set_ylabel("optical flow,\npx (no network)", fontsize=8)
    lower.set_ylim(0, 1.15 * max(float(timeline.flow_energy.max()), 0.5))
    lower.set_xlabel("seconds", fontsize=8)
    half = 0.5 / timeline.fps
    for rank, interval in enumerate(timeline.intervals, 1):
        begin, apex, end = (
            timeline.seconds[n] for n in (interval.onset, interval.apex, interval.offset)
        )
        strong = rank <= MOMENTS
        for axis in (upper, lower):
            axis.axvspan(begin - half, end + half, color=MARK, alpha=0.25 if strong else 0.08)
        if strong:
            at = (apex, interval.energy)
            upper.plot(*at, "o", color=MARK, markersize=4)
            upper.annotate(
                str(rank),
                at,
                (0, 5),
                textcoords="offset points",
                ha="center",
                color=MARK,
                fontsize=9,
            )
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=7)
        axis.margins(x=0.01)
    found = len(timeline.intervals)
    what = f"{found} candidate{'s' * (found != 1)} of 1/25 to 1/2 s"
    figure.suptitle(f"{title}: {what}" if title else what, fontsize=10)
    return figure


def draw_moments(
    timeline: Timeline, crops: Mapping[int, np.ndarray], *, title: str = "", aspect: float = 1.0
) -> Figure:
    """A row a moment: its onset, apex and offset, and the map over its apex.

    Args:
      timeline: from `watch`.
      crops: by index, uint8 [V, V, 3]; those of all `moments` are there.
      title: printed above.
      aspect: width over height of what the square crops show.

    Returns:
      A matplotlib figure, as `pairs.draw_pair`.
    """
    shown, top = moments(timeline), scale_of(timeline)
    height = 2.3 / min(1, aspect)
    size = (9.6 * max(1, min(aspect, 1.5)), height * len(shown) + 0.5)
    figure = Figure(figsize=size, layout="compressed")
    axes = figure.subplots(len(shown), 4, squeeze=False)
    for rank, (row, interval) in enumerate(zip(axes, shown, strict=True), 1):
        places = (interval.onset, interval.apex, interval.offset)
        for axis, name, n in zip(row, ("onset", "apex", "offset"), places, strict=False):
            told = f"{name}, {timeline.seconds[n]:.2f} s (frame {timeline.numbers[n]})"
            show_face(axis, crops[n], told, aspect)
        told = "no candidate"
        if interval.strength:
            told = f"{rank}: {interval.part} {interval.strength:.0f} σ"
        place = dict(transform=row[0].transAxes, rotation=90, va="center", ha="right")
        row[0].text(-0.06, 0.5, told, color=MARK, **place)
        scale = show_heat(
            row[3], crops[interval.apex], timeline.heat[interval.apex], top, "came and went", aspect
        )
    legend(figure, axes[:, 3], scale, LABELS[timeline.kind])
    figure.suptitle(title, fontsize=10)
    return figure
