import dataclasses
import json

import cv2
import numpy as np
import pytest
from helpers.benchmarks import imitate, sample

from micron_jax.cli import main
from micron_jax.data.pairs import Clip
from micron_jax.datasets import check, frames, leakage
from micron_jax.datasets.check import check_clips, check_frames, lines
from micron_jax.datasets.frames.builder import build
from micron_jax.datasets.protocols import PROTOCOLS
from micron_jax.datasets.survey import draw_sample, images_in, numbers_in, shared
from micron_jax.errors import UserError
from micron_jax.faces import landmarks


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


def test_the_facts_of_a_set(small):
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


def test_records_and_samples_must_be_as_many(small):
    with pytest.raises(UserError, match="samm: 4 records, but 3 samples: build the set again"):
        check_clips("samm", small[0], small[1][:3])


def test_the_images_of_a_record():
    blob = BLOBS[0]
    assert images_in({"image": blob, "clip": blob}) == [blob]
    assert images_in({"frames": np.array([blob, b"broken"], object)}) == [blob, b"broken"]
    record = {"frames": {"image": [blob, blob], "number": [46, 47]}, "apex": 1}
    assert images_in(record) == [blob, blob]
    assert numbers_in(record, 2) == [46, 47]
    assert numbers_in({"frames": [blob]}, 1) == [0]
    assert images_in({"video": (blob,), "clip": b"sub01", "frame": 7}) == [blob]
    assert images_in({"frames": [], "clip": blob}) == []
    assert images_in({"frames": np.array([4, 5]), "jpegs": [blob]}) == [blob]
    assert images_in({"clip": b"sub01", "onset": 7}) == []


def test_shared_frames():
    digests = np.array([5, 5, 5, 9, 9, 7], np.uint64)
    owners = np.array([2, 0, 2, 1, 1, 3])
    assert shared(digests, owners) == {(0, 2): 2}
    assert shared(digests[:0], owners[:0]) == {}


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


@pytest.mark.parametrize(
    ("dataset", "subjects", "source", "clips", "found"),
    [
        (
            "casme3",
            ["1", "12", "120"],
            "corpora/part_A",
            ["spNO.12/a/color", "spNO.12/b/color", "spNO.120/a/color", "spNO.2/a", "spNO.112/a"],
            {"12": [0, 1], "120": [2]},
        ),
        ("casme3", ["12", "13"], "part_A/spNO.12", ["a/color", "."], {"12": [0, 1]}),
        (
            "casme2",
            ["01", "sub05", "26"],
            "",
            ["sub05/EP01_1", "x/SUB1/EP02.avi", "sub010/EP1", "subject26", "mysub26"],
            {"01": [1], "sub05": [0]},
        ),
        (
            "samm",
            ["006", "007"],
            "/data/SAMM",
            ["006/006_1_2", "007_3_1.avi", "clip006", "0067/a", "6/a", "1007/b"],
            {"006": [0], "007": [1]},
        ),
        ("smic_hs", ["1", "s18"], "", ["s18/micro/a", "s01_n.avi", "g1"], {"1": [1], "s18": [0]}),
        ("mmew", ["S13", "2"], "", ["anger/S13-07-1", "s02-01-1", "S3-1"], {"2": [1], "S13": [0]}),
        ("fourdme", ["p1", "3"], "", ["gray/P1/a", "clip3/b", "3/c.mp4"], {"3": [2], "p1": [0]}),
    ],
)  # fmt: skip
def test_subjects_are_found_in_paths(dataset, subjects, source, clips, found):
    wanted = {subject: [clips[i] for i in numbers] for subject, numbers in found.items()}
    assert leakage.subjects_in(dataset, subjects, clips, source) == wanted


def test_a_corpus_that_holds_subjects(small):
    source, samples = small
    held = ["006/a.mp4", "006/a.mp4#2", "street/b.mp4", "renamed.mp4"]
    blobs = [BLOBS[30], BLOBS[31], BLOBS[32], BLOBS[0]]
    corpus = [{"image": b, "clip": n.encode()} for n, b in zip(held, blobs, strict=True)]
    index = [Clip(name, i, 1, 30.0) for i, name in enumerate(held)]
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
    """What TFDS gives: `__getitems__` reads several."""

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


