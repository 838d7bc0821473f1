"""Whether an unlabeled corpus holds people of a benchmark, told by the names of its clips.

A network that has seen a test subject while it pretrained is not tested on strangers. The corpus
keeps each clip's path below its source, and the benchmarks put the subject into the path. That is
evidence by name: files that were renamed are not found, and a set that names its folders alike is
found wrongly, so the clips are listed for a person to look at.
"""

import re
from collections.abc import Container, Iterable, Sequence
from pathlib import PurePath

# What stands for a subject in a path, in lower case; the group is the subject.
SUBJECT = {
    "casme2": r"(?<![a-z0-9])sub0*(\d+)",  # sub05/EP09_05f
    "samm": r"(?:^|/)(\d{3})(?=_\d|/|$)",  # 006/006_1_2
    "smic_hs": r"(?:^|/)s0*(\d+)(?=_|/|$)",  # s18/micro/surprise/s18_sur_03
    "smic_vis": r"(?:^|/)s0*(\d+)(?=_|/|$)",
    "smic_nir": r"(?:^|/)s0*(\d+)(?=_|/|$)",
    "casme3": r"(?<![a-z0-9])spno[._ ]?0*(\d+)",  # spNO.12/a/color
    "casme3_c": r"(?<![a-z0-9])spno[._ ]?0*(\d+)",
    "mmew": r"(?<![a-z0-9])s0*(\d+)-\d+-\d+",  # S13-07-001
}
FOLDER = r"(?:^|/)([^/]+)"  # of any other set: a folder called exactly as the subject is
VIDEO = r"\.[a-z][a-z0-9]{1,3}$"  # a file name's end; the one of `spno.12` is none
SOURCE_PARTS = 2  # of the source's own path: it may be one subject's folder


def plain_name(name: str, known: Container[str]) -> str:
    """The clip of an index's run: `a#2` -> `a`, where there is an `a`."""
    base = re.sub(r"#\d+$", "", name)
    return base if base in known else name


def subjects_in(
    dataset: str, subjects: Iterable[str], clips: Sequence[str], source: str = ""
) -> dict[str, list[str]]:
    """Which of a benchmark's subjects a corpus seems to hold.

    Args:
      dataset: the benchmark.
      subjects: its subjects, as its samples have them.
      clips: the corpus's clips: paths below `source`.
      source: the folder that the corpus was built from.

    Returns:
      subject -> its clips, in their order; subjects that do not appear are not in it.
    """
    pattern = re.compile(SUBJECT.get(dataset, FOLDER))
    key = _number if dataset in SUBJECT else str.lower
    known = {key(subject): subject for subject in subjects}
    above = PurePath(source.replace("\\", "/")).parts[-SOURCE_PARTS:] if source else ()
    found: dict[str, list[str]] = {}
    for clip in clips:
        path = re.sub(VIDEO, "", "/".join((*above, *PurePath(clip).parts)).lower())
        there = dict.fromkeys(key(text) for text in pattern.findall(path))
        for subject in (known[one] for one in there if one in known):
            found.setdefault(subject, []).append(clip)
    return {subject: found[subject] for subject in sorted(found)}


def _number(subject: str) -> int | str:
    """`01`, `sub01`, `spNO.1` and `1` are one subject; one without a number is its text."""
    digits = re.findall(r"\d+", subject)
    return int(digits[-1]) if digits else subject.strip().lower()
