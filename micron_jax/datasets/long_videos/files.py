"""The folders and films of long videos, and the numbers of their frames."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from micron_jax.datasets.long_videos.longset import LongSet
from micron_jax.datasets.vendor_files import Tree
from micron_jax.errors import UserError
from micron_jax.video.clip_files import ClipFiles
from micron_jax.video.image_files import Unreadable
from micron_jax.video.image_folder import list_frames
from micron_jax.video.reader import rate_and_length


@dataclasses.dataclass(frozen=True)
class VideoFile:
    """A video's folder or film; `missing` frames between the first and the last have no file."""

    path: Path
    first: int
    last: int
    missing: int = 0


def find_files(spec: LongSet, tree: Tree, chosen: Path | None) -> dict[str, Path]:
    """Returns `video_key` -> folder of images or film, of all videos below a folder.

    Args:
      chosen: the folder whose videos are meant, where several hold them (raw, cropped).

    Raises:
      UserError: two folders hold the same videos, or `chosen` holds none.
    """
    tops: dict[Path, dict[str, Path]] = defaultdict(dict)
    folders = [path for paths in tree.folders.values() for path, pictures in paths if pictures]
    chosen = chosen and chosen.resolve()
    for path in sorted([*folders, *tree.films]):
        if chosen and not path.is_relative_to(chosen):
            continue
        above = spec.place(path.relative_to(tree.root).as_posix())
        if above is not None and (key := spec.video_key(path.as_posix())):
            first = tops[tree.root / above].setdefault(key, path)
            if first != path:
                raise UserError(f"two videos are one of {spec.name}: {first} and {path}")
    if chosen and not tops:
        raise UserError(f"no video of {spec.name} below {chosen}, which frames names")
    files: dict[str, Path] = {}
    for videos in tops.values():  # parts of a set may lie in several folders
        if both := files.keys() & videos.keys():
            one = min(both)
            raise UserError(
                f"two folders of videos fit {spec.name}: {files[one]} and {videos[one]}; name one "
                "of the folders above them by frames"
            )
        files |= videos
    return files


def read_files(files: Mapping[str, Path]) -> tuple[dict[str, VideoFile], list[str]]:
    """Returns the frames of each video, and lines on those that cannot be read.

    A film's frames are numbered from 1, as the sheets number them.
    """
    videos, faults = {}, []
    for key, path in files.items():
        clip = ClipFiles(path.name, path, 0, 0)
        try:
            if path.is_dir():
                numbers = [frame.number for frame in list_frames(clip)]
                first, last = min(numbers), max(numbers)
                missing = last - first + 1 - len(set(numbers))
                videos[key] = VideoFile(path, first, last, missing)
            else:
                _, count = rate_and_length(clip)
                videos[key] = VideoFile(path, 1, count)
        except (Unreadable, UserError) as error:
            faults.append(f"{path}: {error}")
    return videos, faults
