"""Small truths and detections of spotting, made by hand."""

from pathlib import Path

from micron_jax.datasets.long_videos.truth import read_truth
from micron_jax.evaluation.spotting_matching import match_all
from micron_jax.evaluation.spotting_tables import join, read_detections

TRUTH = """\
video,subject,onset,apex,offset,kind,label,fps,first,last
v1,s1,10,14,19,micro,happy,30,1,900
v1,s1,100,110,139,macro,happy,30,1,900
v2,s1,50,55,59,micro,sad,30,1,900
v3,s2,10,15,19,micro,happy,30,1,1800
v4,s2,,,,,,30,1,1800
"""
# v1: micro right, macro called micro; v2 missed; v3 right, doubled; v4 a false alarm.
DETECTIONS = """\
video,onset,apex,offset,kind,confidence,label
v1,10,15,19,micro,0.9,happy
v1,100,,139,micro,0.8,happy
v3,10,12,19,micro,0.7,sad
v3,11,12,19,micro,0.6,happy
v4,200,,240,macro,0.5,sad
"""


def write(folder: Path, truth: str = TRUTH, detections: str = DETECTIONS) -> tuple[Path, Path]:
    """Writes both tables."""
    paths = folder / "truth.csv", folder / "detections.csv"
    for path, text in zip(paths, (truth, detections), strict=True):
        path.write_text(text)
    return paths


def read(folder: Path, truth: str = TRUTH, detections: str = DETECTIONS):
    """Returns the truth and its matches."""
    truth_path, path = write(folder, truth, detections)
    table = read_truth(truth_path)
    joined, _ = join(table, read_detections(path), path)
    return table, match_all(table, joined)
