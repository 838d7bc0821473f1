"""Parting of a corpus into shards, and the files of a build that goes on.

```
DATA_DIR/frames/1.0.0/frames-train.array_record-00007-of-00490    a finished shard
DATA_DIR/frames/1.0.0/.build/plan.json                            settings, frames of each clip
DATA_DIR/frames/1.0.0/.build/00007.json                           the report of a finished shard
DATA_DIR/frames/1.0.0/dataset_info.json                           in place last: the set is whole
```
The parting depends on the clips alone: not on who builds the shards, and not on their order.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from etils import epath
from tqdm import tqdm
from tqdm.contrib.concurrent import thread_map

from micron_jax.datasets.building import group
from micron_jax.datasets.frames import NAME, SPLIT, remote
from micron_jax.errors import UserError
from micron_jax.video.clip_files import ClipFiles

SHARDS = 64  # at least, where there are so many frames that none is smaller than
SMALLEST, LARGEST = 256, 16_384  # frames; the largest is about 400 MB at 224 px
PROGRESS = ".build"


@dataclass(frozen=True)
class Shard:
    """The unit of work: some neighboring clips, which go to one file.

    Attributes:
      number: of all `count` shards.
      lengths: about how many frames each of them has.
      recipe: settings of the build; see `builder.build`.
    """

    number: int
    count: int
    clips: tuple[ClipFiles, ...]
    lengths: tuple[int, ...]
    folder: str
    recipe: dict[str, Any]

    @property
    def file(self) -> epath.Path:
        name = f"{NAME}-{SPLIT}.array_record-{self.number:05}-of-{self.count:05}"
        return epath.Path(self.folder) / name

    @property
    def report(self) -> epath.Path:
        return epath.Path(self.folder) / PROGRESS / f"{self.number:05}.json"

    def finished(self) -> bool:
        """Returns whether its report is there, and the file is as long as that says."""
        if not (self.report.exists() and self.file.exists()):
            return False
        return self.file.stat().length == json.loads(self.report.read_text("utf-8"))["bytes"]


def fingerprint(clips: Sequence[ClipFiles]) -> str:
    """Returns a digest of a source: names, numbers of files, sizes, parts, rates of its clips."""
    digest = hashlib.sha256()
    for clip in clips:
        part = "".join(f"\t{value}" for value in (clip.first, clip.last, clip.fps))
        digest.update(f"{clip.name}\t{clip.files}\t{clip.bytes}{part}\n".encode())
    return digest.hexdigest()


def digest(names: Sequence[str]) -> str:
    """Returns a digest of a list of names."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def count_frames(clips: Sequence[ClipFiles]) -> list[int]:
    """Returns about how many frames each clip has."""
    bar = {"unit": " clips", "desc": "counting", "delay": 2, "leave": False}
    # Opening a video is waiting, mostly.
    return thread_map(remote.length, clips, max_workers=16, tqdm_class=tqdm, **bar)


def part(lengths: Sequence[int]) -> list[range]:
    """Returns numbers of clips, a range a shard: neighbors, of about the same number of frames."""
    return group(list(lengths), min(LARGEST, max(SMALLEST, sum(lengths) // SHARDS)))


def shards(
    clips: Sequence[ClipFiles], lengths: Sequence[int], folder: str, recipe: dict[str, Any]
) -> Iterator[Shard]:
    """Yields all shards, in the order of the clips."""
    parts = part(lengths)
    for number, clip_numbers in enumerate(parts):
        chosen = slice(clip_numbers.start, clip_numbers.stop)
        yield Shard(
            number, len(parts), tuple(clips[chosen]), tuple(lengths[chosen]), folder, recipe
        )


def earlier(folder: epath.Path) -> dict[str, Any] | None:
    """Returns {"recipe", "lengths"} of a build that finished a shard; None: there was none.

    Raises:
      UserError: the folder holds something else.
    """
    progress = folder / PROGRESS
    names = [entry.name for entry in folder.iterdir()] if folder.exists() else []
    if names and PROGRESS not in names:
        raise UserError(
            f"{folder} holds no complete data set; remove it to build it again, "
            "or name another data_dir"
        )
    path = progress / "plan.json"
    return json.loads(path.read_text("utf-8")) if path.exists() and any_finished(folder) else None


def any_finished(folder: epath.Path) -> bool:
    """Returns whether an unfinished set has a finished shard."""
    return any((folder / PROGRESS).glob("[0-9]*.json"))
