"""Uploaded files -> what the page shows, as one JSON-ready dict; everything `visualize` makes."""

import base64
import io
import itertools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from tqdm import tqdm

from micron_jax.app.limits import Limits, check_pixels, limited
from micron_jax.errors import UserError
from micron_jax.faces.crop import NO_FACE, Crop, detector, place_crop
from micron_jax.faces.landmarks import Detector
from micron_jax.pretrained import MicronBert
from micron_jax.spotting.timeline import Timeline
from micron_jax.video.image_files import Unreadable, encode_jpeg
from micron_jax.video.inputs import InputClip, find_inputs
from micron_jax.visualization.figures import moments, scale_of
from micron_jax.visualization.folder import visualize
from micron_jax.visualization.overlay import COLORS, LABELS, overlay, top_of
from micron_jax.visualization.pairs import PairView, view_size

STRONGEST = 5  # intervals of a clip that are shown by name, and classified
MOST_FRAMES = 1200  # sent to the page; of longer clips some are left out
QUALITY = 88  # of the JPEGs that are looked at
BARS = {"energy": "comparing frames", "video": "drawing"}  # of `visualize`

Tell = Callable[[str, int, int], None]  # (what is being done, done, of how many)


def look(
    model: MicronBert,
    paths: list[Path],
    output: Path,
    *,
    limits: Limits,
    tell: Tell,
    crop: str = "face",
    kind: str | None = None,
) -> dict[str, Any]:
    """Runs `visualize` on one video or two pictures.

    Args:
      model: from `micron_jax.load`.
      paths: the files, checked by `limits.check_names`.
      output: folder to be made for what `visualize` writes.
      limits: of the video.
      tell: called now and then; what it raises ends the work.
      crop, kind: see `visualize`.

    Returns:
      `kind` (`pair` or `clip`), `figures` {name: PNG as a data URL}, `legend`, `archive` (a zip of
      all files, base64); of a pair `pictures` and `refused`, of a clip `fps`, `aspect`, `shown`
      (indices of `frames`), `frames` (face and map side by side, JPEG), `seconds`, `energy`,
      `intervals`. `probabilities`, of a checkpoint with a classifier: of the pair, the frame being
      the apex and what it is compared with the onset, or of each of a clip's `STRONGEST`
      intervals: a list of lists, in the order of its classes.

    Raises:
      UserError: a file cannot be used, in one line without folders.
    """
    for path in paths:
        check_pixels(path)
    tell("finding the face", 0, 0)
    try:
        clips = [limited(clip, limits.seconds) for clip in find_inputs(paths)]
        detect = detector(crop)
        cuts = [_cut(clip, crop, view_size(model), detect) for clip in clips]
        seen = visualize(model, clips, output, crop=crop, kind=kind, bar=_bar(tell))
        shown = {"probabilities": _classes(model, seen, clips, crop, detect, tell)}
    except UserError as error:
        line = str(error)
        for path in paths:
            line = line.replace(str(path), path.name)
        raise UserError(line) from None
    shown |= {
        "figures": {path.stem: _url(path.read_bytes(), "png") for path in output.glob("*.png")},
        "archive": _base64(_zip(output)),
    }
    if isinstance(seen, PairView):
        return shown | _pair(seen, cuts[0].aspect)
    return shown | _clip(seen, clips[0], cuts[0], tell)


def _cut(clip: InputClip, crop: str, size: int, detect: Detector | None) -> Crop:
    try:
        return place_crop(clip.frames(), crop, size, detect)
    except Unreadable as error:
        name, reason = Path(clip.name).name, str(error)
        if reason == NO_FACE:
            raise UserError(f"{name}: no face found; “whole frames” takes it as it is") from None
        raise UserError(reason if name in reason else f"{name}: {reason}") from None


