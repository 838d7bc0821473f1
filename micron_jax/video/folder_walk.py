"""A walk through all folders below one: links are followed, and nothing is passed over unnoted."""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from micron_jax.video.file_kinds import SYSTEM_FOLDERS, is_companion
from micron_jax.video.file_notes import FileNotes


class FolderFile(NamedTuple):
    """A file in a folder; `size` in bytes."""

    name: str
    size: int


def storable(path: str | Path) -> str:
    """Returns a path as text that can be stored and drawn.

    A name that is no UTF-8, as of an old archive, gets backslashes.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def shown(path: Path, root: Path) -> str:
    """Returns a path below `root` as `storable` text, with forward slashes."""
    return storable(path.relative_to(root).as_posix())


def walk(root: Path, notes: FileNotes) -> Iterator[tuple[Path, list[FolderFile]]]:
    """Yields (folder, its files by name) for `root` and all folders below it.

    A linked folder is searched once, and never if it holds `root`. Notes take hidden files and
    folders, broken links, folders that cannot be opened, and files that are none, as pipes.
    """
    top = os.path.realpath(root)
    visited, folders, links = {top}, deque([(root, top)]), deque()
    while folders or links:
        if folders:
            folder, real = folders.popleft()
        else:
            folder = links.popleft()
            real = os.path.realpath(folder)
            if real in visited or top.startswith(os.path.join(real, "")):
                notes.add("links to folders that are searched anyway", shown(folder, root))
                continue
            visited.add(real)
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            notes.add(f"folders that cannot be opened: {error.strerror}", shown(folder, root))
            continue
        files = []
        for entry in entries:
            path = folder / entry.name
            if _is_folder(entry):
                below = os.path.join(real, entry.name)
                if entry.name.startswith(".") or entry.name.lower() in SYSTEM_FOLDERS:
                    notes.add("hidden folders", shown(path, root))
                elif entry.is_symlink():
                    links.append(path)
                elif below not in visited:
                    visited.add(below)
                    folders.append((path, below))
            elif entry.name.startswith("."):
                if is_companion(entry.name):
                    notes.add_companion(entry.name)
                else:
                    notes.add("hidden files", shown(path, root))
            elif (size := _size(entry, notes, shown(path, root))) is not None:
                files.append(FolderFile(entry.name, size))
        yield folder, files


def is_file(entry: os.DirEntry) -> bool:
    """Returns whether an entry is a file or a link to one: no folder, pipe or broken link."""
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _size(entry: os.DirEntry, notes: FileNotes, name: str) -> int | None:
    try:
        if entry.is_file():
            return entry.stat().st_size
        broken = entry.is_symlink() and not os.path.exists(entry.path)
    except OSError as error:
        notes.add(f"files that cannot be opened: {error.strerror}", name)
        return None
    notes.add("broken links" if broken else "no files, but pipes, sockets or devices", name)
    return None
