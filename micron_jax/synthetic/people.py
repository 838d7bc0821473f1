"""People to make clips of: the faces in a folder of pictures, and their parting into splits.

Every face of every picture counts as a person: we recognize nobody. What could show one person
twice therefore stays on one side of a split: all faces of a photograph, and all pictures of a
sub-folder (as where each person has a folder of his own).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from micron_jax.errors import UserError
from micron_jax.faces import landmarks as faces
from micron_jax.video import images

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
      group: what must not be parted: the sub-folder, or the picture.
      landmarks: [5, 2] in the picture's pixels.
    """

    name: str
    picture: str
    group: str
    landmarks: np.ndarray


def find_people(folder: Path, progress=lambda pictures: pictures) -> tuple[list[Person], list]:
    """All people in the pictures below a folder, by the pictures' names, and who was left out.

    Args:
      progress: wraps the list of pictures that is walked through, as `tqdm` does.

    Returns:
      (people, [{"face", "reason"}]).

    Raises:
      UserError: no folder, no picture in it, or no face in any of them.
    """
    pictures = _pictures(Path(folder))
    # Large and small: a face that fills a large picture is found only when it is made smaller.
    detectors = [faces.all_faces_detector(side=side) for side in (1024, 320)]
    people, left_out, seen = [], [], []
    for picture in progress(pictures):
        try:
            image = images.decode_jpeg((folder / picture).read_bytes())
        except (images.Unreadable, OSError) as error:
            left_out.append({"face": picture, "reason": str(getattr(error, "strerror", error))})
            continue
        found = next((found for detect in detectors if len(found := detect(image))), ())
        if not len(found):
            left_out.append({"face": picture, "reason": "no face"})
        for number, landmarks in enumerate(found, 1):
            name = picture if number == 1 else f"{picture}#{number}"
            reason = unfit(landmarks, image.shape[:2])
            if reason is None:
                signature = _signature(image, landmarks)
                twin = _twin(signature, seen)
                reason = twin and f"the same picture as {twin}"
            if reason:
                left_out.append({"face": name, "reason": reason})
                continue
            seen.append((name, signature))
            parent = picture.rpartition("/")[0]
            people.append(Person(name, picture, parent or picture, landmarks))
    if not people:
        why = "; ".join(f"{entry['face']}: {entry['reason']}" for entry in left_out[:3])
        raise UserError(
            f"--faces {folder}: no usable face in {len(pictures)} pictures ({why}); "
            "needed are front views, the pupils 30 px apart or more"
        )
    return people, left_out


def unfit(landmarks: np.ndarray, shape: tuple[int, int]) -> str | None:
    """Why a face with these landmarks [5, 2] in a picture of (H, W) is no use; None: it is."""
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


def choose(people: Sequence[Person], wanted: int | None, rng: np.random.Generator) -> list[Person]:
    """`wanted` of the people in an order of chance; None: all.

    Raises:
      UserError: there are not so many.
    """
    if wanted is not None and wanted > len(people):
        raise UserError(
            f"--subjects {wanted}: the pictures of --faces show {len(people)} usable faces; "
            f"ask for {len(people)} or fewer, or add pictures"
        )
    return [people[i] for i in rng.permutation(len(people))[:wanted]]


def part(groups: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The split of each person, from the groups they belong to; no group is ever in two splits.

    Large groups go first, each to the split that lacks most; no split stays empty where there
    are as many groups as splits.
    """
    sizes = {group: groups.count(group) for group in sorted(set(groups))}
    order = [list(sizes)[i] for i in rng.permutation(len(sizes))]
    lacking = {split: share * len(groups) for split, share in SPLITS.items()}
    empty, split_of = list(SPLITS), {}
    for done, group in enumerate(sorted(order, key=lambda group: -sizes[group])):
        open_to = empty if empty and len(sizes) - done <= len(empty) else list(SPLITS)
        split = max(open_to, key=lacking.get)
        lacking[split] -= sizes[group]
        split_of[group] = split
        empty = [name for name in empty if name != split]
    return [split_of[group] for group in groups]


def _pictures(folder: Path) -> list[str]:
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UserError(f"--faces {folder} {what}; it names a folder of pictures of faces")
    found = []
    for where, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in images.IMAGES:
                found.append(Path(where, name).relative_to(folder).as_posix())
    if not found:
        raise UserError(f"--faces {folder} holds no picture ({' '.join(images.IMAGES)})")
    return sorted(found)


def _signature(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    crop = faces.warp(image, faces.canonical_transform(landmarks, 64), 64)
    gray = cv2.resize(
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA
    )
    centered = gray.astype(np.float32).ravel() - gray.mean()
    return centered / max(float(np.linalg.norm(centered)), 1e-6)


def _twin(signature: np.ndarray, seen: list[tuple[str, np.ndarray]]) -> str | None:
    if not seen:
        return None
    alike = np.stack([other for _, other in seen]) @ signature
    return seen[int(alike.argmax())][0] if alike.max() > SAME_PICTURE else None
