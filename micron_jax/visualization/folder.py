"""The folder that `visualize` writes: figures, arrays, tables and a video of an input."""

import csv
import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from micron_jax.errors import UserError, naming
from micron_jax.files import whole_folder
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.timeline import Timeline, measure_timeline
from micron_jax.video.inputs import InputClip
from micron_jax.video.timing import ASSUMED_FPS
from micron_jax.visualization.cropped_clip import CroppedClip, crop_clips, pair_crops
from micron_jax.visualization.figures import draw_moments, draw_timeline, moments
from micron_jax.visualization.flicker import write_flicker
from micron_jax.visualization.pair_figure import draw_pair
from micron_jax.visualization.pairs import PairView, compare_pair, view_size
from micron_jax.visualization.video import AnnotatedVideo

INTERVAL_COLUMNS = (
    *("rank", "onset", "apex", "offset", "onset_seconds", "apex_seconds", "offset_seconds"),
    *("duration_seconds", "energy", "strength", "part", "confidence"),
)

PAIR_DPI = 150  # 2 px for each of a face of 224

Bar = Callable[..., Iterable]  # wraps an iterable; takes `total`, `desc` and `unit`, as `tqdm`


def visualize(
    model: MicronBert,
    clips: list[InputClip],
    output: str | Path,
    *,
    crop: str = "face",
    kind: str | None = None,
    details: bool = False,
    bar: Bar = tqdm,
) -> PairView | Timeline:
    """Makes a folder of figures, arrays and tables, whole or not at all.

    Args:
      model: from `micron_jax.load`.
      clips: two images, or one clip; a clip of two frames is a pair, too.
      crop: one of `faces.crop.KINDS`.
      kind: one of `model.map_kinds`; None: see `compare_pair` and `measure_timeline`.
      details: figures of pairs also show what the network looks at; see `draw_pair`.

    Returns:
      Of a pair, the maps in `pair.png`, `flicker.png` and `pair.npz`; of a longer clip, the
      timeline in `timeline.png`, `moments.png`, `top_moment.png`, `flicker.png` (of the top
      moment), `annotated.mp4`, `energy.csv`, `intervals.csv` and `timeline.npz`.

    Raises:
      UserError: neither a pair nor a clip; the checkpoint has no such map; a face is missing;
        `output` exists or cannot be written.
    """
    if kind not in (None, *model.map_kinds):
        raise UserError(f"map {kind}: this checkpoint has {', '.join(model.map_kinds)}")
    two_images = len(clips) == 2 and all(clip.count == 1 for clip in clips)
    if len(clips) != 1 and not two_images:
        some = ", ".join(clip.name for clip in clips[:4])
        raise UserError(f"{len(clips)} inputs ({some}): give one clip, or two images")
    cropped = crop_clips(clips, crop, view_size(model))
    with whole_folder(Path(output)) as folder:
        if two_images:
            frame, reference = pair_crops(cropped)
            return _write_pair(model, frame, reference, cropped, folder, kind, details)
        first = [crop for _, _, crop in itertools.islice(cropped[0].frames(), 3)]
        if len(first) == 1:
            raise UserError(f"{clips[0].name}: one frame only, and nothing to compare it with")
        if len(first) == 2:
            return _write_pair(model, first[1], first[0], cropped, folder, kind, details)
        return _write_clip(model, cropped[0], folder, kind, details, bar)


def _write_pair(
    model: MicronBert,
    frame: np.ndarray,
    reference: np.ndarray,
    clips: list[CroppedClip],
    folder: Path,
    kind: str | None,
    details: bool,
) -> PairView:
    crop = clips[0].crop
    view = compare_pair(model, frame, reference, kind=kind, faces=crop.kind == "face")
    title = " and ".join(Path(each.clip.name).name for each in clips)
    figure = draw_pair(view, title=title, aspect=crop.aspect, details=details)
    _save(figure, folder / "pair.png", PAIR_DPI)
    write_flicker(folder / "flicker.png", view, model.config.img_size, aspect=crop.aspect)
    np.savez_compressed(folder / "pair.npz", **view.arrays())
    return view


