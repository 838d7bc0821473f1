"""The images that a live comparison feeds to both sides."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from micron_jax.data.views import normalize
from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig
from micron_jax.parity.recorded import Recording, check_complete
from micron_jax.video import image_files
from micron_jax.video.frame_order import order_frames
from micron_jax.video.image_folder import image_names

MOST_FRAMES = 5  # the layers of a pair take 100 MB at the release's size


def read_images(paths: Sequence[Path], side: int) -> np.ndarray:
    """Images, or all those of folders, in order: uint8 RGB [N, side, side, 3].

    Of more than `MOST_FRAMES` the first are taken. They are resized whole to a square, as the
    release's `load_image` does (micron_bert.py, line 27).

    Raises:
      UserError: a file is missing or no image, or there are fewer than two.
    """
    files: list[Path] = []
    for path in paths:
        try:
            folder = path.is_dir()
            files += [path / n for n in order_frames(image_names(path)).names] if folder else [path]
        except (OSError, image_files.Unreadable) as error:
            raise UserError(f"{path}: {getattr(error, 'strerror', error)}") from error
    frames = [image_files.read_image(file) for file in files[:MOST_FRAMES]]
    for file, frame in zip(files, frames, strict=False):
        if isinstance(frame, image_files.Unreadable):
            raise UserError(f"{file.parent}/{frame}")
    if len(frames) < 2:
        listed = " ".join(map(str, paths))
        raise UserError(f"{listed}: {len(frames)} images; a pair of frames is compared, give two")
    return np.stack([cv2.resize(frame, (side, side)) for frame in frames])


def draw_images(side: int) -> np.ndarray:
    """Three smooth frames, whose middle moves by 2 px, down, then right: uint8 [3, side, side, 3].

    Two pairs: a mean, or a maximum, over the pairs is then no single pair's.
    """
    rng = np.random.RandomState(0)
    coarse = rng.randint(0, 256, (7, 7, 3)).astype(np.uint8)
    first = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    frames = np.stack([first] * 3)
    middle = np.s_[side // 3 : 2 * side // 3, side // 3 : 2 * side // 3]
    for axis, frame in enumerate(frames[1:]):
        frame[middle] = np.roll(first, 2, axis)[middle]
    return frames


def draw_file(side: int) -> np.ndarray:
    """What a file holds from which an image of `side` px is read: noise, uint8 [h, w, 3]."""
    shape = side * 3 // 2, side * 4 // 3, 3
    return np.random.RandomState(2).randint(0, 256, shape).astype(np.uint8)


def make_views(frames: np.ndarray, config: ModelConfig) -> dict[str, np.ndarray]:
    """The normalized views that both sides are fed, as `layer_outputs.outputs` takes them.

    Frame i is paired with frame i + 1. Which crops a training would draw does not matter here:
    these are the second frame, its mirror image, and two quarters of it. `image`, uint8, is what a
    file holds that both sides read.
    """
    cur, ref = frames[:-1], frames[1:]
    grid, patch = config.grid, config.patch_size
    swapped = np.random.RandomState(1).rand(len(cur), grid, grid) < 0.5
    swapped = swapped.repeat(patch, 1).repeat(patch, 2)[..., None]
    half, small = config.img_size // 2, max(1, grid * 3 // 7) * patch  # 96 px of 224
    corners = (ref[:, :half, :half], ref[:, -half:, -half:])
    local = [[cv2.resize(image, (small, small)) for image in corner] for corner in corners]
    views = {"rep": np.where(swapped, ref, cur), "ref": ref, "cur": cur}
    views |= {"global": np.stack([ref, ref[:, :, ::-1]], 1), "local": np.stack(local, 1)}
    views = {name: np.asarray(normalize(view)) for name, view in views.items()}
    return views | {"image": draw_file(config.img_size)}


def check_views(recording: Recording, config: ModelConfig) -> None:
    """Checks that the views of a recording are those of `make_views`, and no more than its pairs.

    Raises:
      UserError: one is missing, or of another shape or dtype.
    """
    views, source = recording.views, recording.source
    side, small = config.img_size, max(1, config.grid * 3 // 7) * config.patch_size
    shapes = dict.fromkeys(("rep", "ref", "cur"), (side, side, 3))
    shapes |= {"global": (2, side, side, 3), "local": (2, small, small, 3)}
    check_complete(source, views, [*shapes, *(() if recording.is_former else ["image"])])
    pairs = len(np.atleast_1d(views["rep"]))
    for name, shape in shapes.items():
        view = views[name]
        if view.shape != (pairs, *shape) or view.dtype != np.float32 or not 0 < pairs < MOST_FRAMES:
            raise UserError(
                f"{source}: {name} is {view.dtype} {view.shape}; of this checkpoint it would be "
                f"float32 of (pairs, {', '.join(map(str, shape))}), 1 to {MOST_FRAMES - 1} pairs: "
                "record it again"
            )
    image = views.get("image", np.zeros((1, 1, 3), np.uint8))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise UserError(
            f"{source}: image is {image.dtype} {image.shape}, no image: record it again"
        )