def _classes(
    model: MicronBert,
    seen: PairView | Timeline,
    clips: list[InputClip],
    crop: str,
    detect: Detector | None,
    tell: Tell,
) -> list[list[float]]:
    if model.classifier is None:
        return []
    tell("classifying", 0, 0)
    size = model.classifier.pairs.size
    if isinstance(seen, PairView):
        # One crop is held for all frames of a recording, as in training; in the order of time.
        clips = clips[::-1] if len(clips) == 2 else clips
        frames = [frame for clip in clips for frame in itertools.islice(clip.readable(), 2)]
        alike = len(clips) == 1 or frames[0].shape == frames[1].shape
        cuts = [_cut(clip, crop, size, detect) for clip in clips]
        onset, apex = cuts[0](frames[0]), cuts[0 if alike else 1](frames[1])
        pairs = [(onset, apex)]
    else:
        cut = _cut(clips[0], crop, size, detect)
        strongest = seen.intervals[:STRONGEST]
        wanted = {place for one in strongest for place in (one.onset, one.apex)}
        frames = enumerate(clips[0].readable())
        kept = {index: cut(frame) for index, frame in frames if index in wanted}
        pairs = [(kept[one.onset], kept[one.apex]) for one in strongest]
    # One by one: however many there are, one program.
    found = [model.classify(onset[None], apex[None])[0] for onset, apex in pairs]
    return [np.asarray(probabilities).round(4).tolist() for probabilities in found]


def _pair(view: PairView, aspect: float) -> dict[str, Any]:
    top = top_of(view.heat, view.kind)
    pictures = {
        "frame": view.frame,
        f"reference{'' if view.registration.refused else ', registered'}": view.registered,
        "what moved": overlay(view.frame, view.heat, top),
    }
    return {
        "kind": "pair",
        "aspect": aspect,
        "refused": view.registration.refused,
        "pictures": [
            {"title": title, "src": _url(encode_jpeg(image, 95), "jpeg")}
            for title, image in pictures.items()
        ],
        "legend": _legend(view.kind, top),
    }


def _clip(timeline: Timeline, clip: InputClip, cut: Crop, tell: Tell) -> dict[str, Any]:
    count, top = len(timeline.numbers), scale_of(timeline)
    top_places = [n for m in moments(timeline) for n in (m.onset, m.apex, m.offset)]
    wanted = {*range(0, count, -(-count // MOST_FRAMES)), *top_places}
    frames = []
    for index, frame in enumerate(clip.readable()):
        if index in wanted:
            face = cut(frame)
            sides = np.hstack([face, overlay(face, timeline.heat[index], top)])
            frames.append(_url(encode_jpeg(sides, QUALITY), "jpeg"))
            tell("packing", len(frames), len(wanted))
    seconds = timeline.seconds - timeline.seconds[0]
    return {
        "kind": "clip",
        "aspect": cut.aspect,
        "fps": timeline.fps,
        "assumed": clip.fps is None,
        "shown": sorted(wanted),
        "frames": frames,
        "seconds": seconds.round(4).tolist(),
        "energy": (timeline.energy / top).round(4).tolist(),
        "intervals": [
            {
                "onset": i.onset,
                "apex": i.apex,
                "offset": i.offset,
                "strength": round(i.strength, 1),
                "part": i.part,
            }
            for i in timeline.intervals
        ],
        "legend": _legend(timeline.kind, top),
    }


def _legend(kind: str, top: float) -> dict[str, Any]:
    colors = matplotlib.colormaps[COLORS](np.linspace(0, 1, 9))
    return {"label": LABELS[kind], "top": f"{top:.2g}", "colors": [to_hex(c) for c in colors]}


def _bar(tell: Tell) -> type[tqdm]:
    class Told(tqdm):
        """Progress that goes to the page, not to the terminal."""

        monitor_interval = 0  # no thread of its own: `tell` may raise

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs | {"file": io.StringIO()})

        def display(self, msg=None, pos=None):
            tell(BARS.get(self.desc, self.desc), self.n, self.total or 0)

    return Told


def _zip(folder: Path) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:  # what is in it is compressed already
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return data.getvalue()


def _url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
