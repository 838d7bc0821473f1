"""Subjects of a benchmark in an unlabeled corpus, found by the names of clips and by equal frames.

A network that sees a test subject in pretraining is not tested on strangers. The corpus keeps each
clip's path below its source, and the benchmarks put the subject into the path. Names are weak
evidence: renamed files are missed, and a set with similar names is found wrongly. So the report
lists the clips for a person to look at.
"""

import re
import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from tqdm import tqdm

from micron_jax.data.pairs import Clip
from micron_jax.datasets.subjects import key
from micron_jax.datasets.survey import CHUNK, digest, read_records

# The subject in a path, in lower case; the group is the subject.
SUBJECT = {
    "casme2": r"(?<![a-z0-9])sub0*(\d+)",  # sub05/EP09_05f
    "samm": r"(?:^|/)(\d{3})(?=_\d|/|$)",  # 006/006_1_2
    "smic_hs": r"(?:^|/)s0*(\d+)(?=_|/|$)",  # s18/micro/surprise/s18_sur_03
    "smic_vis": r"(?:^|/)s0*(\d+)(?=_|/|$)",
    "smic_nir": r"(?:^|/)s0*(\d+)(?=_|/|$)",
    "smic_hs_e": r"(?:^|/)s0*(\d+)(?=_|/|$)",
    "smic_vis_e": r"(?:^|/)s0*(\d+)(?=_|/|$)",
    "casme3": r"(?<![a-z0-9])spno[._ ]?0*(\d+)",  # spNO.12/a/color
    "casme3_c": r"(?<![a-z0-9])spno[._ ]?0*(\d+)",
    "mmew": r"(?<![a-z0-9])s0*(\d+)-\d+-\d+",  # S13-07-001
    "dfme": r"(?<![a-z0-9])sub0*(\d+)(?=_\d|/|$)",  # sub0003_01
}
FOLDER = r"(?:^|/)([^/]+)"  # of any other set: a folder called exactly as the subject is
VIDEO = r"\.[a-z][a-z0-9]{1,3}$"  # a file name's end; the one of `spno.12` is none
COMPARABLE = 1_000_000  # frames of a corpus; to read more is no check but a job
SOURCE_PARTS = 2  # of the source's own path: it may be one subject's folder


def plain_name(name: str, names: Container[str]) -> str:
    """Returns the clip of a run of the index: `a#2` -> `a`, if there is an `a`."""
    base = re.sub(r"#\d+$", "", name)
    return base if base in names else name


def subjects_in(
    dataset: str, subjects: Iterable[str], clips: Sequence[str], source: str = ""
) -> dict[str, list[str]]:
    """Finds the subjects of a benchmark whose names stand in the paths of a corpus.

    Args:
      clips: the corpus's clips: paths below `source`.
      source: the folder that the corpus was built from.

    Returns:
      subject -> its clips, in their order; only subjects that appear.
    """
    pattern = re.compile(SUBJECT.get(dataset, FOLDER))
    subject_of = {key(dataset, subject): subject for subject in subjects}
    above = PurePath(source.replace("\\", "/")).parts[-SOURCE_PARTS:] if source else ()
    clips_of: dict[str, list[str]] = {}
    for clip in clips:
        path = "/".join((*above, *PurePath(clip).parts))
        path = re.sub(VIDEO, "", unicodedata.normalize("NFKC", path).lower())
        for part in dict.fromkeys(key(dataset, text) for text in pattern.findall(path)):
            if part in subject_of:
                clips_of.setdefault(subject_of[part], []).append(clip)
    return {subject: clips_of[subject] for subject in sorted(clips_of)}


def corpus_report(
    dataset: str,
    subjects: Iterable[str],
    digests: np.ndarray,
    described: Mapping[str, Any],
    source: Any,
    clips: Sequence[Clip],
) -> dict[str, Any]:
    """Returns the report on the benchmark's subjects and frames in a corpus.

    Args:
      digests: of its frames; see `survey.digest`.
      described, source, clips: of the corpus; see `frames.describe` and `frames.open_frames`.
    """
    runs = {clip.name for clip in clips}
    names = list(dict.fromkeys(plain_name(clip.name, runs) for clip in clips))
    origin = described["recipe"]["source"]
    clips_of = subjects_in(dataset, subjects, names, origin)
    equal = _equal_clips(digests, source, clips) if len(source) <= COMPARABLE else None
    leave_out = {clip for part in clips_of.values() for clip in part} | set(equal or {})
    return {
        "folder": str(described["folder"]),
        "source": origin,
        "clips": len(names),
        "subjects": {subject: len(part) for subject, part in clips_of.items()},
        "identical_frames": equal,
        "leave_out": sorted(leave_out),
    }


def _equal_clips(digests: np.ndarray, source: Any, clips: Sequence[Clip]) -> dict[str, int]:
    """Returns clip of the corpus -> number of its frames that the benchmark holds byte for byte."""
    marks, runs = set(digests.tolist()), {clip.name for clip in clips}
    equal: dict[str, int] = {}
    for clip in tqdm(clips, unit=" clips", desc="corpus"):
        for first in range(0, clip.count, CHUNK):
            size = min(CHUNK, clip.count - first)
            start = clip.first + first
            records = read_records(source, range(start, start + size))
            if count := sum(digest(record["image"]) in marks for record in records):
                name = plain_name(clip.name, runs)
                equal[name] = equal.get(name, 0) + count
    return equal
