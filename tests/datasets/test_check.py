import dataclasses
import json

import cv2
import numpy as np
import pytest
from helpers.benchmarks import imitate, sample

from micron_jax.data.pairs import Clip
from micron_jax.datasets.check import check_clips, check_frames, lines
from micron_jax.datasets.protocols import PROTOCOLS, RELABELED
from micron_jax.datasets.survey import draw_sample
from micron_jax.errors import UserError


def png(level, size=8):
    return cv2.imencode(".png", np.full((size, size, 3), level, np.uint8))[1].tobytes()


BLOBS = [png(level) for level in range(40)]


def record(*blobs):
    return {"clip": b"BM, a name and no image", "frames": list(blobs), "onset": 3}


def records(samples):
    """Two frames a clip, none of them twice."""
    return [record(*(b"%d" % i + blob for blob in BLOBS[:2])) for i in range(len(samples))]


@pytest.fixture(scope="module")
def small():
    """(source, samples) of four clips of three subjects with one fault of each kind."""
    samples = [
        sample("samm", "006/006_1", "006", "Anger"),
        sample("samm", "006/006_2", "006", "Other"),
        sample("samm", "007/007_1", "007", "Anger"),
        sample("samm", "008/008_1", "008", "Fear"),
    ]
    source = [
        record(BLOBS[0], BLOBS[1], png(99, 16)),
        record(BLOBS[1], BLOBS[2], BLOBS[2]),
        record(BLOBS[3], BLOBS[0][:40], BLOBS[1]),
        record(),
    ]
    return source, samples


def test_the_report_of_a_set(small):
    report = check_clips("samm", *small)
    assert (report["clips"], report["subjects"], report["frames"]) == (4, 3, 9)
    assert report["emotions"] == {"Anger": 2, "Other": 1, "Fear": 1}
    assert report["clips_of_subject"] == {"006": 2, "007": 1, "008": 1}
    assert report["frame_sizes"] == {"8x8": 7, "16x16": 1}
    assert report["unreadable"] == [
        {"clip": "007/007_1", "frame": 1, "reason": "not a whole image"},
        {"clip": "008/008_1", "frame": None, "reason": "no frames"},
    ]
    assert report["duplicates"] == [
        {"clips": ["006/006_1", "006/006_2"], "frames": 1, "same_subject": True},
        {"clips": ["006/006_1", "007/007_1"], "frames": 1, "same_subject": False},
    ]
    assert report["differences"][0] == "samm: anger 2, expected 57"
    json.dumps(report)
    text = "\n".join(lines(report))
    assert "samm: clips: 4, subjects: 3, frames: 9" in text
    assert "  006/006_1 and 007/007_1: 1, of DIFFERENT subjects" in text
    assert "  007/007_1 frame 1: not a whole image" in text
    assert "  008/008_1: no frames" in text


def test_spellings_and_clips_without_motion(small):
    source, samples = small
    ways = ["6", "006", "s007", "8"]
    samples = [
        dataclasses.replace(sample, subject=subject, apex=sample.onset if subject == "8" else 10)
        for sample, subject in zip(samples, ways, strict=True)
    ]
    report = check_clips("samm", source, samples)
    assert report["clips_of_subject"] == {"006": 2, "8": 1, "s007": 1}
    assert report["duplicates"][0]["same_subject"]
    assert report["apex_is_onset"] == ["008/008_1"]
    text = "\n".join(lines(report))
    assert "apex is their onset (two equal frames, no motion): 1\n  008/008_1" in text


def test_records_and_samples_of_unequal_number_are_refused(small):
    with pytest.raises(UserError, match="samm: 4 records, but 3 samples: build the set again"):
        check_clips("samm", small[0], small[1][:3])


def test_protocols_of_complete_sets(tmp_path):
    samples = imitate("casme2")
    fitting = [PROTOCOLS[name] for name in ("composite", "casme2_3", "casme2_5")]
    others = {name: imitate(name) for name in ("samm", "smic_hs")}
    report = check_clips("casme2", records(samples), samples, fitting, others)
    assert report["differences"] == []
    assert [fit["ok"] for fit in report["protocols"]] == [True, True, True]
    assert report["protocols"][0]["sets"]["samm"] == {
        "classes": {"negative": 92, "positive": 26, "surprise": 15},
        "subjects": 28,
    }
    text = lines(report)
    assert "protocol casme2_3: as published" in text
    assert "  casme2: negative 88, positive 32, surprise 25; subjects 24" in text

    del others["smic_hs"]
    samples[7] = dataclasses.replace(samples[7], emotion="joy")
    report = check_clips("casme2", records(samples), samples, fitting, others)
    assert not any(fit["ok"] for fit in report["protocols"])
    assert f"casme2 {samples[7].clip}: emotion 'joy'" in report["protocols"][0]["differences"][0]
    assert "protocol casme2_3: DIFFERS" in lines(report)
    assert "casme2: joy 1, expected 0" in report["differences"]


