r"""The videos of a truth by the names that other programs give them.

A name matches with or without its folders and its ending, with slashes or underscores, and whatever
its case and leading zeros: `s15\15_0101x.avi`, `15_0101x`. In a known set its own rule matches,
too: `casme_015_0101` is `15_0101disgustingteeth` in CAS(ME)2.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

from micron_jax.datasets.long_videos.catalog import LONG_SETS
from micron_jax.datasets.long_videos.truth import Truth, Video
from micron_jax.datasets.names import set_key
from micron_jax.datasets.subjects import numbered, plain
from micron_jax.errors import UserError
from micron_jax.video.file_kinds import VIDEOS

_ENDING = re.compile(rf"(?:{'|'.join(map(re.escape, VIDEOS))})$", re.IGNORECASE)


class VideoNames:
    """The names of the videos of a truth."""

    def __init__(self, truth: Truth):
        self._truth = truth
        self._places: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._sets = sorted({video.set for video in truth.videos})
        for place, video in enumerate(truth.videos):
            for name in _names(video.name, video.subject):
                self._places["", name].add(place)
            if key := _key(video.set, video.name):
                self._places[video.set, key].add(place)

    def place(self, name: str, subject: str = "", dataset: str = "") -> int:
        """Returns the place of a video in `Truth.videos`.

        Raises:
          UserError: no video is called so, or several are.
        """
        longest, *shorter = _names(name, "")
        places = self._fitting(self._places["", longest], subject, dataset)
        if not places:
            of_sets = (self._places[s, key] for s in self._sets if (key := _key(s, name)))
            places = self._fitting(set().union(*of_sets), subject, dataset)
        for alias in shorter:
            places = places or self._fitting(self._places["", alias], subject, dataset)
        exact = {p for p in places if self._truth.videos[p].name == name}
        if len(places) > 1 and len(exact) == 1:
            places = exact
        if len(places) == 1:
            return places.pop()
        names = [self._truth.videos[p] for p in sorted(places)]
        if names:
            first, second = (f"{v.name} of subject {v.subject}" for v in names[:2])
            mend = "write more of its path" if subject else "add a column subject"
            raise UserError(f"video {name!r} may be {first} or {second}; {mend}")
        who = f" of subject {subject}" if subject else ""
        some = ", ".join(video.name for video in self._truth.videos[:3])
        raise UserError(
            f"video {name!r}{who} is not in the truth, which has {some}, ...; if nothing happens "
            "in it, add it there as a row without onset and offset, else remove it here"
        )

    def _fitting(self, places: set[int], subject: str, dataset: str) -> set[int]:
        videos = self._truth.videos
        if dataset:
            places = {p for p in places if set_key(videos[p].set) in ("", set_key(dataset))}
        if subject:
            places = {p for p in places if _one_person(videos[p], subject)}
        return set(places)


def _one_person(video: Video, subject: str) -> bool:
    first, second = plain(video.subject), plain(subject)
    number = numbered(first)
    return first == second or (number is not None and number == numbered(second))


def _key(dataset: str, name: str) -> str:
    spec = LONG_SETS.get(dataset)
    return spec.video_key(name) if spec else ""


def _names(name: str, subject: str) -> Iterator[str]:
    """Yields the names of a video, the longest first."""
    path = _ENDING.sub("", name.strip().replace("\\", "/").strip("/"))
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for begin in range(len(parts)):
        tail = "_".join(parts[begin:])
        yield _plain(tail)
        if subject and begin == len(parts) - 1:
            yield _plain(f"{subject}_{tail}")


def _plain(text: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", " ".join(text.casefold().split()))
