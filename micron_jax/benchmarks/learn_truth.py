"""The truth of synthetic clips: where the expression moved the face, and how far.

A patch is *moved* if the expression moved all of it, *unmoved* if it moved none of it, and left out
otherwise. Blinks and turns of the head are motion, but not the expression's: a patch that they move
by more than `STILL` counts as the expression has it, and is marked as distracted, so that figures
without such patches are possible, too.

How far is judged within the face's oval alone, and without the lids of a clip that blinks: there
the local motion is not the expression's.
"""

import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from micron_jax import npz
from micron_jax.benchmarks import learn_films
from micron_jax.benchmarks.learn_films import FilmPair
from micron_jax.benchmarks.learn_levels import GRID, MOVED, STILL, nearest
from micron_jax.data.warps import SEEN
from micron_jax.errors import UserError
from micron_jax.faces.landmarks import CANONICAL
from micron_jax.faces.parts import oval
from micron_jax.synthetic.render import PATCH, SIZE, apply
from micron_jax.video import image_files

INDEX = "truth.json"
# Motion of the head between the two frames, px, mean over the face: name -> below which.
HEADS = {"below 0.5 px": 0.5, "0.5 to 2 px": 2.0, "above 2 px": np.inf}


@dataclasses.dataclass(frozen=True)
class Truth:
    """The truth of C clips; a clip is a pair of frames, an onset and an apex.

    Attributes:
      moved, unmoved: bool [C, 28, 28], by the expression alone.
      distracted: bool [C, 28, 28], moved by a blink or a turn.
      displacement: float32 [C, 28, 28, 2], of the expression alone, (x, y) in px of the crop.
      face: bool [C, 28, 28], the patches in which the displacement is judged.
      rigid: bool [C, 28, 28], the patches that move with the head if nothing else moves.
      amplitude: float [C], one of `AMPLITUDES`; 0: motionless.
      head: float [C], how far the head moves, mean over the face, px.
      family: str [C], of the warp; `none` where nothing moves.
      person: int [C], the same number in all sets for the same face.
      kind: str [C], `picture`, or of a film `still`, `head_only` or `film`, which moves by itself.
      codec: str [C], through which the frames went.
      control: int [C], the clip that is the same without the expression; -1: none.
      frames: C tuples (set's folder, clip, onset, apex) of pictures, or `FilmPair` of films.
    """

    moved: np.ndarray
    unmoved: np.ndarray
    distracted: np.ndarray
    displacement: np.ndarray
    face: np.ndarray
    rigid: np.ndarray
    amplitude: np.ndarray
    head: np.ndarray
    family: np.ndarray
    person: np.ndarray
    kind: np.ndarray
    codec: np.ndarray
    control: np.ndarray
    frames: tuple[tuple[Path, str, int, int] | FilmPair, ...]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def seen(self) -> np.ndarray:
        """bool [C]: the clip's warp is of a family that training may use."""
        return np.isin(self.family, list(SEEN))

    @property
    def unseen(self) -> np.ndarray:
        """bool [C]: the clip's warp is of another family; a motionless clip has neither."""
        return (self.amplitude > 0) & ~self.seen

    @property
    def known(self) -> np.ndarray:
        """bool [C]: all local motion is known, or what the face does by itself can be taken off."""
        return (self.kind != "film") | (self.control >= 0)

    @property
    def head_group(self) -> np.ndarray:
        """str [C]: the group of `HEADS`."""
        return np.array([*HEADS])[np.searchsorted([*HEADS.values()], self.head, side="right")]

    def less_control(self, values: np.ndarray) -> np.ndarray:
        """Returns values [C, ...] less those of each clip's control, where it has one."""
        chosen = self.control >= 0
        result = np.array(values)
        result[chosen] -= values[self.control[chosen]]
        return result

    def clips(self, chosen: np.ndarray) -> "Truth":
        """Returns the clips of an index or a mask; a control that is not among them is lost."""
        numbers = np.arange(len(self))[chosen]
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        frames = fields.pop("frames")
        arrays = {name: values[numbers] for name, values in fields.items()}
        place = np.full(len(self) + 1, -1)  # the last stands for none, -1
        place[numbers] = np.arange(len(numbers))
        arrays["control"] = place[arrays["control"]]
        return Truth(**arrays, frames=tuple(frames[n] for n in numbers))

    def shuffled(self, rng: np.random.Generator) -> "Truth":
        """Returns the same clips, each with the truth of a random other one."""
        permuted = self.clips(rng.permutation(len(self)))
        return dataclasses.replace(permuted, person=self.person, frames=self.frames)


