"""The result of uploaded files for the page, as one JSON-ready dict."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from micron_jax.app.closeups import close_up
from micron_jax.app.data_urls import archive_of, jpeg_url
from micron_jax.app.limits import Beginning, Limits, check_pixels, length_of
from micron_jax.app.warnings import clip_warnings, pair_warnings
from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.timeline import Timeline
from micron_jax.video.inputs import InputClip, find_inputs
from micron_jax.visualization.cropped_clip import CroppedClip, crop_clips, pair_crops
from micron_jax.visualization.figures import moments, scale_of
from micron_jax.visualization.folder import visualize
from micron_jax.visualization.overlay import COLORS, LABELS, overlay, top_of
from micron_jax.visualization.pairs import PairView, view_size

STRONGEST = 5  # candidates of a clip that have a close-up, and are classified
MOST_FRAMES = 1200  # sent to the page; of longer clips some are left out
QUALITY = 88  # of the JPEGs of the player

Report = Callable[[str, int, int], None]  # (one of `progress.STAGES`, steps done, of how many)


def visualize_files(
    model: MicronBert,
    paths: list[Path],
    output: Path,
    *,
    limits: Limits,
    report: Report,
    crop: str = "face",
    kind: str | None = None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Runs `visualize` on one video or two pictures.

    Args:
      model: from `micron_jax.load`.
      paths: the files, checked by `limits.check_names`.
      output: folder to be made by `visualize`.
      report: called now and then; an exception from it ends the work.
      crop, kind: see `visualize`.
      seconds: how much of a video is looked at, from its beginning; None: all of it, unless it is
        longer than `limits.first`.

    Returns:
      `input`: `pair`, `clip`, or `long`. Of a `long` video that nobody has chosen a part of,
      `seconds` and `offers`, of which one is to be chosen. Else `aspect`, `legend`, `warnings` (a
      line each), `archive` (see `archive_of`); of a pair `pictures` and `close_up`; of a clip
      `shown` (indices of `frames`), `frames` (face and map side by side), `seconds`, `energy`,
      `intervals` and the `close_ups` of the first `STRONGEST` of them. `probabilities`, of a
      checkpoint with a classifier, in the order of its classes: of the pair, the frame being the
      apex and its reference the onset, or of each of a clip's `STRONGEST` intervals; null where
      nothing moved.

    Raises:
      UserError: a file cannot be used, in one line without folders.
    """
    for path in paths:
        check_pixels(path)
    report("finding the face", 0, 0)
    try:
        clips = find_inputs(paths)
        if seconds is None and (length := length_of(clips[0])) > limits.first:
            offers = [limits.first, min(length, limits.seconds)]
            return {"input": "long", "seconds": length, "offers": sorted({*offers})}
        beginnings = [Beginning.of(clip, seconds or limits.first) for clip in clips]
        clips = [each.clip for each in beginnings]
        view = visualize(model, clips, output, crop=crop, kind=kind, bar=_bar(report))
        source, *_ = crop_clips(clips, crop, view_size(model))
        if isinstance(view, PairView):
            result = _describe_pair(model, view, source, report)
        else:
            cut = seconds or limits.first if beginnings[0].cut else None
            result = _describe_clip(model, view, source, report, cut)
        result["probabilities"] = []
        if model.classifier and not (isinstance(view, PairView) and view.apart):
            report("classifying", 0, 0)
            result["probabilities"] = _classify(model, view, clips, crop)
    except UserError as error:
        line = str(error)
        for path in paths:
            line = line.replace(str(path), path.name)
        raise UserError(line) from error.__cause__
    return result | {"archive": archive_of(output)}


