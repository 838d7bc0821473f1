"""Looking from end to end: an input becomes a folder of figures, arrays, tables and a video."""

import csv
import dataclasses
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from micron_jax.deprecation import renamed_arguments
from micron_jax.errors import UserError
from micron_jax.faces.crop import NO_FACE, Crop, detector, place_crop
from micron_jax.files import whole_folder
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.timeline import Timeline, watch
from micron_jax.video.image_files import Unreadable
from micron_jax.video.inputs import InputClip
from micron_jax.visualization.figures import draw_moments, draw_timeline, moments
from micron_jax.visualization.pairs import PairView, draw_pair, look_at_pair, view_size
from micron_jax.visualization.video import AnnotatedVideo

ASSUMED = 30.0  # frames per second of image folders that do not tell theirs


@renamed_arguments(heat="kind")
def visualize(
    model: MicronBert,
    clips: list[InputClip],
    output: str | Path,
    *,
    crop: str = "face",
    kind: str | None = None,
    bar: type[tqdm] = tqdm,
) -> PairView | Timeline:
    """Makes a folder of what there is to see, whole or not at all.

    Args:
      model: from `micron_jax.load`.
      clips: two images, or one clip; a clip of two frames is a pair, too.
      output: folder to be made.
      crop: one of `faces.crop.KINDS`.
      kind: one of `model.map_kinds`; None: see `look_at_pair` and `watch`.
      bar: shows how far it is.

    Returns:
      What was seen: of a pair, `pair.png` and `pair.npz` show it; of a longer clip,
      `timeline.png`, `moments.png`, `top_moment.png`, `annotated.mp4`, `energy.csv`,
      `intervals.csv` and `timeline.npz`.

    Raises:
      UserError: neither a pair nor a clip; the checkpoint has no such map; a face is missing;
        `output` is there, or cannot be written.
    """
    if kind not in (None, *model.map_kinds):
        raise UserError(f"--map {kind}: this checkpoint has {', '.join(model.map_kinds)}")
    pair = len(clips) == 2 and all(clip.count == 1 for clip in clips)
    if len(clips) != 1 and not pair:
        some = ", ".join(clip.name for clip in clips[:4])
        raise UserError(f"{len(clips)} inputs ({some}): name one clip, or two images")
    detect = detector(crop)
    cuts = [_cut(clip, crop, view_size(model), detect) for clip in clips]
    with whole_folder(Path(output)) as folder:
        if pair:
            frame, reference = _two_images(clips, cuts)
            return _pair(model, frame, reference, folder, kind, clips, cuts[0])
        (clip,), (cut,) = clips, cuts
        first = [crop for _, _, crop in itertools.islice(_crops(clip, cut), 3)]
        if len(first) == 1:
            raise UserError(f"{clip.name}: one frame only, and nothing to compare it with")
        if len(first) == 2:
            return _pair(model, first[1], first[0], folder, kind, clips, cut)
        return _clip(model, clip, cut, folder, kind, bar)


def _cut(clip: InputClip, crop: str, size: int, detect) -> Crop:
    try:
        return place_crop(clip.frames(), crop, size, detect)
    except Unreadable as error:
        mend = "; --crop whole takes frames as they are" if str(error) == NO_FACE else ""
        raise UserError(f"{clip.name}: {error}{mend}") from None


def _crops(
    clip: InputClip, cut: Crop, dropped: list | None = None
) -> Iterator[tuple[int, float | None, np.ndarray]]:
    for number, seconds, frame in clip.read():
        if not isinstance(frame, Unreadable):
            yield number, seconds, cut(frame)
        elif dropped is not None:
            dropped.append((number, str(frame)))


def _two_images(clips: list[InputClip], cuts: list[Crop]) -> list[np.ndarray]:
    # Of two frames of one recording one crop is held; other pictures have one each.
    frames = [next(clip.readable()) for clip in clips]
    if frames[0].shape == frames[1].shape:
        cuts = [cuts[0], cuts[0]]
    return [cut(frame) for cut, frame in zip(cuts, frames, strict=True)]