def test_a_sample_of_a_corpus():
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
    whole = check_frames(records, index, described, sample=40)
    assert whole["looked_at"] == 40
    assert "looked at" not in "\n".join(lines(whole))
    chosen = draw_sample(index, 10)
    assert {0, 30, 32} < set(chosen.tolist())
    assert len(set(chosen.tolist())) == 10
    np.testing.assert_array_equal(chosen, draw_sample(index, 10))
    assert len(set(draw_sample(index, 2)) & {0, 30, 32}) == 2
    numbers = [entry["frame"] for entry in report["unreadable"] if entry["clip"] == "c"]
    assert all(0 <= number < 8 for number in numbers)


# The command.


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A data_dir with a corpus of two clips, one of subject 12 of CAS(ME)3."""
    folder = tmp_path_factory.mktemp("check")
    for clip in ("spNO.12/a", "talk"):
        (folder / "source" / clip).mkdir(parents=True)
        for number in range(4):
            path = folder / "source" / clip / f"{number}.png"
            cv2.imwrite(str(path), np.full((40, 40, 3), 9 * number + len(clip), np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            landmarks, "all_faces_detector", lambda: lambda image: landmarks.CANONICAL[None] * 40
        )
        build(folder / "source", folder / "data", size=32)
    return folder / "data"


@pytest.fixture
def clips(monkeypatch):
    """Stands for the built sets: casme3 alone."""

    def open_clips(data_dir, name):
        if name != "casme3":
            raise UserError(f"no data set `{name}` in {data_dir}")
        return records(imitate(name)), imitate(name)

    def describe_clips(data_dir, name):
        return {"skipped": [{"clip": "spNO.1/z", "row": 9, "reason": "no folder"}]}

    monkeypatch.setattr(check, "open_clips", open_clips)
    monkeypatch.setattr(check, "describe_clips", describe_clips)


def test_check_frames_by_command(built, tmp_path, capsys):
    out = tmp_path / "report.json"
    assert main(["data", "check", "frames", "--data-dir", str(built), "--json", str(out)]) == 0
    assert "frames: clips: 2, frames: 8" in capsys.readouterr().out
    assert main(["data", "check", "frames", "--data-dir", str(built), "--sample", "3"]) == 0
    assert "frame sizes: 32x32 3" in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report["frame_sizes"] == {"32x32": 8}
    assert report["unreadable"] == report["misplaced"] == report["duplicates"] == []
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_check_a_benchmark_by_command(built, clips, tmp_path, capsys):
    out = tmp_path / "report.json"
    more = ["--json", str(out), "--protocol", "casme3_4", "--corpus", str(built)]
    assert main(["data", "check", "casme3", "--data-dir", str(tmp_path), *more]) == 0
    report = json.loads(out.read_text())
    assert (report["clips"], report["subjects"]) == (860, 94)
    assert report["emotions"]["disgust"] == 250
    assert [(fit["name"], fit["ok"]) for fit in report["protocols"]] == [("casme3_4", True)]
    assert report["corpus"]["subjects"] == {"12": 1}
    assert report["corpus"]["leave_out"] == ["spNO.12/a"]
    assert report["skipped"] == [{"clip": "spNO.1/z", "row": 9, "reason": "no folder"}]
    text = capsys.readouterr().out
    assert "  spNO.12/a" in text
    assert "skipped when built: 1\n  spNO.1/z: no folder" in text
    assert frames.describe(built)["clips"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frames"], "micron-jax data build frames"),
        (["casme2"], "no data set `casme2`"),
        (["casme3", "--protocol", "samm_5"], "those that do: casme3_3, casme3_4, casme3_7"),
        (["casme3", "--protocol", "seven"], "no protocol 'seven'; choose one of composite"),
        (["casme3", "--corpus", "nowhere"], "no data set `frames` in nowhere"),
        (["frames", "--protocol", "casme3_4"], "protocol is for benchmarks"),
        (["frames", "--sample", "0"], "--sample: '0': needed is 1 or more, or `all`"),
        (["frames", "--sample", "some"], "--sample: 'some': needed is"),
        (["casme3", "--json", "gone/out.json"], "--json gone/out.json: name a file"),
    ],
)
def test_bad_input_is_one_line(arguments, words, clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "check", *arguments, "--data-dir", "."]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert words in line
    assert list(tmp_path.iterdir()) == []
