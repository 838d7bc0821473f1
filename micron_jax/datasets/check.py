"""What a built set holds and what is wrong with it: the report of `micron-jax data check`.

A report is a dictionary of what JSON can hold; `micron_jax/datasets/check_text.py` prints it.
"""

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from micron_jax.data.pairs import Clip
from micron_jax.datasets import frames, leakage
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.census import compare, compare_set
from micron_jax.datasets.protocols import PROTOCOLS, Protocol, find
from micron_jax.datasets.survey import (
    CHUNK,
    Survey,
    digest,
    draw_sample,
    images_in,
    numbers_in,
    shared,
    survey,
)
from micron_jax.errors import UserError

Part = tuple[int, Sequence[int], Sequence[bytes]]  # of what `survey` takes
SAMPLE = 200_000  # frames of a corpus that are decoded: minutes, where all of them take hours
COMPARABLE = 1_000_000  # frames of a corpus; beyond that, reading them all is no check but a job


def check(
    name: str,
    data_dir: Path,
    protocol: str | None = None,
    corpus: Path | None = None,
    sample: int | None = SAMPLE,
) -> dict[str, Any]:
    """Opens a built set and looks at it: at all of a benchmark, at `sample` frames of `frames`.

    Args:
      name: of a benchmark, or `frames`.
      data_dir: where the built sets lie.
      protocol: compare this one's counts only; by default, of all that use the set.
      corpus: a data_dir with `frames`: look there for the benchmark's subjects.
      sample: how many frames of `frames` to look at; None: at all.

    Raises:
      UserError: no such set or protocol, or it is not built; a record is not as built.
    """
    if name == frames.NAME:
        for option, value in (("protocol", protocol), ("corpus", corpus)):
            if value is not None:
                raise UserError(f"{option} is for benchmarks; `{name}` has no subjects")
        source, clips = frames.open_frames(data_dir)
        return check_frames(source, clips, frames.describe(data_dir), sample)
    from micron_jax.datasets.clips import describe_clips, open_clips

    wanted = _protocols(name, protocol)
    held = _corpus(corpus) if corpus is not None else None
    source, samples = open_clips(data_dir, name)
    others = _others(name, wanted, data_dir)
    report = check_clips(name, source, samples, wanted, others, held)
    described = describe_clips(data_dir, name)
    return report | {key: list(described.get(key, ())) for key in ("skipped", "gaps", "mended")}


def check_clips(
    name: str,
    source: Any,
    samples: Sequence[Sample],
    protocols: Iterable[Protocol] = (),
    others: Mapping[str, Sequence[Sample]] | None = None,
    corpus: tuple[dict, Any, Sequence[Clip]] | None = None,
) -> dict[str, Any]:
    """The report on a benchmark.

    Args:
      name: the set's.
      source: `source[i]` is the record of sample i; its frames: see `survey.images_in`.
      samples: what the sheet says of each.
      protocols: to compare with.
      others: samples of the other sets that these protocols want, where they are built.
      corpus: (description, source, index) of an unlabeled corpus, as `frames` gives them.
    """
    if len(source) != len(samples):
        raise UserError(
            f"{name}: {len(source)} records, but {len(samples)} samples: build the set again"
        )
    bare: list[int] = []
    seen = survey(_clip_parts(source, bare, tqdm(total=len(samples), unit=" clips", desc=name)))
    subjects = collections.Counter(sample.subject for sample in samples)
    everything = [*samples, *(s for part in (others or {}).values() for s in part)]
    report = {
        "set": name,
        "clips": len(samples),
        "subjects": len(subjects),
        "emotions": dict(collections.Counter(s.emotion for s in samples).most_common()),
        "clips_of_subject": dict(sorted(subjects.items())),
        **_facts(seen, [sample.clip for sample in samples]),
        "differences": compare_set(name, samples),
        "protocols": [_fit(protocol, everything) for protocol in protocols],
    }
    report["unreadable"] += [
        {"clip": samples[i].clip, "frame": None, "reason": "no frames"} for i in bare
    ]
    for pair in report["duplicates"]:
        pair["same_subject"] = len({samples[i].subject for i in pair.pop("numbers")}) == 1
    if corpus is not None:
        report["corpus"] = _leakage(name, list(subjects), seen, *corpus)
    return report


def check_frames(
    source: Any, clips: Sequence[Clip], described: Mapping, sample: int | None = None
) -> dict[str, Any]:
    """The report on the unlabeled corpus.

    Args:
      source: its records; `source.__getitems__` reads several.
      clips: its index.
      described: what `frames.describe` says.
      sample: how many frames to look at, of a larger corpus; None: at all.
    """
    misplaced: list[dict] = []
    chosen = draw_sample(clips, len(source) if sample is None else sample)
    looked_at = len(source) if chosen is None else len(chosen)
    bar = tqdm(total=looked_at, unit=" frames", desc=frames.NAME)
    seen = survey(_frame_parts(source, clips, chosen, misplaced, bar))
    lengths = np.array([clip.count for clip in clips] or [0])
    report = {
        "set": frames.NAME,
        "clips": len(clips),
        "source": described["recipe"]["source"],
        "lengths": {
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
        },
        "fps": dict(collections.Counter(f"{clip.fps:g}" for clip in clips).most_common()),
        **_facts(seen, [clip.name for clip in clips]),
        "frames": len(source),
        "looked_at": looked_at,
        "misplaced": misplaced,
        "skipped": list(described["skipped"]),
        "dropped": list(described["dropped"]),
    }
    for pair in report["duplicates"]:
        del pair["numbers"]
    return report


