"""Counts of a user's copy of a benchmark, beside those of a complete one."""

import collections
import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.protocols import (
    SETS,
    Counts,
    Protocol,
    apply,
    complete,
    edition_of,
    emotion_of,
    is_clip,
)
from micron_jax.datasets.subjects import person, respelled

NUMBERED = {"casme2": range(1, 27)}  # sets whose subjects are numbered without a gap
NAMED = 12  # samples or subjects a line names at most


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Counts of the samples that a protocol takes, and lines on where they differ from its own.

    `editions` holds, of sets whose sheets count differently by version, the version.
    """

    counts: dict[str, Counts]  # of each set of the protocol
    differences: list[str]
    editions: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.differences


def count(
    sets: Iterable[str], classes: Sequence[str], clips: Iterable[tuple[str, str, str]]
) -> dict[str, Counts]:
    """Counts clips, each (set, subject, class), of each set."""
    clips = list(clips)
    number = collections.Counter((name, label) for name, _, label in clips)
    subjects = {person(name, subject) for name, subject, _ in clips}
    people = collections.Counter(name for name, _ in subjects)
    return {
        name: Counts({label: number[name, label] for label in classes}, people[name])
        for name in sets
    }


def tested(protocol: Protocol, labeled: Sequence[tuple[Sample, int]], part: str) -> Protocol:
    """Returns the protocol of a part of its samples, whose counts are those that it expects.

    Args:
      labeled: of `protocols.apply`, the samples of the part.
      part: in words.
    """
    clips = [(s.dataset, s.subject, protocol.classes[label]) for s, label in labeled]
    sets = dict.fromkeys(name for name, _, _ in clips)
    counts = count(sets, protocol.classes, clips)
    return dataclasses.replace(protocol, expected=counts, editions={}, part=part)


def editions(
    protocol: Protocol, counts: Mapping[str, Counts], samples: Sequence[Sample] = ()
) -> dict[str, str]:
    """Returns set -> version of its sheet, where the versions count differently.

    With samples (all emotions) their labels tell it; without, the version whose counts these are.
    """
    result = {}
    for name, versions in protocol.editions.items():
        whole = [sample for sample in samples if sample.dataset == name]
        number = counts[name].samples if name in counts else {}
        equal = [
            version
            for version, expected in versions.items()
            if all(number.get(label, 0) == n for label, n in expected.samples.items())
        ]
        if whole:
            result[name] = edition_of(name, whole)
        elif any(number.values()):
            result[name] = (equal or list(versions))[0]
    return result


def expected_counts(protocol: Protocol, versions: Mapping[str, str]) -> dict[str, Counts]:
    """Returns set -> the protocol's counts, by the versions of `editions`."""
    return {
        name: protocol.editions.get(name, {}).get(versions.get(name, ""), counts)
        for name, counts in protocol.expected.items()
    }


def differences(
    protocol: Protocol, counts: Mapping[str, Counts], samples: Sequence[Sample] = ()
) -> list[str]:
    """Returns lines on where counts are not those of the protocol; a missing set is a difference.

    Args:
      counts: set -> the counts of `count`.
      samples: of the user's copy, all emotions; with them, lines name what may be the cause.
    """
    lines = []
    versions = editions(protocol, counts, samples)
    for name, expected in expected_counts(protocol, versions).items():
        number = counts[name].samples if name in counts else {}
        whole = respelled([sample for sample in samples if sample.dataset == name])
        if not whole and not any(number.values()):
            lines.append(f"{name}: no samples, expected {sum(expected.samples.values())}")
            continue
        edition = versions.get(name) or edition_of(name, whole)
        wrong = {c: n for c, n in expected.samples.items() if number.get(c, 0) != n}
        for label, target in wrong.items():
            lines.append(f"{name}: {label} {number.get(label, 0)}, expected {target}")
            if not protocol.built:
                lines += [f"  {line}" for line in _causes(protocol, name, label, whole, edition)]
        if wrong and whole:
            lines += [f"  {line}" for line in _not_removed(protocol, name, whole)]
        if expected.subjects not in (None, counts[name].subjects):
            lines.append(f"{name}: {counts[name].subjects} subjects, expected {expected.subjects}")
            with_samples = {s.subject for s, _ in apply(protocol, whole)}
            if without := sorted({sample.subject for sample in whole} - with_samples):
                lines.append(f"  in the set, without a sample here: {', '.join(without)}")
        # Subjects without a sample of the protocol may be missing: the counts tell if one is.
        exact = not wrong and expected.subjects in (None, counts[name].subjects)
        # A set of one's own was checked for these when it was built, and numbers nobody.
        lines += _faults(name, whole, gaps=not exact) if whole and not protocol.built else []
    return lines


