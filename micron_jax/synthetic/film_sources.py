"""Sources of clips with known motion: films of faces, and pictures of people."""

import filecmp
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from micron_jax.errors import UserError, printable
from micron_jax.faces import landmarks as faces
from micron_jax.synthetic import film_spans, people
from micron_jax.video import image_files
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.inputs import InputClip, find_inputs

FILM_DECK = ("film", "still", "film", "head_only")  # kinds of a film's clips, over and over
STILL_DECK = ("still", "head_only")  # and of a picture's


@dataclass(frozen=True)
class Source:
    """A film, or a picture of a person, of which clips are made.

    Attributes:
      number: among all sources, from 0.
      name: below its folder.
      group: those who share a split.
      film, runs: of a film, and its parts that show a face.
      person, folder: of a picture.
    """

    number: int
    name: str
    group: str
    film: InputClip | None = None
    runs: tuple[film_spans.Run, ...] = ()
    person: people.Person | None = None
    folder: Path | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its clips, over and over."""
        return FILM_DECK if self.film else STILL_DECK

    def picture(self) -> tuple[np.ndarray, np.ndarray]:
        """Reads a picture: (its face, cut as those of films are; landmarks [5, 2] in it)."""
        image = image_files.decode_jpeg((self.folder / self.person.picture).read_bytes())
        box = film_spans.cut_box(self.person.landmarks[None], image.shape[:2])
        part = film_spans.cut(image, box)
        scale = np.divide(part.shape[1::-1], (box[2] - box[0], box[3] - box[1]))
        return part, (self.person.landmarks - box[:2] + 0.5) * scale - 0.5


def find_films(folder: Path) -> tuple[list[Source], list[dict]]:
    """Finds the films below a folder that show a face.

    Returns:
      (films, [{"face", "reason"}] of those left out).

    Raises:
      UserError: no folder, no film in it, or no usable face in any of them.
    """
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {problem}; give a folder of films of faces")
    notes = FileNotes()
    films = find_inputs([folder], notes=notes)
    detect = faces.all_faces_detector()
    sources, left_out = [], []
    same_size: dict[str, list[Path]] = {}
    for film in tqdm(films, desc="films", unit=" films", leave=False):
        path = Path(film.name)
        name = printable(path.relative_to(folder).as_posix() if path != folder else path.name)
        others = same_size.setdefault(film.facts, [])
        twin = next((other for other in others if _equal(path, other)), None)
        others.append(path)
        runs, reason = film_spans.find_runs(film, detect) if twin is None else ([], "")
        if not runs:
            reason = f"the same file as {printable(twin.relative_to(folder))}" if twin else reason
            left_out.append({"face": name, "reason": reason})
            continue
        parent = name.rpartition("/")[0]
        sources.append(Source(len(sources), name, f"films/{parent or name}", film, tuple(runs)))
    left_out += [
        {"face": ", ".join(entry["examples"]), "reason": f"{entry['reason']}: {entry['files']:,}"}
        for entry in notes.entries()
    ]
    if not sources:
        why = "; ".join(f"{entry['face']}: {entry['reason']}" for entry in left_out[:3])
        raise UserError(f"{folder}: no usable face in {len(films)} films ({why})")
    return sources, left_out


def find_persons(folder: Path, first: int) -> tuple[list[Source], list[dict]]:
    """Finds the people in the pictures below a folder, numbered from `first`; see `find_films`."""
    persons, left_out = people.find_people(folder)
    return [
        Source(first + n, person.name, f"faces/{person.group}", person=person, folder=folder)
        for n, person in enumerate(persons)
    ], left_out


def _equal(path: Path, other: Path) -> bool:
    return path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False)