def load(folders: Sequence[Path], split: str) -> Truth:
    """Reads the truth of one split of sets that `micron-jax data synth` made.

    Raises:
      UserError: a folder is no such set, is damaged, or no clip is of the split.
    """
    rows: list[dict] = []
    people: dict[str, int] = {}
    for folder in map(Path, folders):
        for face, clips in _clips(folder, split, len(rows)):
            person = people.setdefault(face, len(people))
            rows += [clip | {"person": person} for clip in clips]
    if not rows:
        raise UserError(
            f"{' '.join(map(str, folders))}: no clip of the split {split!r}; "
            "`micron-jax data synth` takes the split of its people"
        )
    return of_rows(rows)


def of_rows(rows: Sequence[dict]) -> Truth:
    """Returns the truth of clips, each a dict of the fields of `Truth`."""
    columns = {f.name: [row[f.name] for row in rows] for f in dataclasses.fields(Truth)}
    frames = tuple(columns.pop("frames"))
    return Truth(**{name: np.array(x) for name, x in columns.items()}, frames=frames)


def read_pair(truth: Truth, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads onset and apex of a clip, uint8 [224, 224, 3] each.

    Raises:
      UserError: a frame is gone or damaged.
    """
    place = truth.frames[number]
    if isinstance(place, FilmPair):
        return learn_films.read_pair(place)
    folder, clip, *numbers = place
    paths = [folder / "CASME2-RAW" / clip / f"img{n}.jpg" for n in numbers]
    try:
        onset, apex = (image_files.decode_jpeg(path.read_bytes()) for path in paths)
    except (OSError, image_files.Unreadable) as error:
        raise UserError(f"{folder}: clip {clip}: {error}; make the set again") from error
    return onset, apex


def _clips(folder: Path, split: str, first: int) -> Iterator[tuple[str, list[dict]]]:
    """Yields (who it is, fields of `Truth` but for the person) of a set's pictures or films.

    The films of one group count as one person.

    Args:
      first: the number of the set's first clip.
    """
    index = _index(folder)
    if "films" in index:
        for film in index["films"]:
            if film["split"] == split:
                clips = learn_films.rows(folder, film, first)
                first += len(clips)
                yield film["group"], clips
        return
    faces = {person["subject"]: person["face"] for person in index["people"]}
    for clip in index["clips"]:
        if clip["split"] == split:
            yield faces[clip["subject"]], [_row(folder, clip)]


def _index(folder: Path) -> dict:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if {"people", "clips"} <= set(index) or "films" in index:
            return index
        reason = "it has no people or clips, and no films"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise UserError(
        f"{folder}: cannot read {INDEX} ({reason}); give a folder that `micron-jax data synth` made"
    )


def _row(folder: Path, clip: dict) -> dict:
    """Returns the fields of `Truth`, but for the person, of a clip of pictures."""
    path = folder / "truth" / f"{clip['clip']}.npz"
    try:
        with np.load(path) as file:
            lowest, highest, displacement, head, distraction = (
                file[name] for name in ("lowest", "highest", "displacement", "head", "distraction")
            )
    except npz.DAMAGE as error:
        raise UserError(f"{path}: not the truth of a clip ({error}); make the set again") from error
    distracted = np.hypot(*np.moveaxis(distraction, -1, 0)) >= STILL
    # The truth does not part a blink from a turn; a blink reaches no farther than the lids.
    lids = distracted & _around_eyes() & (clip.get("blink", 0) >= STILL)
    carried = apply(head, _centers()) - _centers() + np.where(lids[..., None], 0, distraction)
    return {
        "moved": lowest > MOVED,
        "unmoved": highest < STILL,
        "distracted": distracted,
        "displacement": displacement,
        "face": oval(GRID) & ~lids,
        "rigid": np.ones((GRID, GRID), bool),
        "amplitude": nearest(clip["amplitude"]),
        "head": np.hypot(*np.moveaxis(carried, -1, 0))[oval(GRID)].mean(),
        "family": clip["family"],
        "kind": "picture",
        "codec": clip.get("codec", "jpeg"),
        "control": -1,
        "frames": (folder, clip["clip"], clip["onset"], clip["apex"]),
    }


def _centers() -> np.ndarray:
    along = np.arange(GRID) * PATCH + (PATCH - 1) / 2
    return np.stack(np.meshgrid(along, along), -1)


@functools.cache
def _around_eyes() -> np.ndarray:
    """bool [28, 28]: the patches that a blink can move."""
    eyes = CANONICAL[:2] * SIZE
    distance = np.hypot(*(eyes[1] - eyes[0]))
    away = (_centers()[..., None, :] - eyes) / (distance * np.array([0.75, 0.5]))
    return (np.hypot(*np.moveaxis(away, -1, 0)) < 1).any(axis=-1)
