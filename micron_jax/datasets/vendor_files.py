"""A vendor's files: the sheet and the frames of a benchmark below the folder as unpacked."""

import dataclasses
import difflib
import fnmatch
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from micron_jax.datasets.annotations import missing_columns, read_rows, sheet_names
from micron_jax.datasets.clipset import ClipSet, Entry
from micron_jax.datasets.sheets import SUFFIXES, open_workbook
from micron_jax.errors import UserError
from micron_jax.video.file_kinds import VIDEOS

IMAGES = (".bmp", ".jpeg", ".jpg", ".png")
WORKBOOK = ".xls*"  # the end of a pattern: any of `SUFFIXES`, for sheets are exported, too


@dataclasses.dataclass
class Tree:
    """The workbooks and films below `root`, and its folders by their `canonical` names.

    `folders` holds (path, whether images lie directly in the folder).
    """

    root: Path
    workbooks: list[Path]
    folders: dict[str, list[tuple[Path, bool]]]
    films: list[Path] = dataclasses.field(default_factory=list)


def canonical(part: str) -> str:
    """Returns a folder's name without case and leading zeros: `spNO.01` -> `spno.1`."""
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), part.casefold())


def walk(root: Path) -> Tree:
    """Walks a folder once; follows links, passes over hidden entries and CAS(ME)3's depth maps.

    Raises:
      UserError: `root` is missing or no folder, or a folder below it cannot be opened.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UserError(f"{root} {what}; source must name the folder as you unpacked it")
    tree = Tree(root.resolve(), [], defaultdict(list))
    visited = set()
    for name, below, files in os.walk(tree.root, onerror=_refuse, followlinks=True):
        real = os.path.realpath(name)
        if real in visited:  # a link to a folder above or beside
            below.clear()
            continue
        visited.add(real)
        below[:] = sorted(b for b in below if not b.startswith(".") and b.casefold() != "depth")
        folder, shown = Path(name), [file for file in files if not file.startswith((".", "~$"))]
        tree.workbooks += [folder / f for f in shown if Path(f).suffix.lower() in SUFFIXES]
        tree.films += [folder / f for f in shown if Path(f).suffix.lower() in VIDEOS]
        pictures = any(Path(file).suffix.lower() in IMAGES for file in shown)
        tree.folders[canonical(folder.name)].append((folder, pictures))
    tree.workbooks.sort()
    return tree


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be opened ({error.strerror})") from error


def find_sheet(
    spec: ClipSet, tree: Tree, chosen: Path | None, others: Iterable[ClipSet] = ()
) -> tuple[Path, str]:
    """Returns the workbook and the name of its sheet.

    Args:
      chosen: the workbook, if the user names it.
      others: sets that a wrong sheet may belong to; the message names them.

    Raises:
      UserError: there is none, it lacks a column, it is another set's, or several fit.
    """
    files = [chosen] if chosen else [f for f in tree.workbooks if named_as(f, spec)]
    if not files:
        patterns = " or ".join(spec.sheet_files)
        near = _nearest(spec.sheet_files[0], [path.name for path in tree.workbooks])
        raise UserError(
            f"no sheet of {spec.name} below {tree.root}: looked for {patterns} (nearest match: "
            f"{near or 'none, there is no .xls, .xlsx or .csv'}); mend source or sheet; "
            f"`micron-jax data list {spec.name}` shows the layout"
        )
    named = [(path, sheet) for path in files for sheet in _sheets(path, spec, chosen)]
    fits = [pair for pair in named if not missing_columns(*pair, spec.columns, spec.optional)]
    if len(fits) > 1 and spec.file_token:  # the name's word decides between HS and VIS
        fits = [pair for pair in fits if spec.file_token in _words(pair[0])] or fits
    if len(fits) > 1 and spec.sheets:  # the first title is the newest
        titles = [sheet.strip().casefold() for _, sheet in fits]
        best = next((t for t in map(str.casefold, spec.sheets) if t in titles), None)
        fits = [pair for pair, title in zip(fits, titles, strict=True) if title == best] or fits
    # A hidden sheet is seldom the one that is meant, and copies of one workbook are no question.
    fits = [pair for pair in fits if open_workbook(pair[0]).sheet(pair[1]).visible] or fits
    fits = list({sha256_of(path) + sheet: (path, sheet) for path, sheet in reversed(fits)}.values())
    if len(fits) == 1:
        return fits[0]
    if fits:
        (a, sheet_a), (b, sheet_b) = fits[-1], fits[-2]
        mend = "name one workbook by sheet"
        if a == b:
            mend = "delete or hide the one that is not meant"
        raise UserError(
            f"two sheets fit {spec.name}: {_shown(a, sheet_a)} and {_shown(b, sheet_b)}; {mend}"
        )
    if not named:
        names = ", ".join(filter(None, sheet_names(files[0])))
        if not names:
            raise UserError(
                f"{files[0]}: an exported table does not tell which sheet it was; name it with "
                f"the word {spec.file_token}, or give it as sheet"
            )
        raise UserError(f"{files[0]} has no sheet {' or '.join(spec.sheets)}; it has: {names}")
    path, sheet = min(
        named, key=lambda pair: len(missing_columns(*pair, spec.columns, spec.optional))
    )
    for other in others:
        known = other.name != spec.name and other.columns
        if known and not missing_columns(path, sheet, other.columns, other.optional):
            raise UserError(
                f"{path} reads like the sheet of {other.name}, not of {spec.name}: "
                f"{missing_columns(path, sheet, spec.columns, spec.optional)[0]}"
            )
    read_rows(path, sheet, spec.columns, spec.optional)  # raises, and names the column
    raise AssertionError("unreachable")


class Frames:
    """The folders of the entries' frames, below one `prefix`, or the common one of several."""

    def __init__(self, spec: ClipSet, tree: Tree, entries: list[Entry], chosen: Path | None):
        """Finds the prefix.

        Raises:
          UserError: no folder fits (the nearest is named), or folders below two prefixes do, as
            the raw and the cropped frames in one place.
        """
        self._spec, self._tree, self._chosen = spec, tree, chosen
        votes, double = Counter(), False
        for entry in entries:
            tops = {prefix for prefix, _, pictures in self._places(entry) if pictures}
            votes.update(tops)
            double = double or len(tops) > 1
        if not votes:
            raise UserError(self._none_fits(entries))
        if len(votes) > 1 and (double or not spec.several_folders):
            (a, count_a), (b, count_b) = votes.most_common(2)
            raise UserError(
                f"two folders of frames fit {spec.name}: {a} ({count_a} clips) and {b} ({count_b} "
                "clips); name one by frames"
            )
        self._prefixes = set(votes)
        self.prefix = Path(os.path.commonpath(votes))

    def folder(self, entry: Entry) -> tuple[Path | None, str]:
        """Returns the entry's folder, or None with the reason."""
        places = [place for place in self._places(entry) if place[0] in self._prefixes]
        full = list(dict.fromkeys(path for _, path, pictures in places if pictures))
        if len(full) == 1:
            return full[0], ""
        if full:
            return None, f"two folders fit: {full[0]} and {full[1]}"
        if places:
            return None, f"its folder {places[0][1]} holds no image"
        return None, f"no folder {'/'.join(self._spec.folders(entry)[0])} in {self.prefix}"

    def _places(self, entry: Entry) -> list[tuple[Path, Path, bool]]:
        """[(prefix, folder, whether it holds images)] of all folders that end as they should."""
        places = []
        for key in self._spec.folders(entry):
            parts = [canonical(part) for part in key]
            for path, pictures in self._tree.folders.get(parts[-1], ()):
                if self._chosen and not path.is_relative_to(self._chosen):
                    continue
                if [canonical(part) for part in path.parts[-len(key) :]] == parts:
                    places.append((Path(*path.parts[: -len(key)]), path, pictures))
        return places

    def _none_fits(self, entries: list[Entry]) -> str:
        expected = "/".join(self._spec.folders(entries[0])[0])
        root = self._chosen or self._tree.root
        folders = [path for paths in self._tree.folders.values() for path, _ in paths]
        names = [str(path.relative_to(root)) for path in folders if path.is_relative_to(root)]
        near = _nearest(expected, names[:20_000])
        return (
            f"no frames of {self._spec.name} below {root}: expected a folder such as {expected} "
            f"with images in it (nearest match: {near or 'none'}); mend source or frames; "
            f"`micron-jax data list {self._spec.name}` shows the layout"
        )


