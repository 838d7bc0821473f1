"""The report of `micron-jax data check`: counts, faults and protocols of a built set."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from micron_jax.data.pairs import DELTA_SECONDS, Clip, pairless
from micron_jax.datasets import frames, survey
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.census import compare, compare_set
from micron_jax.datasets.clips import LABELS, describe_clips, open_clips
from micron_jax.datasets.leakage import corpus_report
from micron_jax.datasets.own import NAME as OWN
from micron_jax.datasets.own.protocol import find_protocol
from micron_jax.datasets.protocols import PROTOCOLS, Protocol, find
from micron_jax.datasets.subjects import respelled
from micron_jax.datasets.survey import Survey
from micron_jax.errors import UserError

SAMPLE = 200_000  # frames of a corpus that are decoded: minutes, where all of them take hours
LINES = 10  # printed of each kind of fault

Part = tuple[int, Sequence[int], Sequence[bytes]]  # as `survey` takes it


def check(
    name: str,
    data_dir: Path,
    protocol: str | None = None,
    corpus: Path | None = None,
    sample: int | None = SAMPLE,
) -> dict[str, Any]:
    """Checks all of a benchmark, or `sample` frames of the corpus; see the functions below.

    Args:
      name: of a benchmark, or `frames`.
      data_dir: the folder of the built sets.
      protocol: the one to compare with; by default, all that use the set.
      corpus: a data_dir with `frames`, in which to look for the benchmark's subjects.
      sample: number of frames of `frames` to look at; None: all.

    Raises:
      UserError: no such set or protocol, or it is not built; a record is not as built.
    """
    if name == frames.NAME:
        for option, value in (("protocol", protocol), ("corpus", corpus)):
            if value is not None:
                raise UserError(f"{option} is for benchmarks; `{name}` has no subjects")
        source, clips = frames.open_frames(data_dir)
        return check_frames(source, clips, frames.describe(data_dir), sample)
    protocols = _protocols(name, protocol, data_dir)
    opened = (frames.describe(corpus), *frames.open_frames(corpus)) if corpus is not None else None
    source, samples = open_clips(data_dir, name, frames=False)
    others = _other_sets(name, protocols, data_dir)
    report = check_clips(name, source, samples, protocols, others, opened)
    described = describe_clips(data_dir, name)
    if described["keep"] == LABELS:  # which has no frames to be read
        report["unreadable"] = []
    return (
        report
        | {key: list(described.get(key, ())) for key in ("skipped", "gaps", "mended", "identical")}
        | {"synthetic": bool(described.get("synthetic"))}
    )


def check_clips(
    name: str,
    source: Any,
    samples: Sequence[Sample],
    protocols: Iterable[Protocol] = (),
    others: Mapping[str, Sequence[Sample]] | None = None,
    corpus: tuple[dict, Any, Sequence[Clip]] | None = None,
) -> dict[str, Any]:
    """Returns the report on a benchmark.

    Args:
      source: `source[i]` is the record of sample i; see `survey.images_in` for its frames.
      others: samples of the other sets that these protocols take, as far as they are built.
      corpus: (description, source, index) of an unlabeled corpus, as `frames` gives them.

    Raises:
      UserError: the set has not as many records as samples.
    """
    if len(source) != len(samples):
        raise UserError(
            f"{name}: {len(source)} records, but {len(samples)} samples: build the set again"
        )
    samples = respelled(samples)
    empty: list[int] = []
    result = survey.survey(
        _clip_parts(source, empty, tqdm(total=len(samples), unit=" clips", desc=name))
    )
    several = len({sample.dataset for sample in samples}) > 1  # in a set of one's own
    names = [f"{s.dataset}/{s.subject}" if several else s.subject for s in samples]
    subjects = collections.Counter(names)
    everything = [*samples, *(s for part in (others or {}).values() for s in part)]
    report = {
        "set": name,
        "clips": len(samples),
        "subjects": len(subjects),
        "emotions": dict(collections.Counter(s.emotion for s in samples).most_common()),
        "clips_of_subject": dict(sorted(subjects.items())),
        **_frame_facts(result, [sample.clip for sample in samples]),
        "apex_is_onset": [sample.clip for sample in samples if sample.apex == sample.onset],
        "differences": compare_set(name, samples),
        "protocols": [_protocol_report(protocol, everything) for protocol in protocols],
    }
    report["unreadable"] += [
        {"clip": samples[i].clip, "frame": None, "reason": "no frames"} for i in empty
    ]
    for pair in report["duplicates"]:
        pair["same_subject"] = len({names[i] for i in pair.pop("numbers")}) == 1
    if corpus is not None:
        people = list(dict.fromkeys(sample.subject for sample in samples))
        report["corpus"] = corpus_report(name, people, result.digests, *corpus)
    return report


def check_frames(
    source: Any, clips: Sequence[Clip], described: Mapping, sample: int | None = None
) -> dict[str, Any]:
    """Returns the report on the unlabeled corpus.

    Args:
      source: its records; `source.__getitems__` reads several.
      sample: number of frames to look at, of a larger corpus; None: all.
    """
    misplaced: list[dict] = []
    chosen = survey.draw_sample(clips, len(source) if sample is None else sample)
    looked_at = len(source) if chosen is None else len(chosen)
    bar = tqdm(total=looked_at, unit=" frames", desc=frames.NAME)
    result = survey.survey(_frame_parts(source, clips, chosen, misplaced, bar))
    lengths = np.array([clip.count for clip in clips] or [0])
    length = {"min": int(lengths.min()), "median": float(np.median(lengths))}
    length["max"] = int(lengths.max())
    report = {
        "set": frames.NAME,
        "clips": len(clips),
        "source": described["recipe"]["source"],
        "lengths": length,
        "fps": dict(collections.Counter(f"{clip.fps:g}" for clip in clips).most_common()),
        **_frame_facts(result, [clip.name for clip in clips]),
        "frames": len(source),
        "looked_at": looked_at,
        "misplaced": misplaced,
        "skipped": list(described["skipped"]),
        "dropped": list(described["dropped"]),
        "identical": list(described.get("identical", ())),
        "pairless": pairless(clips, DELTA_SECONDS),
    }
    for pair in report["duplicates"]:
        del pair["numbers"]
    return report


def lines(report: Mapping[str, Any]) -> list[str]:
    """Returns a report as lines of text."""
    people = f", subjects: {report['subjects']:,}" if "subjects" in report else ""
    mark = " (synthetic)" if report.get("synthetic") else ""
    out = [
        f"{report['set']}{mark}: clips: {report['clips']:,}{people}, frames: {report['frames']:,}"
    ]
    if "emotions" in report:
        out.append(f"emotions: {_counts(report['emotions'])}")
        out.append(f"clips of subjects: {_counts(report['clips_of_subject'])}")
    else:
        low, median, high = (report["lengths"][key] for key in ("min", "median", "max"))
        out.append(f"frames a clip: {low:,} to {high:,}, half of them {median:,.0f} or more")
        out.append(f"clips of a frame rate: {_counts(report['fps'])}")
        if report["looked_at"] < report["frames"]:
            out.append(
                f"looked at {report['looked_at']:,} of the frames, the first of each clip and "
                "others by chance; the rest of this report is of these (sample=all looks at each)"
            )
    out.append(f"frame sizes: {_counts(report['frame_sizes'])}")
    for title, key in (
        ("unreadable frames", "unreadable"),
        ("clips that share identical frames", "duplicates"),
        ("records in another clip's place", "misplaced"),
        ("clips whose apex is their onset (two equal frames, no motion)", "apex_is_onset"),
        ("skipped when built", "skipped"),
        ("clips with gaps", "gaps"),
        ("mended when built", "mended"),
        ("frames dropped when built", "dropped"),
        ("clips in which nothing changes", "identical"),
        (f"give no pair of {DELTA_SECONDS[0]:.3f} to {DELTA_SECONDS[1]:.3f} s", "pairless"),
        ("differs from a complete set", "differences"),
    ):
        out += _listed(title, [_fault(entry) for entry in report.get(key, ())])
    for fit in report.get("protocols", ()):
        out.append(f"protocol {fit['name']}: {_verdict(fit)}")
        for name, part in fit["sets"].items():
            out.append(f"  {name}: {_counts(part['classes'])}; subjects {part['subjects']}")
        out += [f"  ! {line}" for line in fit["differences"]]
    if "corpus" in report:
        out += _corpus_lines(report["corpus"], report["subjects"])
    return out


def _verdict(fit: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} by {version}" for name, version in fit["editions"].items())
    verdict = "as its table has it" if fit["name"] == OWN else "as published"
    missing = ", ".join(fit["not_built"])
    if fit["differences"]:
        verdict = "DIFFERS"
    elif missing:
        verdict += " as far as it is built"
    return (
        verdict + (f" ({versions})" if versions else "") + (missing and f"; not built: {missing}")
    )


def _protocols(name: str, chosen: str | None, data_dir: Path) -> list[Protocol]:
    if name == OWN and chosen in (None, OWN):
        return [find_protocol(OWN, data_dir)]
    fitting = [protocol for protocol in PROTOCOLS.values() if name in protocol.homes]
    if chosen is None:
        return fitting
    protocol = find(chosen)
    if protocol not in fitting:
        names = ", ".join(p.name for p in fitting) or "none"
        raise UserError(f"protocol {chosen} takes nothing of {name}; those that do: {names}")
    return [protocol]


def _other_sets(
    name: str, protocols: Sequence[Protocol], data_dir: Path
) -> dict[str, list[Sample]]:
    """Returns samples of the other sets of these protocols, as far as they are built."""
    samples = {}
    for other in dict.fromkeys(s for protocol in protocols for s in protocol.homes if s != name):
        try:
            samples[other] = open_clips(data_dir, other, frames=False)[1]
        except UserError:
            continue  # the comparison says that there are no samples of it
    return samples


def _frame_facts(result: Survey, names: Sequence[str]) -> dict[str, Any]:
    return {
        "frames": result.frames,
        "frame_sizes": result.sizes,
        "unreadable": [
            {"clip": names[owner], "frame": number, "reason": reason}
            for owner, number, reason in result.unreadable
        ],
        "duplicates": [
            {"clips": [names[a], names[b]], "frames": count, "numbers": (a, b)}
            for (a, b), count in survey.shared(result.digests, result.owners).items()
        ],
    }


def _protocol_report(protocol: Protocol, samples: Sequence[Sample]) -> dict[str, Any]:
    """Returns a protocol's counts and differences; an unknown emotion is a difference.

    A set that is not built is none: `not_built` names it, and `ok` is false.
    """
    built = {sample.dataset for sample in samples}
    missing = [name for name in protocol.sets if name not in built]
    fit = {"name": protocol.name, "ok": False, "sets": {}, "not_built": missing, "editions": {}}
    part = dataclasses.replace(
        protocol,
        rules={name: rules for name, rules in protocol.rules.items() if name in built},
        expected={name: counts for name, counts in protocol.expected.items() if name in built},
    )
    try:
        result = compare(part, samples)
    except UserError as error:
        return fit | {"differences": [str(error)]}
    sets = {
        name: {"classes": dict(counts.samples), "subjects": counts.subjects}
        for name, counts in result.counts.items()
    }
    facts = {"sets": sets, "differences": result.differences, "editions": result.editions}
    return fit | facts | {"ok": result.ok and not missing}


def _clip_parts(source: Any, empty: list[int], bar: tqdm) -> Iterator[Part]:
    with bar:
        for number in range(len(source)):
            record = source[number]
            blobs = survey.images_in(record)
            if not blobs:
                empty.append(number)
            yield number, survey.numbers_in(record, len(blobs)), blobs
            bar.update()


def _frame_parts(
    source: Any, clips: Sequence[Clip], chosen: np.ndarray | None, misplaced: list[dict], bar: tqdm
) -> Iterator[Part]:
    with bar:
        for number, clip in enumerate(clips):
            numbers = range(clip.first, clip.first + clip.count)
            if chosen is not None:
                start, stop = np.searchsorted(chosen, (numbers.start, numbers.stop))
                numbers = chosen[start:stop].tolist()
            for first in range(0, len(numbers), survey.CHUNK):
                part = numbers[first : first + survey.CHUNK]
                records = survey.read_records(source, part)
                names = [bytes(record["clip"]).decode() for record in records]
                misplaced += [{"clip": clip.name, "record": n} for n in names if n != clip.name]
                yield number, [n - clip.first for n in part], [r["image"] for r in records]
                bar.update(len(part))


def _corpus_lines(corpus: Mapping, subjects: int) -> list[str]:
    out = [f"corpus of {corpus['clips']:,} clips from {corpus['source']}"]
    if people := corpus["subjects"]:
        share = f"{len(people)} of the {subjects} subjects (clips)"
        out.append(f"  the names of its clips contain {share}: {_counts(people)}")
    else:
        out.append("  no name of its clips contains a subject (renamed clips can hide one)")
    equal = corpus["identical_frames"]
    if equal is None:
        out.append("  frames were not compared: there are too many")
    elif equal:
        out.append(f"  frames identical with the benchmark's: {_counts(equal)}")
    return out + [f"  {line}" for line in _listed("clips to leave out", corpus["leave_out"])]


def _listed(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  and {len(entries) - LINES:,} more"] if len(entries) > LINES else []
    return [f"{title}: {len(entries):,}", *(f"  {entry}" for entry in entries[:LINES]), *more]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _fault(entry: Mapping | str) -> str:
    """Returns the line of one fault, of whichever kind."""
    if isinstance(entry, str):
        return entry
    if "clips" in entry:
        people = "" if entry.get("same_subject", True) else ", of DIFFERENT subjects"
        return f"{' and '.join(entry['clips'])}: {entry['frames']:,}{people}"
    if "record" in entry:
        return f"{entry['clip']}: the record is of {entry['record']}"
    frame = "" if entry.get("frame") is None else f" frame {entry['frame']}"
    return f"{entry['clip']}{frame}: {entry['reason']}"