def test_a_set_that_is_not_built_is_no_difference():
    samples = [
        dataclasses.replace(s, emotion="surprise") if s.clip in RELABELED else s
        for s in imitate("casme2")
    ]
    fitting = [PROTOCOLS["composite"], PROTOCOLS["casme2_5"]]
    report = check_clips("casme2", records(samples), samples, fitting)
    composite, five = report["protocols"]
    assert (composite["ok"], composite["differences"]) == (False, [])
    assert composite["not_built"] == ["samm", "smic_hs"]
    assert (five["ok"], five["editions"]) == (True, {"casme2": "the sheet of 2019"})
    text = lines(report)
    assert (
        "protocol composite: as published as far as it is built; not built: samm, smic_hs" in text
    )
    assert "protocol casme2_5: as published (casme2 by the sheet of 2019)" in text
    assert not any(line.startswith("  samm:") for line in text)
    report = check_clips("casme2", records(samples[1:]), samples[1:], fitting[1:])
    assert "protocol casme2_5: DIFFERS (casme2 by the sheet of 2019)" in lines(report)


def test_a_corpus_that_holds_subjects(small):
    source, samples = small
    names = ["006/a.mp4", "006/a.mp4#2", "street/b.mp4", "renamed.mp4"]
    blobs = [BLOBS[30], BLOBS[31], BLOBS[32], BLOBS[0]]
    corpus = [{"image": b, "clip": n.encode()} for n, b in zip(names, blobs, strict=True)]
    index = [Clip(name, i, 1, 30.0) for i, name in enumerate(names)]
    described = {"folder": "data/frames", "recipe": {"source": "/videos"}}
    report = check_clips("samm", source, samples, corpus=(described, Records(corpus), index))
    assert report["corpus"] == {
        "folder": "data/frames",
        "source": "/videos",
        "clips": 3,
        "subjects": {"006": 1},
        "identical_frames": {"renamed.mp4": 1},
        "leave_out": ["006/a.mp4", "renamed.mp4"],
    }
    text = "\n".join(lines(report))
    assert "contain 1 of the 3 subjects (clips): 006 1" in text
    assert "identical with the benchmark's: renamed.mp4 1" in text
    assert "  clips to leave out: 2\n    006/a.mp4\n    renamed.mp4" in text


class Records(list):
    """A source of TFDS: `__getitems__` reads several."""

    def __getitems__(self, numbers):
        return [self[number] for number in numbers]


def test_a_corpus_with_faults():
    good = [{"image": blob, "clip": b"a"} for blob in BLOBS[:3]]
    bad = [{"image": b"junk", "clip": b"b"}, {"image": BLOBS[0], "clip": b"c"}]
    index = [Clip("a", 0, 3, 30.0), Clip("b", 3, 2, 25.0)]
    skips = [{"clip": "gone.mp4", "reason": "no face"}]
    described = {"recipe": {"source": "s"}, "skipped": skips, "dropped": []}
    report = check_frames(Records(good + bad), index, described)
    assert (report["clips"], report["frames"]) == (2, 5)
    assert report["lengths"] == {"min": 2, "median": 2.5, "max": 3}
    assert report["fps"] == {"30": 1, "25": 1}
    assert report["unreadable"] == [{"clip": "b", "frame": 0, "reason": "not a whole image"}]
    assert report["duplicates"] == [{"clips": ["a", "b"], "frames": 1}]
    assert report["misplaced"] == [{"clip": "b", "record": "c"}]
    text = "\n".join(lines(report))
    assert "frames a clip: 2 to 3" in text
    assert "  b: the record is of c" in text
    assert "  gone.mp4: no face" in text


def test_a_report_on_a_sample_of_a_corpus():
    index = [Clip("a", 0, 30, 30.0), Clip("b", 30, 2, 30.0), Clip("c", 32, 8, 30.0)]
    records = Records(
        {"image": b"%d" % i + BLOBS[i], "clip": clip.name.encode()}
        for clip in index
        for i in range(clip.first, clip.first + clip.count)
    )
    records[32] = {"image": records[0]["image"], "clip": b"c"}
    described = {"recipe": {"source": "s"}, "skipped": [], "dropped": []}
    report = check_frames(records, index, described, sample=10)
    assert (report["frames"], report["looked_at"]) == (40, 10)
    assert sum(report["frame_sizes"].values()) + len(report["unreadable"]) == 10
    assert report["duplicates"] == [{"clips": ["a", "c"], "frames": 1}]
    assert "looked at 10 of the frames, the first of each clip" in "\n".join(lines(report))
    complete = check_frames(records, index, described, sample=40)
    assert complete["looked_at"] == 40
    assert "looked at" not in "\n".join(lines(complete))
    places = draw_sample(index, 10)
    assert {0, 30, 32} < set(places.tolist())
    assert len(set(places.tolist())) == 10
    np.testing.assert_array_equal(places, draw_sample(index, 10))
    assert len(set(draw_sample(index, 2)) & {0, 30, 32}) == 2
    numbers = [entry["frame"] for entry in report["unreadable"] if entry["clip"] == "c"]
    assert all(0 <= number < 8 for number in numbers)
