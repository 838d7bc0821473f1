import json
import sys

import cv2
import numpy as np
import pytest
from helpers import films

from micron_jax.data.pairs import DELTA_SECONDS, Clip, Pairs
from micron_jax.datasets.building import group, sole_builder
from micron_jax.datasets.frames import describe, open_frames, plan
from micron_jax.datasets.frames.builder import build
from micron_jax.errors import UserError
from micron_jax.faces import crop, landmarks
from micron_jax.video import image_files

SIZE = 32
FILES = {"dataset_info.json", "features.json", "metadata.json", "seconds.npy"}


def frame(level, marked=True):
    """A flat frame; a white corner stands for a face."""
    image = np.full((48, 64, 3), level, np.uint8)
    if marked:
        image[:8, :8] = 255
    return image


def stub_detector():
    face = (landmarks.CANONICAL * 48 + (8, 0))[None]
    return lambda image: face if image[2, 2].min() > 200 else face[:0]


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(landmarks, "all_faces_detector", stub_detector)


def write_folder(folder, levels):
    folder.mkdir(parents=True)
    for number, level in enumerate(levels, 1):
        cv2.imwrite(str(folder / f"img{number}.png"), frame(level))


def write_video(path, levels, marked=True, fps=50.0):
    films.write_video(path, [frame(level, marked) for level in levels], fps)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    write_folder(folder / "s1" / "é", range(40, 160, 10))
    write_video(folder / "s2" / "deep" / "talk.MP4", range(20, 100, 10))
    return folder


def everything_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def build_small(source, data_dir, **settings):
    return build(source, data_dir, **{"size": SIZE, **settings})


def test_built_frames_can_be_read_in_order(source, tmp_path):
    assert build_small(source, tmp_path / "data") is True
    records, clips = open_frames(tmp_path / "data")
    assert clips == [Clip("s1/é", 0, 12, 30.0), Clip("s2/deep/talk.MP4", 12, 8, 50.0)]
    assert len(records) == 20
    batch = records.__getitems__([0, 11, 12, 19])
    assert [record["clip"].decode() for record in batch] == ["s1/é"] * 2 + ["s2/deep/talk.MP4"] * 2
    assert [record["frame"] for record in batch] == [0, 11, 0, 7]
    crops = [image_files.decode_jpeg(record["image"]) for record in batch]
    assert [crop.shape for crop in crops] == [(SIZE, SIZE, 3)] * 4
    levels = [crop[20:, 20:].mean() for crop in crops]
    np.testing.assert_allclose(levels, [40, 150, 20, 90], atol=4)
    assert "tensorflow" not in sys.modules


def test_crops_are_warped_by_one_transform(source, tmp_path):
    build_small(source, tmp_path / "data", quality=100)
    records, _ = open_frames(tmp_path / "data")
    matrix = landmarks.canonical_transform(stub_detector()(frame(0))[0], SIZE)
    expected = crop.warp(frame(90), matrix, SIZE)
    stored = image_files.decode_jpeg(records[5]["image"])
    assert np.abs(stored.astype(int) - expected).max() < 8


def test_description(source, tmp_path):
    build_small(source, tmp_path / "data")
    built = describe(tmp_path / "data")
    assert (built["clips"], built["frames"]) == (2, 20)
    folder = tmp_path / "data" / "frames" / "1.0.0"
    assert built["folder"] == folder
    assert built["bytes"] == sum(path.stat().st_size for path in folder.glob("*array_record*"))
    assert built["skipped"] == built["dropped"] == []
    assert built["recipe"]["size"] == SIZE
    assert describe(tmp_path) is None


def test_only_the_set_is_written(source, tmp_path, monkeypatch):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = everything_below(source)
    build_small(source, tmp_path / "data")
    assert everything_below(source) == before
    assert everything_below(scratch) == []
    assert {path.name for path in (tmp_path / "data" / "frames" / "1.0.0").iterdir()} == FILES | {
        "frames-train.array_record-00000-of-00001"
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "source", "tmp"]


