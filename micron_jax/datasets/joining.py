r"""Rows of other programs joined to the samples of a protocol, by the names of set and clip.

Sets match as `names` has it (`SMIC-HS` is smic_hs), subjects as `subjects` has it (`sub01` is `1`).
A clip may be written with or without its subject and its folders: `sub01/EP02_01f`, `EP02_01f`,
`1_EP02_01f` and `sub01\EP02_01F` are one; leading zeros do not count.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.names import set_key
from micron_jax.datasets.subjects import WORDS, numbers_subjects, person, plain
from micron_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class ClipName:
    """The name of a clip as another program writes it; an empty `subject` is not known."""

    dataset: str
    clip: str
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.dataset} {self.clip}"


def join(samples: Sequence[Sample], rows: Sequence[ClipName]) -> dict[int, int]:
    """Returns place of a row -> place of its sample; rows without a sample are not in it.

    Raises:
      UserError: two rows are of one sample, or a row may be of several samples.
    """
    places: dict[tuple[str, str], set[int]] = defaultdict(set)
    for place, sample in enumerate(samples):
        for alias in _aliases(sample):
            places[set_key(sample.dataset), alias].add(place)
    rows_of: dict[int, int] = {}
    joined = {}
    for number, row in enumerate(rows):
        matches = places.get((set_key(row.dataset), _plain(row.clip)), set())
        place = _one(samples, row, matches)
        if place is None:
            continue
        if (first := rows_of.setdefault(place, number)) != number:
            raise UserError(
                f"clip {row} of row {number} is that of row {first}, too ({rows[first]}; the first "
                "row is 0); give each clip once"
            )
        joined[number] = place
    return joined


def _one(samples: Sequence[Sample], row: ClipName, matches: set[int]) -> int | None:
    """The place of the sample that a row is of, among those of its name."""
    if row.subject:
        matches = {
            place
            for place in matches
            if person(samples[place].dataset, row.subject)
            == person(samples[place].dataset, samples[place].subject)
        }
    if len(matches) > 1:
        matches = {place for place in matches if samples[place].clip == row.clip} or matches
    if len(matches) > 1:
        first, second = (samples[place] for place in sorted(matches)[:2])
        mend = "write the subject before it" if not row.subject else "write the name of the sheet"
        raise UserError(
            f"clip {row} may be {first.clip} of subject {first.subject} or {second.clip} of "
            f"subject {second.subject}; {mend}, as {first.clip}"
        )
    return min(matches, default=None)


def _aliases(sample: Sample) -> Iterator[str]:
    """The names of a clip: with some or none of its folders, and with its subject before these."""
    parts = sample.clip.split("/")
    subjects, key = {sample.subject}, person(sample.dataset, sample.subject)[1]
    if numbers_subjects(sample.dataset) and key.isdecimal():
        subjects |= {f"{word}{key}" for word in ("", *WORDS.split("|"))}
    for begin in range(len(parts)):
        name = "/".join(parts[begin:])
        yield _plain(name)
        for subject in subjects:
            yield _plain(f"{subject}/{name}")


def _plain(clip: str) -> str:
    return plain(clip.replace("\\", "/").strip("/ ").replace("/", "_"))
