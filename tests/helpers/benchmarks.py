"""Imitations of complete benchmarks, without a frame: samples in the published numbers."""

import itertools

from micron_jax.datasets.annotations import Sample

# The emotions as the sheets write them, with their slips.
SHEETS = {
    "casme2": dict(
        others=99, disgust=61, happiness=32, repression=27, surprise=25, sadness=4, fear=2
    ),
    "samm": {
        "Anger": 57,
        "Other": 26,
        "Happiness": 26,
        "Surprise": 15,
        "Contempt": 12,
        "Disgust": 9,
        "Fear": 8,
        "Sadness": 6,
    },
    "smic_hs": dict(negative=70, positive=51, surprise=42),
    "casme3": dict(
        disgust=250, surprise=187, others=160, Others=1, fear=86, anger=64, sad=57, happy=55
    ),
}
SUBJECTS = {
    "casme2": [f"{n:02}" for n in range(1, 27)],
    "samm": [f"{n:03}" for n in range(6, 35)],
    "smic_hs": [str(n) for n in (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 18, 19, 20)],
    "casme3": [str(n) for n in range(1, 95)],
}
# Subjects with nothing but these emotions, so that the protocols' numbers of subjects come out.
ONLY = {
    "casme2": {"10": ("others",), "18": ("others",)},
    "casme3": {str(n): ("others",) for n in range(89, 95)},
    "samm": {"006": ("Other",), "007": ("Disgust", "Fear"), "008": ("Sadness",)},
}
NAMED = {
    "casme2": [
        ("sub04/EP12_01f", "04", "disgust"),
        ("sub05/EP09_05f", "05", "disgust"),
        ("sub24/EP07_01", "24", "sadness"),
        ("sub24/EP07_04f", "24", "sadness"),
        ("sub24/EP10_03", "24", "sadness"),
    ],
    "smic_hs": [("s18/s18_sur_03", "18", "negative")],
}
FOLDER = {"casme2": "sub{}/EP", "samm": "{}/{}_", "smic_hs": "s{}/s{}_", "casme3": "spNO.{}/"}


def sample(dataset, clip, subject, emotion):
    return Sample(dataset, clip, subject, emotion, "", 1, 10, 20, 200.0)


def imitate(dataset: str) -> list[Sample]:
    """The set `dataset`, each emotion dealt out to its subjects in turn."""
    samples = [sample(dataset, *named) for named in NAMED.get(dataset, [])]
    only, number = ONLY.get(dataset, {}), itertools.count(100)
    for emotion, count in SHEETS[dataset].items():
        free = [s for s in SUBJECTS[dataset] if emotion in only.get(s, (emotion,))]
        for subject, _ in zip(itertools.cycle(free), range(count)):
            clip = FOLDER[dataset].format(subject, subject) + str(next(number))
            samples.append(sample(dataset, clip, subject, emotion))
    return samples