def _write_clip(
    model: MicronBert,
    source: CroppedClip,
    folder: Path,
    kind: str | None,
    details: bool,
    bar: Bar,
) -> Timeline:
    name, aspect = Path(source.clip.name).name, source.crop.aspect
    fps, faces, dropped = source.clip.fps or ASSUMED_FPS, source.crop.kind == "face", []
    frames = source.frames(dropped)
    if source.clip.fps is None:
        frames = _timed(frames, source.clip.stride)
    frames = bar(frames, total=source.clip.count, desc="comparing frames", unit=" frames")
    with naming(name):
        timeline = measure_timeline(model, frames, fps=fps, kind=kind, faces=faces)
    timeline = dataclasses.replace(timeline, dropped=dropped)
    apex = moments(timeline)[0].apex
    # A clip's first frame has none before it.
    before = int(timeline.before[apex] if timeline.before[apex] < apex else timeline.after[apex])
    shown = {before, *(n for moment in moments(timeline) for n in moment.frames)}
    crops = _write_video(source, timeline, shown, folder / "annotated.mp4", bar)
    _save(draw_timeline(timeline, title=name), folder / "timeline.png")
    _save(draw_moments(timeline, crops, title=name, aspect=aspect), folder / "moments.png")
    view = compare_pair(model, crops[apex], crops[before], kind=timeline.kind, faces=faces)
    title = f"{name}: {timeline.seconds[apex]:.2f} s against {timeline.seconds[before]:.2f} s"
    figure = draw_pair(view, title=title, aspect=aspect, details=details)
    _save(figure, folder / "top_moment.png", PAIR_DPI)
    write_flicker(folder / "flicker.png", view, model.config.img_size, aspect=aspect)
    _write_tables(timeline, folder)
    fields = ("fps", "delta", "kind", "numbers", "seconds", "before", "after")
    fields += ("flow", "energy", "salience", "flow_energy")
    arrays = {field: getattr(timeline, field) for field in fields}
    np.savez_compressed(folder / "timeline.npz", heat=timeline.maps, **arrays)
    return timeline


def _timed(frames: Iterable, stride: int) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yields the same with the seconds that the numbers make at `ASSUMED_FPS`."""
    first = None
    for number, _, crop in frames:
        first = number if first is None else first
        yield number, (number - first) / stride / ASSUMED_FPS, crop


def _write_video(
    source: CroppedClip, timeline: Timeline, shown: Collection[int], path: Path, bar: Bar
) -> dict[int, np.ndarray]:
    """Writes the annotated video; returns the crops whose indices are `shown`."""
    count, crops = len(timeline.numbers), {}
    frames = bar(source.frames(), total=count, desc="drawing", unit=" frames")
    with AnnotatedVideo(path, timeline, aspect=source.crop.aspect) as video:
        for index, (_, _, crop) in enumerate(frames):
            video.add(index, crop)
            if index in shown:
                crops[index] = crop
    return crops


def _write_tables(timeline: Timeline, folder: Path) -> None:
    columns = timeline.numbers, timeline.seconds, timeline.energy, timeline.salience
    rows = [
        (number, f"{seconds:.4f}", f"{energy:.6g}", f"{salience:.6g}", f"{flow:.4f}")
        for number, seconds, energy, salience, flow in zip(
            *columns, timeline.flow_energy, strict=True
        )
    ]
    heading = "frame", "seconds", "energy", "salience", "flow_px"
    _write_csv(folder / "energy.csv", heading, rows)
    rows, durations = [], timeline.durations()
    for rank, interval in enumerate(timeline.intervals, 1):
        seconds = timeline.seconds[interval.frames]
        duration = seconds[2] - seconds[0] + durations[interval.offset]
        times = [f"{second:.4f}" for second in (*seconds, duration)]
        size = f"{interval.energy:.6g}", f"{interval.strength:.2f}"
        sure = "" if math.isnan(interval.confidence) else f"{interval.confidence:.4f}"
        rows.append((rank, *timeline.numbers[interval.frames], *times, *size, interval.part, sure))
    _write_csv(folder / "intervals.csv", INTERVAL_COLUMNS, rows)


def _write_csv(path: Path, columns: Iterable[str], rows: list) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def _save(figure: Figure, path: Path, dpi: int = 110) -> None:
    figure.savefig(path, dpi=dpi, bbox_inches="tight")
