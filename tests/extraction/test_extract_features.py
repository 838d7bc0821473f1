import json

import cv2
import numpy as np
import pytest
import safetensors.numpy
from array_record.python import array_record_module
from helpers import drawn, tiny
from helpers.drawn_weights import draw_weights
from helpers.films import gradient, write_video

from micron_jax.data.views import normalize
from micron_jax.errors import UserError
from micron_jax.extraction import extract_features
from micron_jax.extraction import output as outputs
from micron_jax.faces import landmarks
from micron_jax.faces.crop import place_crop
from micron_jax.models.micron_bert import bound
from micron_jax.pretrained import MicronBert
from micron_jax.video.inputs import find_inputs

ALL = ("tokens", "cls", "pooled", "dma")


@pytest.fixture(scope="module")
def weights():
    """Random ones: the tests ask where the numbers come, not for their values."""
    return draw_weights(tiny.PAPER)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two clips of 11 and 7 frames, one file of them broken, and a photograph of another size."""
    root = tmp_path_factory.mktemp("source")
    for clip, count in (("a", 11), ("b", 7)):
        (root / clip).mkdir()
        for t in range(count):
            image = drawn.texture(t + 100 * count, (40, 40))
            cv2.imwrite(str(root / clip / f"img{t + 8}.png"), image)
    (root / "a" / "img12.png").write_bytes(b"")
    cv2.imwrite(str(root / "photo.png"), drawn.texture(7, (30, 50)))
    return root


@pytest.fixture(scope="module")
def clips(source):
    return find_inputs([source / "photo.png", source / "a", source / "b"], fps=50)


def extract(weights, clips, output, **settings):
    settings = {"what": ALL, "delta": 3, "crop": "whole", "batch": 8} | settings
    return extract_features.extract(weights, clips, output, **settings)


@pytest.fixture(scope="module")
def reference(weights, clips, tmp_path_factory):
    """The file of an extraction in one go."""
    path = tmp_path_factory.mktemp("whole") / "out.npz"
    about = extract(weights, clips, path)
    assert (about["rows"], about["fresh"]) == (18, 18)
    return path


def test_rows_equal_the_features_of_the_model(weights, clips, reference):
    with np.load(reference) as features:
        features = dict(features)
    assert list(features["clip_name"]) == [clip.name for clip in clips]
    assert list(features["clip"]) == [0] + 10 * [1] + 7 * [2]
    assert list(features["frame"]) == [0, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, *range(8, 15)]
    np.testing.assert_array_equal(features["clip_fps"], [np.nan, 50, 50])
    np.testing.assert_allclose(features["seconds"][[1, 5, 11]], [0, 5 / 50, 0])
    assert np.isnan(features["seconds"][0])

    model = MicronBert(weights)
    cuts = [place_crop(clip.frames(), "whole", 32, None) for clip in clips]
    crops = [cut(frame) for clip, cut in zip(clips, cuts, strict=True) for frame in clip.readable()]
    tokens = model.features(np.stack(crops))
    np.testing.assert_allclose(features["tokens"], tokens, atol=2e-5)
    np.testing.assert_allclose(features["pooled"], features["tokens"].mean(axis=1), atol=1e-6)
    encoded = bound(weights.config, weights.params).encode(normalize(np.stack(crops[:1])))
    np.testing.assert_allclose(features["cls"][0], encoded[0, 0], atol=2e-5)


def test_pairs_tell_how_far_apart_they_are_and_still_clips_are_told(weights, source, tmp_path):
    times = [0, 0.033, 0.067, 0.1, 0.3, 0.5]
    frames = [gradient(shift=20 * n) for n in range(6)]
    write_video(tmp_path / "vfr.mp4", frames, seconds=times)
    for n in range(4):
        (tmp_path / "still").mkdir(exist_ok=True)
        (tmp_path / "still" / f"{n}.png").write_bytes((source / "a" / "img8.png").read_bytes())
    clips = find_inputs([tmp_path / "still", tmp_path / "vfr.mp4"])
    about = extract(weights, clips, tmp_path / "out.npz", what=("dma",), delta=1, batch=4)
    np.testing.assert_allclose(about["pair_seconds"], [0.033, 0.2], atol=1e-5)
    reason = "all 4 frames are the same picture, bit for bit"
    assert about["identical"] == [{"clip": str(tmp_path / "still"), "reason": reason}]
    with np.load(tmp_path / "out.npz") as features:
        seconds = features["seconds"][features["clip"] == 1]
        assert np.isnan(features["seconds"][features["clip"] == 0]).all()
    np.testing.assert_allclose(seconds, times, atol=1e-5)


def test_pairs_stay_in_their_clip_and_span_no_gap(weights, reference):
    with np.load(reference) as features:
        rows, dma, tokens, cls = (features[name] for name in ("dma_rows", "dma", "tokens", "cls"))
        clip, frame = features["clip"][rows], features["frame"][rows]
    assert (clip[:, 0] == clip[:, 1]).all()
    assert (frame[:, 1] - frame[:, 0] == 3).all()
    # Of the frames 8-11 and 13-18: 8 and 13-15; of 8-14: 8-11.
    assert list(frame[:, 0]) == [8, 13, 14, 15, 8, 9, 10, 11]
    both = np.concatenate([cls[:, None], tokens], axis=1)
    earlier, later = both[rows[:, 0]], both[rows[:, 1]]
    expected = bound(tiny.PAPER, weights.params).attend(earlier, later)
    np.testing.assert_allclose(dma, expected, atol=2e-5)


def test_pairs_by_time(weights, source, tmp_path, monkeypatch):
    """At 50/s and at an uneven rate alike; a clip without times, or too slow, gives none."""
    times = [0, 0.04, 0.08, 0.12, 0.22, 0.32, 0.42, 1.42, 1.46, 1.5]  # 25/s, 10/s, a hole
    frames = [gradient(shift=20 * n) for n in range(10)]
    write_video(tmp_path / "vfr.mp4", frames, seconds=times)
    write_video(tmp_path / "slow.mp4", frames[:4], fps=4)
    timed = find_inputs([source / "a"], fps=50)
    clips = timed + find_inputs([source / "b", tmp_path / "vfr.mp4", tmp_path / "slow.mp4"])
    settings = {"what": ("cls", "dma"), "delta_seconds": 0.1, "delta": 1, "batch": 4}
    about = extract(weights, clips, tmp_path / "out.npz", **settings)
    with np.load(tmp_path / "out.npz") as features:
        rows, dma, clip, seconds = (
            features[name] for name in ("dma_rows", "dma", "clip", "seconds")
        )
    pairs = {
        number: seconds[rows[clip[rows[:, 0]] == number]].round(3).tolist() for number in (0, 2)
    }
    # The frame at 0.08 s is broken: of its neighbors, the farther.
    assert pairs[0] == [
        [0, 0.1],
        [0.02, 0.12],
        [0.04, 0.14],
        [0.06, 0.16],
        [0.06, 0.18],
        [0.1, 0.2],
    ]
    assert pairs[2] == [[0, 0.12], [0.12, 0.22], [0.22, 0.32], [0.32, 0.42]]
    assert (clip[rows[:, 0]] == clip[rows[:, 1]]).all()
    assert set(clip[rows[:, 0]]) == {0, 2}
    np.testing.assert_allclose(about["pair_seconds"], [0.1, 0.12], atol=1e-5)
    assert about["pairless"] == [
        {"clip": str(source / "b"), "reason": "its frames have no times"},
        {
            "clip": str(tmp_path / "slow.mp4"),
            "reason": "no two of its frames are about 0.1 s apart",
        },
    ]
    monkeypatch.setattr(extract_features, "PART_BYTES", 1)  # a part a batch
    stopped(monkeypatch, 3, weights, clips, tmp_path / "again.npz", settings)
    extract(weights, clips, tmp_path / "again.npz", **settings)
    with np.load(tmp_path / "again.npz") as again:
        np.testing.assert_array_equal(again["dma_rows"], rows)
        np.testing.assert_allclose(again["dma"], dma, atol=1e-6)
        assert json.loads(str(again["about"])) == {
            k: about[k] for k in json.loads(str(again["about"]))
        }
    tokens = {"what": ("tokens", "cls"), "batch": 4}
    extract(weights, clips, tmp_path / "tokens.npz", **tokens)
    with np.load(tmp_path / "tokens.npz") as features:
        both = np.concatenate([features["cls"][:, None], features["tokens"]], axis=1)
    expected = bound(tiny.PAPER, weights.params).attend(both[rows[:, 0]], both[rows[:, 1]])
    np.testing.assert_allclose(dma, expected, atol=2e-5)


def stopped(monkeypatch, parts, weights, clips, output, settings):
    """Extracts until so many parts are written."""
    add, written = outputs.Output.add, []

    def stopping(self, *chunk):
        if len(written) == parts:
            raise KeyboardInterrupt
        written.append(add(self, *chunk))

    with monkeypatch.context() as patch:
        patch.setattr(outputs.Output, "add", stopping)
        with pytest.raises(KeyboardInterrupt):
            extract(weights, clips, output, **settings)


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_stopped_extraction_continues_to_the_same_file(
    weights, clips, reference, tmp_path, monkeypatch, stop_at
):
    monkeypatch.setattr(extract_features, "PART_BYTES", 1)  # a part a batch
    add, batches = outputs.Output.add, []

    def stopping(self, *chunk):
        if len(batches) == stop_at - 1:
            raise KeyboardInterrupt
        batches.append(add(self, *chunk))

    output = tmp_path / "deep" / "out.npz"
    with monkeypatch.context() as patch:
        patch.setattr(outputs.Output, "add", stopping)
        with pytest.raises(KeyboardInterrupt):
            extract(weights, clips, output)
    assert not output.exists()
    assert output.with_name("out.npz.partial").is_dir() == (stop_at > 1)
    with monkeypatch.context() as patch:
        if stop_at > 1:
            with pytest.raises(UserError, match=r"other settings \(delta\)"):
                extract(weights, clips, output, delta=2)
    about = extract(weights, clips, output)
    assert about["fresh"] == 18 - 8 * (stop_at - 1)
    assert [entry["frame"] for entry in about["dropped"]] == [12]
    assert [path.name for path in output.parent.iterdir()] == ["out.npz"]
    with np.load(reference) as one, np.load(output) as other:
        assert one.files == other.files
        assert json.loads(str(one["about"])) == json.loads(str(other["about"]))
        assert list(one["clip_name"]) == list(other["clip_name"])
        for name in ("clip_fps", "clip", "frame", "seconds", "dma_rows", *ALL):
            np.testing.assert_allclose(one[name], other[name], atol=1e-6)
    assert extract(weights, clips, output)["fresh"] == 0
    with pytest.raises(UserError, match=r"other settings \(what, delta\)"):
        extract(weights, clips, output, what=("cls",))


def test_array_records_hold_the_same(weights, clips, reference, tmp_path, monkeypatch):
    monkeypatch.setattr(extract_features, "PART_BYTES", 1)
    output = tmp_path / "out.array_record"
    about = extract(weights, clips, output)
    assert json.loads((output / "index.json").read_text())["rows"] == about["rows"] == 18
    shards = sorted(output.glob("*.array_record"))
    assert len(shards) == 3
    assert len(list(output.iterdir())) == 4
    records = []
    for shard in shards:
        reader = array_record_module.ArrayRecordReader(str(shard))
        records += [safetensors.numpy.load(record) for record in reader.read_all()]
    with np.load(reference) as features:
        for name in ("tokens", "cls", "pooled", "clip", "frame"):
            np.testing.assert_allclose([r[name] for r in records], features[name], atol=1e-6)
        pairs = [record for record in records if "dma" in record]
        np.testing.assert_allclose([r["dma"] for r in pairs], features["dma"], atol=1e-6)
        np.testing.assert_array_equal([r["dma_rows"] for r in pairs], features["dma_rows"])
    assert extract(weights, clips, output)["fresh"] == 0


def test_bfloat16_is_close_to_float32(weights, clips, reference, tmp_path):
    extract(weights, clips, tmp_path / "out.npz", what=("pooled",), dtype="bfloat16")
    with np.load(reference) as one, np.load(tmp_path / "out.npz") as other:
        assert other["pooled"].dtype == np.float32
        assert 0 < np.abs(one["pooled"] - other["pooled"]).max() < 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(what=("cls", "nose")), "what=cls,nose"),
        (dict(delta=0), "delta=0"),
        (dict(delta_seconds=0), "delta_seconds=0"),
        (dict(delta_seconds=60), "delta_seconds=60"),
        (dict(batch=0), "batch=0"),
        (dict(crop="ears"), "crop='ears'"),
        (dict(output="out.zip"), "name a file"),
        (dict(output="other.npz"), "holds no features"),
        (dict(crop="face"), "none of the 3 inputs can be used .*no face.*crop=whole"),
    ],
)
def test_bad_settings(weights, clips, tmp_path, monkeypatch, settings, message):
    monkeypatch.setattr(landmarks, "all_faces_detector", drawn.all_faces_detector)
    (tmp_path / "other.npz").write_bytes(b"what is mine")
    with pytest.raises(UserError, match=message):
        extract(weights, clips, tmp_path / settings.pop("output", "out.npz"), **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["other.npz"]
