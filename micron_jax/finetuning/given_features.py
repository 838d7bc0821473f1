"""Samples of a fine-tuning whose features come from a file, in place of frames and a network.

Subjects and classes come from the built sets of the protocol, of which the labels are enough, or,
without any, from the file's own arrays `subject` and `label`.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from micron_jax.datasets import protocols
from micron_jax.datasets.annotations import Sample
from micron_jax.datasets.face_pairs import Opened, open_protocol
from micron_jax.datasets.feature_file import FeatureFile
from micron_jax.datasets.joining import ClipName, join
from micron_jax.datasets.names import set_key
from micron_jax.datasets.own import NAME as OWN
from micron_jax.datasets.own.protocol import find_protocol
from micron_jax.datasets.protocols import Protocol
from micron_jax.datasets.subjects import person, respelled
from micron_jax.datasets.synthetic_names import is_marked, unmarked
from micron_jax.errors import UserError, naming
from micron_jax.finetuning.folds import Labeled

NAMED = 5  # clips that a line names at most


@dataclasses.dataclass(frozen=True)
class GivenSamples:
    """The samples that have features.

    Attributes:
      opened: with them, and the samples that the protocol leaves out.
      x: float32 [n, 1, 1, F], of the samples in `labeled`.
      lines: on what was joined and what was not.
    """

    protocol: Protocol
    opened: Opened
    labeled: Labeled
    x: np.ndarray
    lines: list[str]


def join_features(file: FeatureFile, name: str, data_dir: str | Path) -> GivenSamples:
    """Joins the rows of a file to the samples of a protocol.

    Args:
      name: of the protocol; `own` has the classes of the built set `own`, or of the file.
      data_dir: of the built sets; empty: the file tells subjects and labels.

    Raises:
      UserError: rows are doubled or ambiguous, or none is of a sample; a label has no place in the
        protocol; a set is not built.
    """
    if data_dir:
        protocol = find_protocol(name, data_dir)
        opened = open_protocol(data_dir, protocol, frames=False)
        with naming(file.path):
            rows = _with_sets(file, protocol)
            row_of = {place: row for row, place in join(opened.samples, rows).items()}
    else:
        protocol = None if name == OWN else _with_class_names(protocols.find(name))
        with naming(file.path):
            protocol = protocol or _own(file)
            rows = _with_sets(file, protocol)
            sample_of = _samples(file, rows, protocol)
        sets = zip(file.clips, rows, strict=True)
        synthetic = dict.fromkeys(row.dataset for clip, row in sets if is_marked(clip.dataset))
        samples = respelled(list(sample_of.values()))
        opened = Opened(samples, [], {}, {}, synthetic=(*synthetic,))
        row_of = dict(enumerate(sample_of))
    labeled = protocols.apply(protocol, opened.samples)
    places = {id(sample): place for place, sample in enumerate(opened.samples)}
    joined = [(sample, label) for sample, label in labeled if places[id(sample)] in row_of]
    missing = [sample for sample, _ in labeled if places[id(sample)] not in row_of]
    if not joined:
        raise UserError(
            f"{file.path}: none of its {len(rows):,} rows is of a sample of protocol {name}; its "
            f"clips: {_names(rows)}; the protocol's: {_names(missing) or 'none'}"
        )
    numbers = [row_of[places[id(sample)]] for sample, _ in joined]
    lines = [f"features: x {file.shape} of {file.path.name}, {file.x.shape[1]:,} numbers a clip"]
    lines += _lines(file, rows, set(row_of.values()), numbers, missing, len(labeled))
    if data_dir and file.labels:
        lines += _other_labels(file, protocol, joined, numbers)
    gone = {id(sample) for sample in missing}
    opened = dataclasses.replace(
        opened, samples=[sample for sample in opened.samples if id(sample) not in gone], records=[]
    )
    return GivenSamples(protocol, opened, joined, file.x[numbers][:, None, None], lines)


def _with_sets(file: FeatureFile, protocol: Protocol) -> list[ClipName]:
    """The rows, each set in the protocol's spelling where it is one of its sets."""
    known = {set_key(unmarked(name)): name for name in protocol.sets}
    if not file.clips[0].dataset:
        if len(protocol.sets) > 1:
            raise UserError(
                f"no array 'set'; protocol {protocol.name} has several: {', '.join(protocol.sets)}"
            )
        return [dataclasses.replace(clip, dataset=protocol.sets[0]) for clip in file.clips]
    return [
        dataclasses.replace(clip, dataset=known.get(set_key(unmarked(clip.dataset)), clip.dataset))
        for clip in file.clips
    ]


