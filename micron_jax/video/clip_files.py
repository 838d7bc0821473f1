"""Clips on disk: film files, animated images, and folders that directly hold images."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from micron_jax.errors import UserError
from micron_jax.video.animation import is_animation
from micron_jax.video.file_kinds import (
    VIDEOS,
    is_companion,
    reason_against,
    reason_against_content,
)
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.folder_walk import FolderFile, shown, storable, walk
from micron_jax.video.frame_order import order_frames
from micron_jax.video.image_files import IMAGES, Unreadable

CROPS, SHEET = "crops.json", "contact_sheet.png"  # what `data faces` writes beside its crops
CROPS_OF_CLIP = ".crop.json"  # the same of a clip, in its folder, with the times of its frames


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """The files of a clip.

    A part of it lies between two numbers, both included: those in the names of a folder's files,
    and in a film counted from 0.
    """

    name: str  # the path below the searched folder, with forward slashes ("." for that folder)
    path: Path  # a film or animated image, or a folder of `files` images
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


def find_clips(
    root: Path, notes: FileNotes | None = None, *, ordered: bool = True
) -> list[ClipFiles]:
    """Finds all clips below a folder, sorted by name; see `walk`.

    Args:
      notes: gets the files that are not read.
      ordered: the images of a folder are frames of one clip, whose order is noted, too.

    Raises:
      UserError: `root` is missing, is not a folder, or holds no film and no image.
    """
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        raise UserError(f"{root} {state}; name a folder of videos or of image folders")
    notes, clips = FileNotes() if notes is None else notes, []
    for folder, files in walk(root, notes):
        clips += _clips_among(folder, files, root, notes, ordered)
    if not clips:
        unread = "".join(f"; not read: {line}" for line in notes.lines()[:1])
        raise UserError(
            f"{root} holds no video and no image (looked for {' '.join(VIDEOS + IMAGES)}){unread}"
        )
    return sorted(clips, key=lambda clip: clip.name)


def clip_at(path: Path, name: str, notes: FileNotes | None = None) -> ClipFiles | None:
    """Returns the clip that this file or folder is, under another name; None: it is none.

    `notes` get the files of a folder that are not read, and an order that is noted.
    """
    folder = path if path.is_dir() else path.parent
    entries = folder.iterdir() if path.is_dir() else [path]
    files = [FolderFile(entry.name, entry.stat().st_size) for entry in entries if entry.is_file()]
    files = [file for file in files if not file.name.startswith(".")]
    notes = FileNotes() if notes is None else notes
    notes.folder = storable(folder)
    clips = _clips_among(folder, files, folder, notes, ordered=True)
    return next((dataclasses.replace(clip, name=name) for clip in clips if clip.path == path), None)


def _clips_among(
    folder: Path, files: list[FolderFile], root: Path, notes: FileNotes, ordered: bool
) -> list[ClipFiles]:
    """Returns the films among a folder's files, and the folder itself if there are images."""
    clips, images = [], {}
    names = set(select_images(file.name for file in files))
    for name, size in files:
        path = folder / name
        if name in names and not is_animation(path):
            images[name] = size
        elif name in names or name.lower().endswith(VIDEOS):
            if reason := reason_against_content(str(path)):
                notes.add(reason, shown(path, root))
            else:
                clips.append(ClipFiles(shown(path, root), path, 1, size))
        elif is_companion(name) or name == SHEET:
            notes.add_companion(name)
        else:
            notes.add(reason_against(name), shown(path, root))
    if images:
        images = _ordered(images, folder, root, notes) if ordered else images
        clips.append(ClipFiles(shown(folder, root), folder, len(images), sum(images.values())))
    return clips


def _ordered(images: dict[str, int], folder: Path, root: Path, notes: FileNotes) -> dict[str, int]:
    """Returns the images that are frames of a folder's clip."""
    try:
        order = order_frames(images)
    except Unreadable:  # reading the clip tells the reason
        return images
    for name, reason in order.left_out.items():
        notes.add(f"left out as {reason.partition(' of ')[0]}", shown(folder / name, root))
    if order.note:
        notes.add(order.note.partition(" (")[0], shown(folder / order.names[0], root))
    return {name: images[name] for name in order.names}
