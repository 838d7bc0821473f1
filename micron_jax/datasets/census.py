"""What a user's copy of a benchmark holds, beside what it is known to hold."""

import collections
import dataclasses
import re
from collections.abc import Sequence

from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.protocols import SETS, Counts, Protocol, apply, emotion_of, is_clip

NUMBERED = {"casme2": range(1, 27)}  # sets whose subjects are numbered without a gap
NAMED = 12  # samples or subjects a line names at most


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a protocol takes of some samples, beside what it should; `differences` are lines."""

    counts: dict[str, Counts]  # set -> what there is
    differences: list[str]

    @property
    def ok(self) -> bool:
        return not self.differences


def compare(protocol: Protocol, samples: Sequence[Sample]) -> Comparison:
    """What the protocol takes, beside what it is known to take; a missing set is a difference.

    Raises:
      UserError: as `apply`.
    """
    labeled, counts, lines = apply(protocol, samples), {}, []
    for name, expected in protocol.expected.items():
        whole = [sample for sample in samples if sample.dataset == name]
        taken = [(sample, label) for sample, label in labeled if sample.dataset == name]
        number = collections.Counter(protocol.classes[label] for _, label in taken)
        subjects = {sample.subject for sample, _ in taken}
        counts[name] = Counts({c: number[c] for c in protocol.classes}, len(subjects))
        if not whole:
            lines.append(f"{name}: no samples, expected {sum(expected.samples.values())}")
            continue
        for label, wanted in expected.samples.items():
            if number[label] != wanted:
                lines.append(f"{name}: {label} {number[label]}, expected {wanted}")
                lines += [f"  {line}" for line in _blame(protocol, name, label, whole)]
        if dict(number) != {label: n for label, n in expected.samples.items() if n}:
            lines += [f"  {line}" for line in _not_removed(protocol, name, whole)]
        if expected.subjects not in (None, len(subjects)):
            lines.append(f"{name}: {len(subjects)} subjects, expected {expected.subjects}")
            without = sorted({sample.subject for sample in whole} - subjects)
            if without:
                lines.append(f"  in the set, without a sample here: {', '.join(without)}")
        lines += _faults(name, whole)
    return Comparison(counts, lines)


def compare_set(name: str, samples: Sequence[Sample]) -> list[str]:
    """Lines on where a set differs from a complete copy of it, all emotions; none if unknown."""
    if name not in SETS:
        return []
    number = collections.Counter(emotion_of(sample) for sample in samples)
    wanted = SETS[name].samples
    lines = [
        f"{name}: {emotion} {number[emotion]}, expected {wanted.get(emotion, 0)}"
        for emotion in dict.fromkeys([*wanted, *number])
        if number[emotion] != wanted.get(emotion, 0)
    ]
    subjects = len({sample.subject for sample in samples})
    if subjects != SETS[name].subjects:
        lines.append(f"{name}: {subjects} subjects, expected {SETS[name].subjects}")
    return lines + _faults(name, samples)


def _blame(protocol: Protocol, name: str, label: str, samples: Sequence[Sample]) -> list[str]:
    """Which emotions make the difference in a class, and by name the samples it may be."""
    emotions = [e for e, goes_to in protocol.rules[name].items() if goes_to == label]
    lines = []
    for emotion in emotions:
        there = [sample.clip for sample in samples if emotion_of(sample) == emotion]
        wanted = SETS[name].samples[emotion]
        named = f": {', '.join(there)}" if wanted < len(there) <= NAMED else ""
        if len(there) != wanted and (named or len(emotions) > 1):
            lines.append(f"{emotion} {len(there)}, in a complete set {wanted}{named}")
    return lines


def _not_removed(protocol: Protocol, name: str, samples: Sequence[Sample]) -> list[str]:
    """A sample to leave out that goes by another name here has been counted."""
    return [
        f"{clip}, which the protocol leaves out, is not found under that name"
        for dataset, clip in protocol.removed
        if dataset == name and not any(is_clip(sample, name, clip) for sample in samples)
    ]


def _faults(name: str, samples: Sequence[Sample]) -> list[str]:
    """What makes any set differ: clips listed twice, one subject written in two ways, gaps."""
    times = collections.Counter(sample.clip for sample in samples)
    lines = [f"{name}: {clip} is listed {n} times" for clip, n in times.items() if n > 1]
    written = collections.defaultdict(set)
    for sample in samples:
        written[_number(sample.subject)].add(sample.subject)
    for number, ways in written.items():
        if number is not None and len(ways) > 1:
            lines.append(f"{name}: subjects {', '.join(sorted(ways))} look like the same one")
    if name in NUMBERED:
        gone = [str(number) for number in NUMBERED[name] if number not in written]
        if gone and len(gone) <= NAMED:
            lines.append(f"{name}: the set has no subject {', '.join(gone)}")
    return lines


def _number(subject: str) -> int | None:
    digits = re.findall(r"\d+", subject)
    return int(digits[-1]) if digits else None
