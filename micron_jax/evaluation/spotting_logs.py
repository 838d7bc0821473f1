"""The logs of LGSNet: the detections on the test subject after every epoch of its training.

    OUTPUT/subject_s15/test_detection/test_00.txt … test_29.txt

A line is `video<TAB>start<TAB>end<TAB>confidence`; times are frames, and no kind is told
(Yu et al., LGSNet, IEEE Trans. Multimedia 2023; the same layout has A2Net, from which it comes).
"""

import re
from pathlib import Path

from micron_jax.datasets.sheets.delimited import read_text
from micron_jax.errors import UserError
from micron_jax.evaluation.prediction import row_error
from micron_jax.evaluation.spotting_tables import Detection

_FILE = re.compile(r"test_(\d+)\.txt")


def is_log_folder(path: Path) -> bool:
    """Tells whether a path is a folder of such logs."""
    return path.is_dir() and next(path.glob("**/test_detection/test_*.txt"), None) is not None


def read_epochs(folder: Path) -> dict[int, list[Detection]]:
    """Returns epoch -> detections on all subjects after it.

    Raises:
      UserError: a file cannot be read, or the subjects have not the same epochs.
    """
    epochs: dict[int, list[Detection]] = {}
    subjects: dict[Path, set[int]] = {}
    for path in sorted(folder.glob("**/test_detection/test_*.txt")):
        if match := _FILE.fullmatch(path.name):
            epoch = int(match[1])
            subjects.setdefault(path.parent, set()).add(epoch)
            epochs.setdefault(epoch, []).extend(_read(path))
    for parent, numbers in subjects.items():
        if missing := epochs.keys() - numbers:
            raise UserError(
                f"{parent} has no test_{min(missing):02}.txt, which other subjects have: an epoch "
                "needs all of them"
            )
    if not epochs:
        raise UserError(f"{folder}: no subject_*/test_detection/test_00.txt in it")
    return dict(sorted(epochs.items()))


def _read(path: Path) -> list[Detection]:
    detections = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        try:
            video, (start, end, confidence) = cells[0], map(float, cells[1:4])
        except ValueError:
            raise row_error(path, number, "it is no video, start, end, confidence") from None
        if end >= start:
            detections.append(
                Detection(video, start, end, confidence=confidence, row=number, file=path)
            )
    return detections
