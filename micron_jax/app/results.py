"""The result of uploaded files for the page, as one JSON-ready dict."""

import base64
import io
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from micron_jax.app.limits import Limits, check_pixels, limit_seconds
from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.timeline import Timeline
from micron_jax.video.image_files import encode_jpeg
from micron_jax.video.inputs import InputClip, find_inputs
from micron_jax.visualization.cropped_clip import CroppedClip, crop_clips, pair_crops
from micron_jax.visualization.figures import moments, scale_of
from micron_jax.visualization.folder import visualize
from micron_jax.visualization.overlay import COLORS, LABELS, overlay, top_of
from micron_jax.visualization.pairs import PairView, view_size

STRONGEST = 5  # intervals of a clip that are shown by name, and classified
MOST_FRAMES = 1200  # sent to the page; of longer clips some are left out
QUALITY = 88  # of the JPEGs of the player

Report = Callable[[str, int, int], None]  # (present work, steps done, of how many)


def visualize_files(
    model: MicronBert,
    paths: list[Path],
    output: Path,
    *,
    limits: Limits,
    report: Report,
    crop: str = "face",
    kind: str | None = None,
) -> dict[str, Any]:
    """Runs `visualize` on one video or two pictures.

    Args:
      model: from `micron_jax.load`.
      paths: the files, checked by `limits.check_names`.
      output: folder to be made by `visualize`.
      report: called now and then; an exception from it ends the work.
      crop, kind: see `visualize`.

    Returns:
      `input` (`pair` or `clip`), `aspect`, `figures` {name: PNG as a data URL}, `legend`, `archive`
      (a zip of all files, base64); of a pair `pictures` and `refused`, of a clip `fps`, `assumed`,
      `shown` (indices of `frames`), `frames` (face and map side by side, JPEG), `seconds`,
      `energy`, `intervals`. `probabilities`, of a checkpoint with a classifier, in the order of its
      classes: of the pair, the frame being the apex and its reference the onset, or of each of a
      clip's `STRONGEST` intervals; null where nothing moved.

    Raises:
      UserError: a file cannot be used, in one line without folders.
    """
    for path in paths:
        check_pixels(path)
    report("finding the face", 0, 0)
    try:
        clips = [limit_seconds(clip, limits.seconds) for clip in find_inputs(paths)]
        view = visualize(model, clips, output, crop=crop, kind=kind, bar=_bar(report))
        source, *_ = crop_clips(clips, crop, view_size(model))
        describe = _describe_pair if isinstance(view, PairView) else _describe_clip
        result = describe(view, source, report)
        result["probabilities"] = []
        if model.classifier:
            report("classifying", 0, 0)
            result["probabilities"] = _classify(model, view, clips, crop)
    except UserError as error:
        line = str(error)
        for path in paths:
            line = line.replace(str(path), path.name)
        raise UserError(line) from error.__cause__
    figures = {path.stem: _url(path.read_bytes(), "png") for path in output.glob("*.png")}
    return result | {"figures": figures, "archive": _base64(_zip(output))}


def _describe_pair(view: PairView, source: CroppedClip, _: Report) -> dict[str, Any]:
    top = top_of(view.motion_map, view.kind)
    pictures = {
        "frame": view.frame,
        f"reference{'' if view.registration.refused else ', registered'}": view.registered,
        "what moved": overlay(view.frame, view.motion_map, top),
    }
    return {
        "input": "pair",
        "aspect": source.crop.aspect,
        "refused": view.registration.refused,
        "pictures": [
            {"title": title, "src": _url(encode_jpeg(image, 95), "jpeg")}
            for title, image in pictures.items()
        ],
        "legend": _legend(view.kind, top),
    }


def _describe_clip(timeline: Timeline, source: CroppedClip, report: Report) -> dict[str, Any]:
    count, top = len(timeline.numbers), scale_of(timeline)
    shown = {*range(0, count, -(-count // MOST_FRAMES))}
    shown |= {n for moment in moments(timeline) for n in moment.frames}
    frames = []
    for index, face in source.pick(shown):
        sides = np.hstack([face, overlay(face, timeline.maps[index], top)])
        frames.append(_url(encode_jpeg(sides, QUALITY), "jpeg"))
        report("packing", len(frames), len(shown))
    fields = ("onset", "apex", "offset", "strength", "part")
    return {
        "input": "clip",
        "aspect": source.crop.aspect,
        "fps": timeline.fps,
        "assumed": source.clip.fps is None,
        "shown": sorted(shown),
        "frames": frames,
        "seconds": (timeline.seconds - timeline.seconds[0]).round(4).tolist(),
        "energy": (timeline.energy / top).round(4).tolist(),
        "intervals": [
            {name: getattr(i, name) for name in fields}
            | {"confidence": None if math.isnan(i.confidence) else round(i.confidence, 4)}
            for i in timeline.intervals
        ],
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
    return {"label": LABELS[kind], "top": f"{top:.2g}", "colors": [to_hex(c) for c in colors]}


def _bar(report: Report) -> Callable[..., Iterator]:
    """In place of `tqdm`: progress that goes to the page, not to the terminal."""

    def bar(frames: Iterable, *, total: int, desc: str, unit: str) -> Iterator:
        for count, frame in enumerate(frames, 1):
            report(desc, count, max(count, total))
            yield frame

    return bar


def _zip(folder: Path) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:  # its files are compressed already
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return data.getvalue()


def _url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