def _protocols(name: str, wanted: str | None) -> list[Protocol]:
    fitting = [protocol for protocol in PROTOCOLS.values() if name in protocol.sets]
    if wanted is None:
        return fitting
    protocol = find(wanted)
    if protocol not in fitting:
        known = ", ".join(p.name for p in fitting) or "none"
        raise UserError(f"protocol {wanted} takes nothing of {name}; those that do: {known}")
    return [protocol]


def _others(name: str, protocols: Sequence[Protocol], data_dir: Path) -> dict[str, list[Sample]]:
    """Samples of the other sets of these protocols; a set that is not built is left out."""
    from micron_jax.datasets.clips import open_clips

    found = {}
    for other in dict.fromkeys(s for protocol in protocols for s in protocol.sets if s != name):
        try:
            found[other] = open_clips(data_dir, other)[1]
        except UserError:
            continue  # the comparison says that there are no samples of it
    return found


def _corpus(data_dir: Path) -> tuple[dict, Any, list[Clip]]:
    source, clips = frames.open_frames(data_dir)
    return frames.describe(data_dir), source, clips


def _facts(seen: Survey, names: Sequence[str]) -> dict[str, Any]:
    """What is told of any set."""
    return {
        "frames": seen.frames,
        "frame_sizes": seen.sizes,
        "unreadable": [
            {"clip": names[owner], "frame": number, "reason": reason}
            for owner, number, reason in seen.unreadable
        ],
        "duplicates": [
            {"clips": [names[a], names[b]], "frames": count, "numbers": (a, b)}
            for (a, b), count in shared(seen.digests, seen.owners).items()
        ],
    }


def _fit(protocol: Protocol, samples: Sequence[Sample]) -> dict[str, Any]:
    """One protocol's counts and differences; an emotion that it does not know is a difference."""
    fit: dict[str, Any] = {"name": protocol.name}
    try:
        result = compare(protocol, samples)
    except UserError as error:
        return fit | {"ok": False, "sets": {}, "differences": [str(error)]}
    sets = {
        name: {"classes": dict(counts.samples), "subjects": counts.subjects}
        for name, counts in result.counts.items()
    }
    return fit | {"ok": result.ok, "sets": sets, "differences": result.differences}


def _clip_parts(source: Any, bare: list[int], bar: tqdm) -> Iterator[Part]:
    with bar:
        for number in range(len(source)):
            record = source[number]
            blobs = images_in(record)
            if not blobs:
                bare.append(number)
            yield number, numbers_in(record, len(blobs)), blobs
            bar.update()


def _frame_parts(
    source: Any,
    clips: Sequence[Clip],
    chosen: np.ndarray | None,
    misplaced: list[dict],
    bar: tqdm,
) -> Iterator[Part]:
    with bar:
        for number, clip in enumerate(clips):
            numbers = range(clip.first, clip.first + clip.count)
            if chosen is not None:
                start, stop = np.searchsorted(chosen, (numbers.start, numbers.stop))
                numbers = chosen[start:stop].tolist()
            for first in range(0, len(numbers), CHUNK):
                part = numbers[first : first + CHUNK]
                records = _read(source, part)
                for record in records:
                    if (name := _text(record["clip"])) != clip.name:
                        misplaced.append({"clip": clip.name, "record": name})
                blobs = [record["image"] for record in records]
                yield number, [n - clip.first for n in part], blobs
                bar.update(len(part))


def _leakage(
    name: str, subjects: list[str], seen: Survey, described: dict, source: Any, clips: Sequence
) -> dict[str, Any]:
    """What a corpus holds of a benchmark: by the names of clips, and frames that are equal."""
    runs = {clip.name for clip in clips}
    names = list(dict.fromkeys(leakage.plain_name(clip.name, runs) for clip in clips))
    origin = described["recipe"]["source"]
    found = leakage.subjects_in(name, subjects, names, origin)
    equal = _equal_clips(seen, source, clips) if len(source) <= COMPARABLE else None
    leave_out = {clip for part in found.values() for clip in part} | set(equal or {})
    return {
        "folder": str(described["folder"]),
        "source": origin,
        "clips": len(names),
        "subjects": {subject: len(part) for subject, part in found.items()},
        "identical_frames": equal,
        "leave_out": sorted(leave_out),
    }


def _equal_clips(seen: Survey, source: Any, clips: Sequence[Clip]) -> dict[str, int]:
    """Clip of the corpus -> how many of its stored frames the benchmark holds byte for byte."""
    marks, runs = set(seen.digests.tolist()), {clip.name for clip in clips}
    equal: dict[str, int] = {}
    for clip in tqdm(clips, unit=" clips", desc="corpus"):
        for first in range(0, clip.count, CHUNK):
            size = min(CHUNK, clip.count - first)
            records = _read(source, range(clip.first + first, clip.first + first + size))
            if count := sum(digest(record["image"]) in marks for record in records):
                name = leakage.plain_name(clip.name, runs)
                equal[name] = equal.get(name, 0) + count
    return equal


def _read(source: Any, numbers: Sequence[int]) -> list[dict]:
    many: Callable | None = getattr(source, "__getitems__", None)
    return list(many(list(numbers))) if many else [source[number] for number in numbers]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
