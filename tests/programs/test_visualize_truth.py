"""`visualize` on a clip whose motion is known."""

import csv

import cv2
import numpy as np
import pytest
from helpers import portrait
from helpers.drawn_weights import draw_weights
from scipy.stats import rankdata

from micron_jax import checkpoints
from micron_jax.cli import main
from micron_jax.faces.landmarks import CANONICAL
from micron_jax.models.config import ModelConfig
from micron_jax.synthetic import dataset, expressions, people

GRID = 14
SIZE = dict(width=64, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


def auc(values, moved):
    """The chance that a patch that moved has a higher value than one that did not."""
    ranks, count = rankdata(values)[moved.ravel()], moved.sum()
    return (ranks.sum() - count * (count + 1) / 2) / (count * (moved.size - count))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """(folder of 17 frames, where the apex is, which patches moved) of drawn brows that rise."""
    root = tmp_path_factory.mktemp("clip")
    cv2.imwrite(str(root / "drawn.png"), portrait.portrait()[..., ::-1])
    person = people.Person("drawn", "drawn.png", "drawn", portrait.LANDMARKS)
    with pytest.MonkeyPatch.context() as patch:
        for name, frames in (("LEAD", 4), ("RISE", 4), ("FALL", 4), ("TAIL", 4)):
            patch.setattr(expressions, name, (frames, frames))
        key = (0, 0, 5)
        task = dataset.ClipTask(key, "surprise", person, "train", (3.0,))
        entry = dataset.make_clip(task, root, root)
    with np.load(root / "truth" / "sub01" / "EP01_06.npz") as truth:
        length = cv2.resize(truth["magnitude"], (GRID, GRID), interpolation=cv2.INTER_AREA)
    return root / "CASME2-RAW" / "sub01" / "EP01_06", entry["apex"], length > 0.5


@pytest.mark.usefixtures("quickly")
def test_the_top_interval_contains_the_apex_and_the_map_the_motion(clip, tmp_path, monkeypatch):
    frames, apex, moved = clip
    monkeypatch.setattr(
        "micron_jax.faces.landmarks.all_faces_detector",
        lambda: lambda image: CANONICAL[None] * len(image) - 0.5,  # they are crops already
    )
    config = ModelConfig(img_size=112, patch_size=8, **SIZE)
    checkpoints.save(draw_weights(config, decoder=False), tmp_path / "chance")
    options = ["--checkpoint", str(tmp_path / "chance"), "--input", str(frames), "--fps", "30"]
    assert main(["visualize", *options, "--output", str(tmp_path / "looks")]) == 0
    with open(tmp_path / "looks" / "intervals.csv") as file:
        top = next(csv.DictReader(file))
    assert int(top["onset"]) <= apex <= int(top["offset"])
    assert top["part"] == "brows"
    with np.load(tmp_path / "looks" / "timeline.npz") as arrays:
        (now,) = np.flatnonzero(arrays["numbers"] == apex)
        values, flow = arrays["heat"][now], arrays["flow"][now]
    share = values[moved].sum() / values.sum()
    print(
        f"AUC of the map {auc(values, moved):.3f}, of optical flow {auc(flow, moved):.3f}; ", end=""
    )
    print(f"{share:.0%} of the map on the {moved.mean():.0%} of the patches that moved")
    assert auc(values, moved) > 0.85
    assert share > 0.5 > 3 * moved.mean()
