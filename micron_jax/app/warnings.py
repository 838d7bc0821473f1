"""Warnings that the page shows above a result."""

from micron_jax.spotting.timeline import Timeline
from micron_jax.video.inputs import InputClip
from micron_jax.video.timing import ASSUMED_FPS
from micron_jax.visualization.pairs import PairView


def pair_warnings(view: PairView) -> list[str]:
    """Lines about a pair of pictures."""
    if view.apart:
        reason = view.registration.refused or "the head moves too much to say what else moved"
        return [
            "These two pictures do not cover each other: is it one person, in one pose? There is "
            f"no map, because it would not show an expression ({reason})."
        ]
    if view.registration.refused and view.registration.after > 0:
        return [f"The two are compared as they are ({view.registration.refused})."]
    return []


def clip_warnings(timeline: Timeline, clip: InputClip, cut: float | None) -> list[str]:
    """Lines about a video, of which the first `cut` seconds are looked at; None: all."""
    lines = []
    if cut is not None:
        lines.append(f"Only the first {cut:g} s of this video are looked at.")
    if clip.fps is None:
        lines.append(f"The file tells no frame rate: {ASSUMED_FPS:g} frames a second are assumed.")
    elif clip.fps < 24:
        lines.append(
            f"{clip.fps:.3g} frames a second are few: a micro-expression lasts 1/25 to 1/2 s."
        )
    if timeline.dropped:
        count, reason = len(timeline.dropped), timeline.dropped[0][1]
        lines.append(f"Frames that cannot be read: {count:,} ({reason}).")
    return [*lines, *(f"{note[0].upper()}{note[1:]}." for note in timeline.notes)]
