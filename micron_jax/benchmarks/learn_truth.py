"""The truth of synthetic clips: which patches the expression moved.

A patch is *moved* if the expression moved all of it, *unmoved* if it moved none of it, and left out
otherwise. Blinks and turns of the head are motion, but not the expression's: a patch that they move
by more than `STILL` counts as the expression has it, and is marked as distracted, so that figures
without such patches are possible, too.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from micron_jax.data.warps import SEEN
from micron_jax.errors import UserError
from micron_jax.video import image_files

MOVED, STILL = 0.25, 0.1  # px: a moved patch moves by more everywhere, an unmoved one by less
AMPLITUDES = (0.5, 1.0, 2.0)  # px; a clip counts with the nearest, in ratio
INDEX = "truth.json"


@dataclasses.dataclass(frozen=True)
class Truth:
    """The truth of C clips.

    Attributes:
      moved, unmoved: bool [C, 28, 28], by the expression alone.
      distracted: bool [C, 28, 28], moved by a blink or a turn.
      amplitude: float [C], one of `AMPLITUDES`; 0: motionless.
      family: str [C], of the warp; `none` where nothing moves.
      person: int [C], the same number in all sets for the same face.
      frames: C tuples (set's folder, clip, onset, apex).
    """

    moved: np.ndarray
    unmoved: np.ndarray
    distracted: np.ndarray
    amplitude: np.ndarray
    family: np.ndarray
    person: np.ndarray
    frames: tuple[tuple[Path, str, int, int], ...]

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

    def clips(self, chosen: np.ndarray) -> "Truth":
        """Returns the clips of an index or a mask."""
        numbers = np.arange(len(self))[chosen]
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        frames = fields.pop("frames")
        arrays = {name: values[numbers] for name, values in fields.items()}
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
    entries, arrays, people = [], [], {}
    for folder in map(Path, folders):
        index = _index(folder)
        faces = {person["subject"]: person["face"] for person in index["people"]}
        for clip in index["clips"]:
            if clip["split"] != split:
                continue
            person = people.setdefault(faces[clip["subject"]], len(people))
            entries.append((folder, clip, person))
            arrays.append(_patches(folder / "truth" / f"{clip['clip']}.npz"))
    if not entries:
        raise UserError(
            f"{' '.join(map(str, folders))}: no clip of the split {split!r}; "
            "`micron-jax data synth` takes the split of its people"
        )
    moved, unmoved, distracted = (np.stack(x) for x in zip(*arrays, strict=True))
    return Truth(
        moved=moved,
        unmoved=unmoved,
        distracted=distracted,
        amplitude=np.array([nearest(clip["amplitude"]) for _, clip, _ in entries]),
        family=np.array([clip["family"] for _, clip, _ in entries]),
        person=np.array([person for *_, person in entries]),
        frames=tuple((f, clip["clip"], clip["onset"], clip["apex"]) for f, clip, _ in entries),
    )


def nearest(amplitude: float) -> float:
    """Returns the nearest of `AMPLITUDES`, in ratio; 0 stays 0."""
    if amplitude <= 0:
        return 0.0
    return float(min(AMPLITUDES, key=lambda level: abs(np.log(amplitude / level))))


def read_pair(truth: Truth, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads onset and apex of a clip, uint8 [224, 224, 3] each.

    Raises:
      UserError: a frame is gone or damaged.
    """
    folder, clip, *numbers = truth.frames[number]
    paths = [folder / "CASME2-RAW" / clip / f"img{n}.jpg" for n in numbers]
    try:
        onset, apex = (image_files.decode_jpeg(path.read_bytes()) for path in paths)
    except (OSError, image_files.Unreadable) as error:
        raise UserError(f"{folder}: clip {clip}: {error}; make the set again") from error
    return onset, apex


def _index(folder: Path) -> dict:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if {"people", "clips"} <= set(index):
            return index
        reason = "it has no people or clips"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise UserError(
        f"{folder}: cannot read {INDEX} ({reason}); give a folder that `micron-jax data synth` made"
    )


def _patches(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        with np.load(path) as file:
            lowest, highest = file["lowest"], file["highest"]
            distraction = np.hypot(*np.moveaxis(file["distraction"], -1, 0))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not the truth of a clip ({error}); make the set again") from error
    return lowest > MOVED, highest < STILL, distraction >= STILL