def _shown(path: Path, sheet: str) -> str:
    return f"{path} ({sheet})" if sheet else str(path)


def _sheets(path: Path, spec: ClipSet, chosen: Path | None) -> list[str]:
    """Returns the names of a workbook's sheets that may be the set's."""
    tokens = _words(path)
    names = sheet_names(path)
    if names == [""] and not chosen:  # an exported table: its file's name tells the sheet
        return names if not spec.file_token or spec.file_token in tokens else []
    if not spec.sheets or names == [""]:
        return names
    titles = [sheet.casefold() for sheet in spec.sheets]
    matches = [name for name in names if name.strip().casefold() in titles]
    return matches or (names if spec.file_token and spec.file_token in tokens else [])


def _words(path: Path) -> list[str]:
    return re.split(r"[^a-z0-9]+", path.stem.casefold())


def named_as(path: Path, spec: ClipSet) -> bool:
    """Tells whether a workbook is called as the set's are."""
    name = path.name.casefold()
    stem = name.removesuffix(path.suffix.casefold())
    return any(
        fnmatch.fnmatchcase(name, pattern)
        or fnmatch.fnmatchcase(stem, pattern.removesuffix(WORKBOOK))
        for pattern in spec.sheet_files
    )


def _nearest(name: str, names: list[str]) -> str:
    lower = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(name.casefold(), lower, n=1, cutoff=0)
    return lower[near[0]] if near else ""


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