def _own(file: FeatureFile) -> Protocol:
    """The protocol of a file alone: its labels are the classes."""
    _need(file, "label")
    sets = list(dict.fromkeys(clip.dataset or OWN for clip in file.clips))
    labels = [
        protocols.emotion_of(Sample(OWN, "", "", label, "", 0, 0, 0, 0.0)) for label in file.labels
    ]
    classes = tuple(sorted(set(labels)))
    rules = {dataset: {label: label for label in classes} for dataset in sets}
    return Protocol(OWN, classes, rules, expected={})


def _with_class_names(protocol: Protocol) -> Protocol:
    """The protocol, in which a label may be the class itself, too, as `negative`."""
    names = {label: label for label in protocol.classes}
    rules = {dataset: names | dict(rules) for dataset, rules in protocol.rules.items()}
    return dataclasses.replace(protocol, rules=rules, built=())


def _samples(file: FeatureFile, rows: Sequence[ClipName], protocol: Protocol) -> dict[int, Sample]:
    """Returns number of a row -> its sample, by the file's own subjects and labels."""
    _need(file, "label")
    _need(file, "subject")
    # Samples that the protocol names, to leave them out or to correct them, whatever their names.
    named = [
        Sample(dataset, clip, clip.replace("/", "_").split("_")[0], "", "", 0, 0, 0, 0.0)
        for dataset, clip in {**protocol.removed, **protocols.CORRECTED}
    ]
    official = {row: named[place].clip for row, place in join(named, rows).items()}
    owners: dict[tuple[str, str], set] = {}
    for row in rows:
        owners.setdefault((row.dataset, row.clip), set()).add(person(row.dataset, row.subject))
    # A set that gives clips of several people one name: the subject is part of the name there.
    shared = {dataset for (dataset, _), people in owners.items() if len(people) > 1}
    samples, first = {}, {}
    for number, (row, label) in enumerate(zip(rows, file.labels, strict=True)):
        place = (*person(row.dataset, row.subject), row.clip.casefold())
        if first.setdefault(place, number) != number:
            raise UserError(
                f"clip {row} of subject {row.subject} stands in rows {first[place]} and {number} "
                "(the first is 0); give each clip once"
            )
        if row.dataset not in protocol.rules:
            continue
        clip = f"{row.subject}/{row.clip}" if row.dataset in shared else row.clip
        clip = official.get(number, clip)
        sample = Sample(row.dataset, clip, row.subject, label, "", 0, 0, 0, 0.0)
        rules = protocol.rules[row.dataset]
        if protocols.emotion_of(sample) not in rules:
            raise UserError(
                f"label {label!r} of {row} has no place in protocol {protocol.name}; known are "
                f"{', '.join(rules)}"
            )
        samples[number] = sample
    return samples


def _need(file: FeatureFile, name: str) -> None:
    if file.labels is None if name == "label" else not file.clips[0].subject:
        raise UserError(
            f"no array {name!r}; add subject and label [n], or give the built sets of the protocol "
            "(config.data.data_dir)"
        )


def _lines(
    file: FeatureFile,
    rows: Sequence[ClipName],
    joined: set[int],
    used: Sequence[int],
    missing: Sequence[Sample],
    total: int,
) -> Iterator[str]:
    """Lines on samples without a row, and on rows that are not used."""
    name = file.path.name
    if missing:
        yield (
            f"{len(missing):,} of {total:,} samples have no row in {name} and are left out: "
            f"{_names(missing)}"
        )
    if left_out := [rows[row] for row in sorted(joined - set(used))]:
        yield (
            f"{len(left_out):,} of {len(rows):,} rows of {name} are of clips that the protocol "
            f"leaves out: {_names(left_out)}"
        )
    if extra := [row for number, row in enumerate(rows) if number not in joined]:
        yield (
            f"{len(extra):,} of {len(rows):,} rows of {name} are of no clip of the protocol's sets "
            f"and are not used: {_names(extra)}"
        )


def _other_labels(
    file: FeatureFile, protocol: Protocol, labeled: Labeled, numbers: Sequence[int]
) -> Iterator[str]:
    """A line on the file's labels that are not those of the built sets."""
    rules, others = _with_class_names(protocol).rules, []
    for (sample, label), number in zip(labeled, numbers, strict=True):
        word = file.labels[number]
        emotion = protocols.emotion_of(dataclasses.replace(sample, emotion=word))
        if rules[sample.dataset].get(emotion) != protocol.classes[label]:
            others.append(f"{sample.dataset} {sample.clip} ({word}, not {protocol.classes[label]})")
    if others:
        more = ", ..." if len(others) > NAMED else ""
        yield (
            f"{len(others):,} labels of {file.path.name} are not those of the built sets, which "
            f"count: {', '.join(others[:NAMED])}{more}"
        )


def _names(clips: Sequence[Sample | ClipName]) -> str:
    more = ", ..." if len(clips) > NAMED else ""
    return ", ".join(f"{clip.dataset} {clip.clip}" for clip in clips[:NAMED]) + more