def test_many_shards_read_as_one(source, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "SMALLEST", 5)
    write_video(source / "s1b.mp4", [50] * 6, marked=False)  # a shard of skipped clips only
    build_small(source, tmp_path / "data")
    assert len(list((tmp_path / "data").rglob("*array_record*"))) == 3
    records, clips = open_frames(tmp_path / "data")
    assert [clip.first for clip in clips] == [0, 12]
    assert [records[i]["frame"] for i in range(20)] == [*range(12), *range(8)]


def test_group():
    assert group([3, 3, 3, 3], 6) == [range(0, 2), range(2, 4)]
    assert group([10, 1, 1], 6) == [range(0, 1), range(1, 3)]
    assert group([0], 6) == [range(0, 1)]


def test_useless_clips_are_skipped_with_their_reason(source, tmp_path):
    write_video(source / "blank.mp4", [50] * 5, marked=False)
    (source / "broken.mp4").write_bytes(b"no video")
    (source / "bad").mkdir()
    (source / "bad" / "1.png").write_bytes(b"no image")
    build_small(source, tmp_path / "data")
    assert describe(tmp_path / "data")["skipped"] == [
        {"clip": "bad", "reason": "1.png: not a whole image"},
        {"clip": "blank.mp4", "reason": "no face"},
        {"clip": "broken.mp4", "reason": "no frame can be decoded"},
    ]
    assert len(open_frames(tmp_path / "data")[1]) == 2


def test_a_bad_frame_cuts_its_clip(source, tmp_path):
    (source / "s1" / "é" / "img4.png").write_bytes(b"no image")
    for number in (9, 10):
        small = np.zeros((10, 10, 3), np.uint8)
        cv2.imwrite(str(source / "s1" / "é" / f"img{number}.png"), small)
    build_small(source, tmp_path / "data")
    records, clips = open_frames(tmp_path / "data")
    assert clips[:3] == [
        Clip("s1/é", 0, 3, 30.0),
        Clip("s1/é#2", 3, 4, 30.0),
        Clip("s1/é#3", 7, 2, 30.0),
    ]
    assert [records[i]["frame"] for i in range(9)] == [0, 1, 2, 4, 5, 6, 7, 10, 11]
    assert records[3]["clip"].decode() == "s1/é#2"
    assert describe(tmp_path / "data")["dropped"] == [
        {"clip": "s1/é", "reason": "img4.png: not a whole image", "frames": 1},
        {"clip": "s1/é", "reason": "frame 8 is 10x10, the first one 64x48", "frames": 2},
    ]


def test_a_gap_in_the_numbers_ends_a_run(source, tmp_path):
    folder = source / "s1" / "é"
    for number in (4, 5, 6, 9):
        (folder / f"img{number}.png").unlink()
    build_small(source, tmp_path / "data", fps=200.0)
    records, clips = open_frames(tmp_path / "data")
    assert clips[:3] == [
        Clip("s1/é", 0, 3, 200.0),
        Clip("s1/é#2", 3, 2, 200.0),
        Clip("s1/é#3", 5, 3, 200.0),
    ]
    assert [records[i]["frame"] for i in range(8)] == [*range(8)]
    times = np.concatenate([clip.seconds for clip in clips[:3]])
    np.testing.assert_allclose(times, (np.array([1, 2, 3, 7, 8, 10, 11, 12]) - 1) / 200, atol=1e-6)
    assert describe(tmp_path / "data")["dropped"] == [
        {"clip": "s1/é", "reason": "frame 4 is missing", "frames": 3},
        {"clip": "s1/é", "reason": "frame 9 is missing", "frames": 1},
    ]


def test_numbers_that_count_in_steps_have_no_gaps(tmp_path):
    folder = tmp_path / "source" / "a"
    folder.mkdir(parents=True)
    for number in (0, 33, 67, 100, 133, 167, 200, 233, 333, 367):  # milliseconds
        cv2.imwrite(str(folder / f"{number:04}.png"), frame(50))
    build_small(tmp_path / "source", tmp_path / "data")
    clips = open_frames(tmp_path / "data")[1]
    assert [clip.count for clip in clips] == [8, 2]
    times = np.concatenate([clip.seconds for clip in clips])
    np.testing.assert_allclose(times, np.array([*range(8), 10, 11]) / 30, atol=0.005)