def _pair(
    model: MicronBert,
    frame: np.ndarray,
    reference: np.ndarray,
    folder: Path,
    kind: str | None,
    clips: list[InputClip],
    cut: Crop,
) -> PairView:
    view = look_at_pair(model, frame, reference, kind=kind, faces=cut.kind == "face")
    title = " and ".join(Path(clip.name).name for clip in clips)
    _save(draw_pair(view, title=title, aspect=cut.aspect), folder / "pair.png")
    np.savez_compressed(folder / "pair.npz", **view.arrays())
    return view


def _clip(
    model: MicronBert, clip: InputClip, cut: Crop, folder: Path, kind: str | None, bar: type[tqdm]
) -> Timeline:
    name, dropped = Path(clip.name).name, []
    with bar(total=clip.count, unit=" frames", desc="energy") as watched:

        def counted():
            for crop in _crops(clip, cut, dropped):
                watched.update()
                yield crop

        fps, face = clip.fps or ASSUMED, cut.kind == "face"
        timeline = watch(model, counted(), fps=fps, kind=kind, faces=face)
    timeline = dataclasses.replace(timeline, dropped=dropped)
    apex = moments(timeline)[0].apex
    before = max(0, apex - timeline.delta)
    wanted = {n for m in moments(timeline) for n in (m.onset, m.apex, m.offset)} | {before}
    kept, count = {}, len(timeline.numbers)
    video = AnnotatedVideo(folder / "annotated.mp4", timeline, aspect=cut.aspect)
    crops = (crop for _, _, crop in _crops(clip, cut))
    for index, crop in enumerate(bar(crops, total=count, unit=" frames", desc="video")):
        video.add(index, crop)
        if index in wanted:
            kept[index] = crop
    video.close()
    _save(draw_timeline(timeline, title=name), folder / "timeline.png")
    _save(draw_moments(timeline, kept, title=name, aspect=cut.aspect), folder / "moments.png")
    view = look_at_pair(model, kept[apex], kept[before], kind=timeline.kind, faces=face)
    told = f"{name}: {timeline.seconds[apex]:.2f} s against {timeline.seconds[before]:.2f} s"
    _save(draw_pair(view, title=told, aspect=cut.aspect), folder / "top_moment.png")
    _tables(timeline, folder)
    arrays = {field: getattr(timeline, field) for field in ("numbers", "seconds", "heat", "flow")}
    arrays |= {"energy": timeline.energy, "flow_energy": timeline.flow_energy}
    arrays |= {"fps": fps, "delta": timeline.delta, "kind": timeline.kind}
    np.savez_compressed(folder / "timeline.npz", **arrays)
    return timeline


def _tables(timeline: Timeline, folder: Path) -> None:
    rows = zip(
        timeline.numbers, timeline.seconds, timeline.energy, timeline.flow_energy, strict=True
    )
    lines = [(n, f"{s:.4f}", f"{e:.6g}", f"{f:.4f}") for n, s, e, f in rows]
    _csv(folder / "energy.csv", ("frame", "seconds", "energy", "flow_px"), lines)
    lines = []
    for rank, interval in enumerate(timeline.intervals, 1):
        places = [interval.onset, interval.apex, interval.offset]
        seconds = timeline.seconds[places]
        duration = seconds[2] - seconds[0] + 1 / timeline.fps
        lines.append(
            (
                rank,
                *timeline.numbers[places],
                *(f"{second:.4f}" for second in seconds),
                f"{duration:.4f}",
                f"{interval.energy:.6g}",
                f"{interval.strength:.2f}",
                interval.part,
            )
        )
    header = ["rank", "onset", "apex", "offset", "onset_seconds", "apex_seconds", "offset_seconds"]
    _csv(
        folder / "intervals.csv", (*header, "duration_seconds", "energy", "strength", "part"), lines
    )


def _csv(path: Path, header, lines) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    path.write_text(text.getvalue())


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, bbox_inches="tight")
