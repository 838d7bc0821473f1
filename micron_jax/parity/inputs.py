"""The images that a live comparison feeds to both sides."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from micron_jax.data.views import normalize
from micron_jax.errors import UserError
from micron_jax.models.config import ModelConfig
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
    """Two smooth frames, the middle of the second 2 px lower, uint8 [2, side, side, 3]."""
    rng = np.random.RandomState(0)
    coarse = rng.randint(0, 256, (7, 7, 3)).astype(np.uint8)
    first = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    second = first.copy()
    middle = np.s_[side // 3 : 2 * side // 3, side // 3 : 2 * side // 3]
    second[middle] = np.roll(first, 2, 0)[middle]
    return np.stack([first, second])


def make_views(frames: np.ndarray, config: ModelConfig) -> dict[str, np.ndarray]:
    """The normalized views that both sides are fed, as `layer_outputs.outputs` takes them.

    Frame i is paired with frame i + 1. Which crops a training would draw does not matter here:
    these are the second frame, its mirror image, and two quarters of it.
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
    return {name: np.asarray(normalize(view)) for name, view in views.items()}