def compare(protocol: Protocol, samples: Sequence[Sample]) -> Comparison:
    """Compares what the protocol takes of a user's samples with what it is known to take.

    Raises:
      UserError: as `apply`.
    """
    labeled = apply(protocol, samples)
    clips = [(s.dataset, s.subject, protocol.classes[label]) for s, label in labeled]
    counts = count(protocol.sets, protocol.classes, clips)
    versions = editions(protocol, counts, samples)
    return Comparison(counts, differences(protocol, counts, samples), versions)


def compare_set(name: str, samples: Sequence[Sample]) -> list[str]:
    """Lines on where a set differs from a complete copy of it, all emotions; none if unknown."""
    if name not in SETS:
        return []
    samples = respelled(samples)
    number = collections.Counter(emotion_of(sample) for sample in samples)
    whole = complete(name, edition_of(name, samples))
    expected = whole.samples
    lines = [
        f"{name}: {emotion} {number[emotion]}, expected {expected.get(emotion, 0)}"
        for emotion in dict.fromkeys([*expected, *number])
        if number[emotion] != expected.get(emotion, 0)
    ]
    subjects = len({sample.subject for sample in samples})
    if subjects != whole.subjects:
        lines.append(f"{name}: {subjects} subjects, expected {whole.subjects}")
    return lines + _faults(name, samples)


def _causes(
    protocol: Protocol, name: str, label: str, samples: Sequence[Sample], edition: str
) -> list[str]:
    """Returns the emotions that make the difference in a class, and by name the samples."""
    emotions = [e for e, goes_to in protocol.rules[name].items() if goes_to == label]
    if not samples:
        return []
    lines, known = [], complete(name, edition).samples
    # Samples of a file of features may be labeled by class, which tells no emotion.
    by_emotion = samples and all(emotion_of(sample) in known for sample in samples)
    for emotion in emotions if by_emotion else ():
        there = [sample.clip for sample in samples if emotion_of(sample) == emotion]
        target = known[emotion]
        named = f": {', '.join(there)}" if target < len(there) <= NAMED else ""
        if len(there) != target and (named or len(emotions) > 1):
            lines.append(f"{emotion} {len(there)}, in a complete set {target}{named}")
    return lines


def _not_removed(protocol: Protocol, name: str, samples: Sequence[Sample]) -> list[str]:
    """A sample to leave out that goes by another name here has been counted."""
    return [
        f"{clip}, which the protocol leaves out, is not found under that name"
        for dataset, clip in protocol.removed
        if dataset == name and not any(is_clip(sample, name, clip) for sample in samples)
    ]


def _faults(name: str, samples: Sequence[Sample], *, gaps: bool = True) -> list[str]:
    """Faults of any set: clips listed twice, subjects whose names are nearly equal, gaps."""
    times = collections.Counter(sample.clip for sample in samples)
    lines = [f"{name}: {clip} is listed {n} times" for clip, n in times.items() if n > 1]
    spellings = collections.defaultdict(set)
    for sample in samples:
        spellings[_number(sample.subject)].add(sample.subject)
    for number, ways in spellings.items():
        if number is not None and len(ways) > 1:
            lines.append(f"{name}: subjects {', '.join(sorted(ways))} look like the same one")
    if gaps and name in NUMBERED:
        gone = [str(number) for number in NUMBERED[name] if number not in spellings]
        if gone and len(gone) <= NAMED:
            lines.append(f"{name}: the set has no subject {', '.join(gone)}")
    return lines


def _number(subject: str) -> int | None:
    digits = re.findall(r"\d+", subject)
    return int(digits[-1]) if digits else None
