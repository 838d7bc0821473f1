"""Sets of full size, of tiny frames: from sheets and trees to the composite of the field."""

import collections

import pytest
from helpers import vendor_trees as trees
from helpers.benchmarks import imitate

from micron_jax.datasets.catalog import clip_set
from micron_jax.datasets.census import compare, compare_set
from micron_jax.datasets.clips import describe_clips, open_clips
from micron_jax.datasets.clips_builder import build_clips
from micron_jax.datasets.protocols import COMPOSITE, apply, subject_of

TIMES = (1, 2, 3)


def write(dataset, root):
    samples = imitate(dataset)
    if dataset == "casme2":
        rows = [
            trees.casme2_row(s.subject, s.clip.rpartition("/")[2], *TIMES, s.emotion)
            for s in samples
        ]
        return trees.write_casme2(root, rows, frames="Cropped")
    if dataset == "samm":
        rows = [
            [s.subject, s.clip.rpartition("/")[2], 1, *TIMES, 3, "1/2", "4", s.emotion]
            for s in samples
        ]
        return trees.write_samm(root, rows)
    rows = [
        [n, int(s.subject), s.clip.rpartition("/")[2], 1, 3, s.emotion]
        for n, s in enumerate(samples, 1)
    ]
    return trees.write_smic(root, "HS", rows, suffix=".xlsx")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("complete")
    for dataset in ("casme2", "samm", "smic_hs"):
        root = write(dataset, folder / dataset)
        build_clips(clip_set(dataset), root, folder / "data", keep="pair", strict=True)
    return folder / "data"


def test_the_composite_of_built_sets(data_dir):
    samples = []
    for dataset, clips in (("casme2", 255), ("samm", 159), ("smic_hs", 164)):
        source, part = open_clips(data_dir, dataset)
        assert len(source) == len(part) == describe_clips(data_dir, dataset)["clips"]
        samples += part
        assert len(part) == clips
        assert compare_set(dataset, part) == []
    labeled = apply(COMPOSITE, samples)
    counts = collections.Counter(COMPOSITE.classes[label] for _, label in labeled)
    assert counts == {"negative": 250, "positive": 109, "surprise": 83}
    assert len({subject_of(sample) for sample, _ in labeled}) == 68
    parts = collections.Counter(sample.dataset for sample, _ in labeled)
    assert parts == {"casme2": 145, "samm": 133, "smic_hs": 164}
    assert compare(COMPOSITE, samples).ok