def _describe_pair(
    model: MicronBert, view: PairView, source: CroppedClip, report: Report
) -> dict[str, Any]:
    top = top_of(view.motion_map, view.kind)
    pictures = {"the picture": view.frame, "compared with": view.registered}
    if not view.apart:
        pictures["what moved"] = overlay(view.frame, view.motion_map, top)
    report("magnifying", 0, 1)
    large, faces = None, source.crop.kind == "face"
    if not view.apart:
        large = close_up(model, view.registered, view.frame, faces=faces)
    return {
        "input": "pair",
        "aspect": source.crop.aspect,
        "warnings": pair_warnings(view),
        "pictures": [
            {"title": title, "src": jpeg_url(image, 95)} for title, image in pictures.items()
        ],
        "close_up": large,
        "legend": _legend(view.kind, top),
    }


def _describe_clip(
    model: MicronBert,
    timeline: Timeline,
    source: CroppedClip,
    report: Report,
    cut: float | None,
) -> dict[str, Any]:
    count, top = len(timeline.numbers), scale_of(timeline)
    strongest = timeline.intervals[:STRONGEST]
    shown = {*range(0, count, -(-count // MOST_FRAMES))}
    shown |= {n for each in strongest for n in range(each.onset, each.offset + 1)}
    shown |= {n for moment in moments(timeline) for n in moment.frames}
    ends, crops, frames = {n for each in strongest for n in (each.onset, each.apex)}, {}, []
    for index, face in source.pick(shown):
        sides = np.hstack([face, overlay(face, timeline.maps[index], top)])
        frames.append(jpeg_url(sides, QUALITY))
        if index in ends:
            crops[index] = face
        report("packing", len(frames), len(shown))
    large, faces = [], source.crop.kind == "face"
    for each in strongest:
        large.append(close_up(model, crops[each.onset], crops[each.apex], faces=faces))
        report("magnifying", len(large), len(strongest))
    fields = ("onset", "apex", "offset", "strength", "part", "energy")
    return {
        "input": "clip",
        "aspect": source.crop.aspect,
        "warnings": clip_warnings(timeline, source.clip, cut),
        "shown": sorted(shown),
        "frames": frames,
        "seconds": (timeline.seconds - timeline.seconds[0]).round(4).tolist(),
        "energy": timeline.energy.astype(float).round(5).tolist(),
        "intervals": [
            {name: getattr(i, name) for name in fields}
            | {"confidence": None if math.isnan(i.confidence) else round(i.confidence, 4)}
            for i in timeline.intervals
        ],
        "close_ups": large,
        "legend": _legend(timeline.kind, top),
    }


def _classify(
    model: MicronBert, view: PairView | Timeline, clips: list[InputClip], crop: str
) -> list[list[float] | None]:
    cropped = crop_clips(clips, crop, model.classifier.pairs.size)
    if isinstance(view, PairView):
        pairs = [pair_crops(cropped[::-1])]  # in the order of time
    else:
        strongest = view.intervals[:STRONGEST]
        crops = dict(cropped[0].pick({n for one in strongest for n in (one.onset, one.apex)}))
        pairs = [(crops[one.onset], crops[one.apex]) for one in strongest]
    # One by one: however many there are, one compilation.
    probabilities = [model.classify(onset[None], apex[None])[0] for onset, apex in pairs]
    rows = [np.asarray(row).round(4) for row in probabilities]
    return [None if np.isnan(row).any() else row.tolist() for row in rows]


def _legend(kind: str, top: float) -> dict[str, Any]:
    colors = matplotlib.colormaps[COLORS](np.linspace(0, 1, 9))
    ticks = [f"{tick:.2g}" for tick in np.linspace(0, top, 4)]
    return {"kind": kind, "label": LABELS[kind], "ticks": ticks, "top": top} | {
        "colors": [to_hex(color) for color in colors]
    }


def _bar(report: Report) -> Callable[..., Iterator]:
    """In place of `tqdm`: progress that goes to the page, not to the terminal."""

    def bar(frames: Iterable, *, total: int, desc: str, unit: str) -> Iterator:
        for count, frame in enumerate(frames, 1):
            report(desc, count, max(count, total))
            yield frame

    return bar