def test_films_keep_the_times_of_their_frames(tmp_path):
    times = np.concatenate([np.arange(25) / 25, 1 + np.arange(8) / 8])
    frames = [frame(20 + number) for number in range(33)]
    films.write_video(tmp_path / "source" / "vfr.mp4", frames, seconds=times)
    build_small(tmp_path / "source", tmp_path / "data", crop="whole")
    (clip,) = open_frames(tmp_path / "data")[1]
    np.testing.assert_allclose(clip.seconds, times, atol=1e-6)
    pairs = Pairs([clip], DELTA_SECONDS)
    t, distance = pairs.draw(np.arange(len(pairs)), np.zeros(len(pairs)))
    apart = clip.seconds[t + distance] - clip.seconds[t]
    assert set(np.rint(1000 * apart[t < 15])) == {200}
    assert set(np.rint(1000 * apart[t >= 25])) == {250}


def test_a_rate_that_is_assumed_is_counted(source, tmp_path):
    build_small(source, tmp_path / "data")
    assert describe(tmp_path / "data")["assumed"] == 1
    build_small(source, tmp_path / "other", fps=30.0)
    assert describe(tmp_path / "other")["assumed"] == 0
    with pytest.raises(UserError, match="was built with fps_of images"):
        build_small(source, tmp_path / "data", fps=30.0)


def test_times_in_the_names_of_images_are_kept(tmp_path):
    folder = tmp_path / "source" / "a"
    folder.mkdir(parents=True)
    times = (1.966, 2.006, 2.046, 2.086, 2.286, 2.326)
    for time in times:
        cv2.imwrite(str(folder / f"{time:.3f}.png"), frame(50))
    build_small(tmp_path / "source", tmp_path / "data")
    (clip,) = open_frames(tmp_path / "data")[1]
    np.testing.assert_allclose(clip.seconds, np.array(times) - times[0], atol=1e-6)
    assert describe(tmp_path / "data")["assumed"] == 0


def test_clips_in_which_nothing_changes_are_told(source, tmp_path):
    write_folder(source / "still", [70] * 5)
    build_small(source, tmp_path / "data")
    assert describe(tmp_path / "data")["identical"] == [
        {"clip": "still", "reason": "all 5 frames are the same picture, bit for bit"}
    ]


def test_a_set_of_the_last_version_is_read_as_equally_spaced(source, tmp_path):
    build_small(source, tmp_path / "data")
    folder = tmp_path / "data" / "frames" / "1.0.0"
    (folder / "seconds.npy").unlink()
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["recipe"]["index_version"], metadata["recipe"]["fps_of"], metadata["identical"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    clips = open_frames(tmp_path / "data")[1]
    np.testing.assert_allclose(clips[1].times(), np.arange(8) / 50)
    assert build_small(source, tmp_path / "data") is False


def test_times_of_another_set_are_refused(source, tmp_path):
    build_small(source, tmp_path / "data")
    path = tmp_path / "data" / "frames" / "1.0.0" / "seconds.npy"
    np.save(path, np.zeros(3))
    with pytest.raises(UserError, match="holds 3 times of 20 frames"):
        open_frames(tmp_path / "data")
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"seconds.npy: cannot be read .*build the set again"):
        open_frames(tmp_path / "data")


def test_a_given_rate_is_that_of_all_clips(source, tmp_path):
    build_small(source, tmp_path / "data", fps=200.0)
    clips = open_frames(tmp_path / "data")[1]
    assert [clip.fps for clip in clips] == [200.0, 200.0]
    np.testing.assert_allclose(clips[1].seconds, np.arange(8) / 200, atol=1e-6)


def test_the_same_again_is_left_alone(source, tmp_path):
    build_small(source, tmp_path / "data")
    (records,) = (tmp_path / "data").rglob("*array_record*")
    before = records.stat()
    source.rename(tmp_path / "moved")
    assert build_small(tmp_path / "moved", tmp_path / "data") is False
    assert records.stat().st_mtime_ns == before.st_mtime_ns


