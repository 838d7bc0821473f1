"""People to make clips of: the faces in a folder of pictures, and their splits.

Every face of every picture counts as a person: we recognize nobody. Faces that could be one person
therefore stay in one split: all of a photograph, and all of a sub-folder (of one person, perhaps).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from micron_jax.errors import UserError, printable
from micron_jax.faces import landmarks as faces
from micron_jax.faces.crop import warp
from micron_jax.video import image_files
from micron_jax.video.file_kinds import VIDEOS, is_companion, reason_against
from micron_jax.video.file_notes import FileNotes
from micron_jax.video.folder_walk import shown, walk

SPLITS = {"train": 0.6, "val": 0.2, "test": 0.2}

MAX_ENLARGED = 2.0  # a face is enlarged at most so much: its pupils are 30 px apart or more
MAX_MISFIT = 0.11  # of the crop's side; five points off the layout by more are a profile
MAX_OUTSIDE = 0.25  # of the crop's area may lie beyond the picture's border
SAME_PICTURE = 0.97  # correlation of two crops of 32 px; other people's stay below 0.9


@dataclass(frozen=True)
class Person:
    """One face of one picture.

    Attributes:
      name: `picture` and, where it holds several faces, `#2` and so on, the largest being first.
      picture: path below the folder, with forward slashes.
      group: those who share a split: the sub-folder, or the picture.
      landmarks: [5, 2] in the picture's pixels.
    """

    name: str
    picture: str
    group: str
    landmarks: np.ndarray


def find_people(folder: Path) -> tuple[list[Person], list[dict]]:
    """Finds all people in the pictures below a folder, in the order of the pictures' names.

    Returns:
      (people, [{"face", "reason"}] of those left out).

    Raises:
      UserError: no folder, no picture in it, or no usable face in any of them.
    """
    pictures, unread = _find_pictures(Path(folder))
    # Large and small: a face that fills a large picture is found only when it is made smaller.
    detectors = [faces.all_faces_detector(side=side) for side in (1024, 320)]
    people, left_out, signatures = [], [], {}
    for picture in tqdm(pictures, desc="pictures", unit=" pictures", leave=False):
        try:
            image = image_files.decode_jpeg((folder / picture).read_bytes())
        except (image_files.Unreadable, OSError) as error:
            left_out.append(
                {"face": printable(picture), "reason": str(getattr(error, "strerror", error))}
            )
            continue
        detections = next((some for detect in detectors if len(some := detect(image))), ())
        if not len(detections):
            left_out.append({"face": printable(picture), "reason": "no face"})
        for number, landmarks in enumerate(detections, 1):
            name = printable(picture if number == 1 else f"{picture}#{number}")
            reason = unfit(landmarks, image.shape[:2])
            if reason is None:
                signature = _signature(image, landmarks)
                twin = _twin(signature, signatures)
                reason = twin and f"the same picture as {twin}"
            if reason:
                left_out.append({"face": name, "reason": reason})
                continue
            signatures[name] = signature
            parent = picture.rpartition("/")[0]
            people.append(Person(name, picture, parent or picture, landmarks))
    if not people:
        why = "; ".join(f"{entry['face']}: {entry['reason']}" for entry in left_out[:3])
        raise UserError(
            f"{folder}: no usable face in {len(pictures)} pictures ({why}); "
            "front views, with the pupils 30 px apart or more, are needed"
        )
    return people, unread + left_out


def unfit(landmarks: np.ndarray, shape: tuple[int, int]) -> str | None:
    """The reason against a face with these landmarks [5, 2] in a picture of (H, W); None: fit."""
    transform = faces.canonical_transform(landmarks, 1)
    linear, shift = transform[:, :2], transform[:, 2]
    if np.hypot(*linear[:, 0]) * 224 > MAX_ENLARGED:
        return "too small"
    misfit = landmarks @ linear.T + shift - (faces.CANONICAL - 0.5)
    if np.hypot(*misfit.T).max() > MAX_MISFIT:
        return "not a front view"
    corners = (np.stack(np.meshgrid(*[np.arange(32) / 32 - 0.48] * 2), -1) - shift).reshape(-1, 2)
    x, y = np.linalg.solve(linear, corners.T)
    outside = (x < 0) | (y < 0) | (x > shape[1] - 1) | (y > shape[0] - 1)
    return "cut by the picture's border" if outside.mean() > MAX_OUTSIDE else None


def draw_people(
    people: Sequence[Person], count: int | None, rng: np.random.Generator
) -> list[Person]:
    """Draws `count` of the people, in an order of chance; None: all of them.

    Raises:
      UserError: there are fewer.
    """
    if count is not None and count > len(people):
        raise UserError(
            f"subjects={count}: the pictures show {len(people)} usable faces; "
            f"ask for {len(people)} or fewer, or add pictures"
        )
    return [people[i] for i in rng.permutation(len(people))[:count]]


def draw_splits(groups: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Draws the split of each person from the groups of all; no group is ever in two splits.

    Large groups go first, each to the split that lacks most; no split stays empty if there are as
    many groups as splits.
    """
    sizes = {group: groups.count(group) for group in sorted(set(groups))}
    order = [list(sizes)[i] for i in rng.permutation(len(sizes))]
    lacking = {split: share * len(groups) for split, share in SPLITS.items()}
    empty, split_of = list(SPLITS), {}
    for count, group in enumerate(sorted(order, key=lambda group: -sizes[group])):
        choices = empty if empty and len(sizes) - count <= len(empty) else list(SPLITS)
        split = max(choices, key=lacking.get)
        lacking[split] -= sizes[group]
        split_of[group] = split
        empty = [name for name in empty if name != split]
    return [split_of[group] for group in groups]


def check_outside(output: Path, folder: Path) -> None:
    """Checks that `output` does not lie in the folder of pictures; UserError if it does."""
    if output.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{output} lies in {folder}: it would be taken for faces next time")


def _find_pictures(folder: Path) -> tuple[list[str], list[dict]]:
    """Returns (paths of pictures below a folder, entries of what else lies there)."""
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {problem}; give a folder of pictures of faces")
    pictures, notes = [], FileNotes()
    for where, files in walk(folder, notes):
        for file in files:
            name = shown(where / file.name, folder)
            if file.name.lower().endswith(image_files.IMAGES):
                pictures.append((where / file.name).relative_to(folder).as_posix())
            elif file.name.lower().endswith(VIDEOS):
                notes.add("films, of which no picture is taken", name)
            elif not is_companion(file.name):
                notes.add(reason_against(file.name), name)
    if not pictures:
        unread = "".join(f"; not read: {line}" for line in notes.lines()[:1])
        suffixes = " ".join(image_files.IMAGES)
        raise UserError(f"{folder} holds no picture (looked for {suffixes}){unread}")
    return sorted(pictures), [
        {"face": ", ".join(entry["examples"]), "reason": f"{entry['reason']}: {entry['files']:,}"}
        for entry in notes.entries()
    ]


def _signature(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    crop = warp(image, faces.canonical_transform(landmarks, 64), 64)
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA)
    centered = gray.astype(np.float32).ravel() - gray.mean()
    return centered / max(float(np.linalg.norm(centered)), 1e-6)


def _twin(signature: np.ndarray, signatures: dict[str, np.ndarray]) -> str | None:
    """The name of the face that is the same picture as this one."""
    if not signatures:
        return None
    alike = np.stack([*signatures.values()]) @ signature
    return [*signatures][int(alike.argmax())] if alike.max() > SAME_PICTURE else None
