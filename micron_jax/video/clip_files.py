"""Clips on disk: film files, and folders that directly hold images."""

import dataclasses
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.video.image_files import IMAGES

VIDEOS = (".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")

CROPS, SHEET = "crops.json", "contact_sheet.png"  # what `data faces` writes beside its crops


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """The files of a clip.

    A part of it lies between two numbers, both included: those in the names of a folder's files,
    and in a film counted from 0.
    """

    name: str  # the path below the searched folder, with forward slashes ("." for that folder)
    path: Path  # a film file, or a folder of `files` images
    files: int
    bytes: int
    first: int | None = None
    last: int | None = None
    fps: float | None = None  # frames per second, where a list of clips says so

    def holds(self, number: int) -> bool:
        """Returns whether a frame of this number lies within the bounds."""
        above = self.first is None or number >= self.first
        return above and (self.last is None or number <= self.last)


def select_images(names: Iterable[str]) -> list[str]:
    """Returns those of a folder's names that are images, without hidden files, by name."""
    names = list(names)
    if CROPS in names and SHEET in names:  # of `data faces`: not a frame, whatever it shows
        names.remove(SHEET)
    return sorted(n for n in names if n.lower().endswith(IMAGES) and not n.startswith("."))


def find_clips(root: Path) -> list[ClipFiles]:
    """Finds all clips below a folder, sorted by name; hidden files and folders are passed over.

    Raises:
      UserError: `root` is missing, is not a folder, or holds no film and no image.
    """
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        raise UserError(f"{root} {state}; name a folder of videos or of image folders")
    clips = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        clips += _clips_among(names, Path(folder), root)
    if not clips:
        suffixes = " ".join(VIDEOS + IMAGES)
        raise UserError(f"{root} holds no video and no image (looked for {suffixes})")
    return sorted(clips, key=lambda clip: clip.name)


def clip_at(path: Path, name: str) -> ClipFiles | None:
    """Returns the clip that this file or folder is, under another name; None: it is none."""
    names, folder = [path.name], path.parent
    if path.is_dir():
        names, folder = [entry.name for entry in path.iterdir()], path
    clips = (clip for clip in _clips_among(names, folder, folder) if clip.path == path)
    return next((dataclasses.replace(clip, name=name) for clip in clips), None)


def _clips_among(names: list[str], folder: Path, root: Path) -> list[ClipFiles]:
    """Returns the films among a folder's entries, and the folder itself if there are images."""
    clips, image_sizes = [], []
    if CROPS in names and SHEET in names:  # of `data faces`: not a frame, whatever it shows
        names = [name for name in names if name != SHEET]
    for name in names:
        suffix = os.path.splitext(name)[1].lower()
        if name.startswith(".") or suffix not in VIDEOS + IMAGES:
            continue
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            continue
        if suffix in VIDEOS:
            film = Path(path)
            clips.append(ClipFiles(_name(film, root), film, 1, os.path.getsize(path)))
        else:
            image_sizes.append(os.path.getsize(path))
    if image_sizes:
        clips.append(ClipFiles(_name(folder, root), folder, len(image_sizes), sum(image_sizes)))
    return clips


def _name(path: Path, root: Path) -> str:
    # A name that is no UTF-8 (an old archive) must still become text that can be stored.
    name = path.relative_to(root).as_posix()
    return os.fsencode(name).decode("utf-8", "backslashreplace")