def test_another_recipe_or_source_is_refused(source, tmp_path):
    build_small(source, tmp_path / "data")
    with pytest.raises(
        UserError, match=r"was built with size 32; remove .*1\.0\.0 to build it again"
    ):
        build_small(source, tmp_path / "data", size=48)
    write_folder(tmp_path / "other", [50] * 3)
    with pytest.raises(UserError, match=r"another source; remove .* or name another data_dir"):
        build_small(tmp_path / "other", tmp_path / "data")
    write_folder(source / "s3", [50] * 3)
    with pytest.raises(UserError, match="its files have changed since"):
        build_small(source, tmp_path / "data")


def test_a_set_of_another_version_is_refused(source, tmp_path):
    build_small(source, tmp_path / "data")
    path = tmp_path / "data" / "frames" / "1.0.0" / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["recipe"]["crop"]
    path.write_text(json.dumps(metadata))
    with pytest.raises(UserError, match="by another version of this program; remove"):
        build_small(source, tmp_path / "data")


def test_crops_of_an_earlier_version_are_read_and_never_mixed(source, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "frames" / "1.0.0"
    with monkeypatch.context() as patch:
        patch.setitem(crop.VERSIONS, "whole", 1)
        build_small(source, tmp_path / "data", crop="whole")
    assert build_small(source, tmp_path / "data", crop="whole") is False
    assert len(open_frames(tmp_path / "data")[1]) == 2
    metadata = json.loads((folder / "metadata.json").read_text())
    (folder / ".build").mkdir()
    (folder / ".build" / "plan.json").write_text(json.dumps(metadata | {"lengths": [12, 8]}))
    (folder / ".build" / "00000.json").write_text("{}")
    (folder / "dataset_info.json").unlink()
    with pytest.raises(UserError, match="begun by another version of this program; remove"):
        build_small(source, tmp_path / "data", crop="whole")


def test_a_foreign_folder_in_the_place_is_refused(source, tmp_path):
    folder = tmp_path / "data" / "frames" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no complete data set; remove"):
        build_small(source, tmp_path / "data")


def test_nothing_usable_leaves_nothing(tmp_path):
    write_video(tmp_path / "source" / "blank.mp4", [50] * 5, marked=False)
    with pytest.raises(UserError, match=r"none of the 1 clips can be used \(blank.mp4: no face\)"):
        build_small(tmp_path / "source", tmp_path / "deep" / "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_build_leaves_nothing(source, tmp_path, monkeypatch, error):
    monkeypatch.setattr(crop, "warp", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises(error):
        build_small(source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_full_disk_is_named_and_leaves_nothing(source, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("write() failed: No space left on device; writing x")

    monkeypatch.setattr(crop, "warp", fail)
    with pytest.raises(UserError, match=r".*no space left"):
        build_small(source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_two_builds_at_once_are_refused(source, tmp_path):
    with (
        sole_builder(tmp_path / "data" / "frames"),
        pytest.raises(UserError, match="another build is writing"),
    ):
        build_small(source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_data_dir_that_is_a_file_is_named(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r".*file"):
        build_small(source, tmp_path / "file")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"size": 0}, r"size=0: must lie in 16..4096"),
        ({"quality": 101}, r"quality=101: must lie in 1..100"),
        ({"fps": float("nan")}, r"fps=nan: must lie in 1..2000"),
    ],
)
def test_settings_out_of_range(source, tmp_path, setting, words):
    with pytest.raises(UserError, match=words):
        build_small(source, tmp_path / "data", **setting)


def test_a_missing_corpus_names_the_command(tmp_path):
    command = f"micron-jax data build frames --source FOLDER_OF_VIDEOS --data-dir {tmp_path}"
    with pytest.raises(UserError) as error:
        open_frames(tmp_path)
    assert str(error.value).endswith(command)


def test_the_index_is_plain_json(source, tmp_path):
    build_small(source, tmp_path / "data")
    stored = json.loads((tmp_path / "data" / "frames" / "1.0.0" / "metadata.json").read_text())
    assert stored["clips"][0] == {"name": "s1/é", "first": 0, "count": 12, "fps": 30.0}
