"""What people type at a prompt or in a notebook: a face, what moved in it, and when.

    import micron_jax
    micron_jax.look("apex.jpg", "onset.jpg")
    micron_jax.spot("film.mp4")

Each returns a result that shows itself: `print` gives a line or a few, a notebook a picture, and
`plot()` a matplotlib figure.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from micron_jax.errors import UserError
from micron_jax.pretrained import MicronBert, load
from micron_jax.spotting import confidence
from micron_jax.spotting.timeline import measure_timeline
from micron_jax.video.inputs import InputClip, find_inputs
from micron_jax.video.pictures import Picture, as_rgb
from micron_jax.video.timing import ASSUMED_FPS
from micron_jax.visualization.cropped_clip import crop_clips, pair_crops
from micron_jax.visualization.film_view import FilmView
from micron_jax.visualization.pairs import PairView, compare_pair, view_size


def read_face(picture: Picture, *, size: int = 224, crop: str = "face") -> np.ndarray:
    """Reads a picture and cuts its face out, as the networks take it.

    Args:
      picture: a path, an image of Pillow, or RGB uint8 [H, W, 3]; of several faces the largest.
      size: side of the crop, px.
      crop: `face`, aligned from brow to chin; `whole`, the whole picture; `release`, the same as
        the PyTorch release reads it.

    Returns:
      RGB uint8 [size, size, 3]; `face[None]` is a batch for the methods of `MicronBert`.

    Raises:
      UserError: no such file, no picture, no face.
      ValueError: an array that is no RGB picture of 8 bits.
    """
    return _cut(_still(picture, "picture"), crop, size)


def look(
    frame: Picture,
    reference: Picture,
    *,
    model: MicronBert | None = None,
    kind: str | None = None,
    crop: str = "face",
) -> PairView:
    """Shows what moved in a face from a reference to a frame, such as from onset to apex.

    The reference is registered onto the frame first. Two pictures of one size get the crop of the
    first, as frames of one recording; others have a crop each.

    Args:
      frame, reference: as `read_face` takes them, or crops that it made: arrays of the network's
        input size (224 px) are taken as they are.
      model: from `load`; None: `micron-tiny`.
      kind: of the map, one of `model.map_kinds`; None: the first of them.
      crop: see `read_face`.

    Raises:
      UserError: no such file, no picture, no face.
      ValueError: an array that is no RGB picture of 8 bits; no such kind.
    """
    model = model or _micron_tiny()
    size = view_size(model)
    pictures = {"frame": frame, "reference": reference}
    clips = [_still(picture, name) for name, picture in pictures.items()]
    ready = [_is_crop(picture, size) for picture in pictures.values()]
    if any(ready):
        crops = [
            next(clip.readable()) if done else _cut(clip, crop, size)
            for clip, done in zip(clips, ready, strict=True)
        ]
    else:
        crops = pair_crops(crop_clips(clips, crop, size))
    return compare_pair(model, *crops, kind=kind, faces=crop == "face")


def spot(
    film: str | Path | np.ndarray | Sequence[Picture],
    *,
    model: MicronBert | None = None,
    fps: float | None = None,
    crop: str = "face",
    alarms_per_minute: float = 2.0,
) -> FilmView:
    """Finds candidates of micro-expressions in a film, as `micron-jax spot` does.

    Args:
      film: a path of a film or of a folder of images; or the frames themselves, RGB uint8
        [T, H, W, 3] or a list of pictures. Frames of the network's input size (224 px) are taken as
        crops of a face.
      model: with a displacement branch; None: `micron-tiny`.
      fps: frames per second, in place of what a film says; frames in an array or a list need it.
      crop: see `read_face`.
      alarms_per_minute: false alarms that are borne; sets the lowest probability of a candidate.

    Raises:
      UserError: no such file, no film, no face, no two frames that can be compared.
      ValueError: frames that are no RGB pictures of 8 bits and of one size, or without `fps`; the
        checkpoint has no displacement branch.
    """
    model = model or _micron_tiny()
    if "motion" not in model.map_kinds:
        raise ValueError("this checkpoint has no displacement branch; micron-tiny has one")
    least = confidence.read()["motion"].threshold(alarms_per_minute)
    size = model.config.img_size
    if isinstance(film, str | Path):
        clip, ready = _film(film, fps), False
    else:
        clip, ready = _frames(film, fps), all(_is_crop(frame, size) for frame in film)
    if ready:
        frames = clip.read()
    else:
        frames = crop_clips([clip], crop, size)[0].frames()
        frames = tqdm(frames, total=clip.count, desc=Path(clip.name).name, unit=" frames")
    rate = clip.fps or ASSUMED_FPS
    timeline = measure_timeline(model, frames, fps=rate, kind="motion", faces=crop == "face")
    return FilmView.of(Path(clip.name).name, timeline, least)


@functools.cache
def _micron_tiny() -> MicronBert:
    return load()


def _is_crop(picture: object, size: int) -> bool:
    return isinstance(picture, np.ndarray) and picture.shape == (size, size, 3)


def _still(picture: Picture, name: str) -> InputClip:
    image = as_rgb(picture, name)
    name = str(picture) if isinstance(picture, str | Path) else name
    return InputClip(name, None, 1, "", lambda: iter([(0, None, image)]))


def _cut(clip: InputClip, crop: str, size: int) -> np.ndarray:
    return crop_clips([clip], crop, size)[0].crop(next(clip.readable()))


def _film(path: str | Path, fps: float | None) -> InputClip:
    clips = find_inputs([path], fps=fps)
    if len(clips) != 1:
        raise UserError(f"{path}: holds {len(clips):,} films; name one of them")
    if clips[0].count == 1:
        raise UserError(f"{path}: one frame only, and nothing to compare it with")
    return clips[0]


def _frames(pictures: Sequence[Picture], fps: float | None) -> InputClip:
    frames = [as_rgb(picture, f"frame {n}") for n, picture in enumerate(pictures)]
    if fps is None:
        raise ValueError("frames tell no rate: give frames per second, fps=30")
    if len(frames) < 2:
        raise ValueError(f"{len(frames)} frame{'s' * (len(frames) != 1)}: a film has more")
    for n, frame in enumerate(frames):
        if frame.shape != frames[0].shape:
            sizes = [f"{height} x {width}" for height, width, _ in (frame.shape, frames[0].shape)]
            raise ValueError(f"frame {n} is {sizes[0]} px, the first {sizes[1]}")

    def read():
        return ((n, n / fps, frame) for n, frame in enumerate(frames))

    return InputClip("frames", fps, len(frames), "", read)
