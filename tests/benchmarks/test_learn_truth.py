import json

import cv2
import numpy as np
import pytest

from micron_jax.benchmarks.learn_levels import nearest
from micron_jax.benchmarks.learn_truth import load, read_pair
from micron_jax.errors import UserError

CLIPS = (
    ("sub01/EP01_01", "01", "test", 0.6, "gaussian"),
    ("sub01/EP01_02", "01", "test", 0, "none"),
    ("sub02/EP01_01", "02", "train", 2.9, "tail"),
    ("sub03/EP01_01", "03", "test", 1, "tail"),
)


def write_set(folder, faces=("a.png", "b.png", "c.png")):
    index = {
        "people": [{"subject": f"0{n}", "face": face} for n, face in enumerate(faces, 1)],
        "clips": [
            dict(clip=clip, subject=subject, split=split, amplitude=amplitude, family=family)
            | {"onset": 3, "apex": 7}
            for clip, subject, split, amplitude, family in CLIPS
        ],
    }
    for clip, *_ in CLIPS:
        lowest, highest, distraction = (np.zeros((28, 28, *d), np.float32) for d in ((), (), (2,)))
        lowest[0, 0], highest[0, :2] = 0.3, 0.4
        distraction[5, 5] = (0.08, -0.08)
        path = folder / "truth" / f"{clip}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        displacement = np.zeros((28, 28, 2), np.float32)
        displacement[0, 0] = (0.3, 0.1)
        head = np.array([[1, 0, 0.6], [0, 1, -0.8]])  # a shift by 1 px
        np.savez(
            path,
            lowest=lowest,
            highest=highest,
            distraction=distraction,
            head=head,
            displacement=displacement,
        )
        frames = folder / "CASME2-RAW" / clip
        frames.mkdir(parents=True)
        for number in (3, 7):
            image = np.full((224, 224, 3), 10 * number, np.uint8)
            cv2.imwrite(str(frames / f"img{number}.jpg"), image)
    (folder / "truth.json").write_text(json.dumps(index))
    return folder


def test_two_sets(tmp_path):
    one = write_set(tmp_path / "one")
    two = write_set(tmp_path / "two", faces=("c.png", "b.png", "d.png"))
    truth = load([one, two], "test")
    assert len(truth) == 6
    assert truth.amplitude.tolist() == [0.5, 0, 1] * 2
    assert truth.person.tolist() == [0, 0, 1, 1, 1, 2]  # c.png is the third of one, first of two
    assert truth.seen.tolist() == [True, False, False] * 2
    assert truth.unseen.tolist() == [False, False, True] * 2
    assert truth.moved[0].sum() == 1
    assert truth.moved[0, 0, 0]
    assert (~truth.unmoved[0]).sum() == 2  # the second moved in part, and is neither
    assert truth.distracted[0].sum() == 1
    assert truth.displacement[0, 0, 0].tolist() == pytest.approx([0.3, 0.1])
    assert truth.head.tolist() == pytest.approx([1.0] * 6, abs=1e-3)
    assert set(truth.head_group) == {"0.5 to 2 px"}
    assert (truth.control == -1).all()
    assert truth.known.all()
    onset, apex = read_pair(truth, 3)
    assert (onset.mean(), apex.mean()) == (30, 70)


def test_shuffling_permutes_the_truth_and_leaves_the_clips(tmp_path):
    truth = load([write_set(tmp_path / "set")], "test")
    dealt = truth.shuffled(np.random.default_rng(2))
    assert sorted(dealt.amplitude) == sorted(truth.amplitude)
    assert dealt.amplitude.tolist() != truth.amplitude.tolist()
    assert dealt.frames == truth.frames
    assert (dealt.person == truth.person).all()


@pytest.mark.parametrize(
    ("amplitude", "group"),
    [(0, 0), (0.5, 0.5), (0.7, 0.5), (0.72, 1), (1.42, 2), (2.9, 3), (0.1, 0.25), (9, 5)],
)
def test_nearest_in_ratio(amplitude, group):
    assert nearest(amplitude) == group


def test_bad_sets_are_named(tmp_path):
    folder = write_set(tmp_path / "set")
    with pytest.raises(UserError, match="no clip of the split 'val'"):
        load([folder], "val")
    with pytest.raises(UserError, match=r"gone: cannot read truth.json .*data synth"):
        load([tmp_path / "gone"], "test")
    (folder / "truth" / "sub03" / "EP01_01.npz").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"EP01_01.npz: not the truth of a clip"):
        load([folder], "test")
    truth = load([folder], "train")
    (folder / "CASME2-RAW" / "sub02" / "EP01_01" / "img7.jpg").unlink()
    with pytest.raises(UserError, match="clip sub02/EP01_01"):
        read_pair(truth, 0)
    (folder / "truth.json").write_text("[]")
    with pytest.raises(UserError, match="no people or clips"):
        load([folder], "test")
