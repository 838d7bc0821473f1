"""The weights that come with the package do what they are there for."""

import cv2
import jax
import numpy as np
import pytest
from helpers import portrait

import micron_jax
from micron_jax.benchmarks.learn_scores import auc
from micron_jax.checkpoints import load
from micron_jax.errors import UserError


def test_weights_are_small_and_of_the_packaged_recipe():
    from micron_jax import config as configs
    from micron_jax.training import config

    assert list(load.packaged_weights()) == ["micron-tiny"]
    folder = load.packaged_weights()["micron-tiny"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4e6
    branch = load.read("micron-tiny").params["displacement"]
    assert sum(array.nbytes for array in jax.tree.leaves(branch)) < 3e6
    settings = configs.override(configs.load("pretrain_ours"), ["data.data_dir=x"])
    assert load.read("micron-tiny").config == config.parse(settings).model


def test_micron_tiny_shows_the_motion():
    """A brow rises by 1 px on a drawn face that nobody has seen, in other light."""
    face = cv2.resize(portrait.portrait(1), (224, 224), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:224, :224].astype(np.float32)
    up = np.exp(-(((x - 88) / 22) ** 2) - ((y - 84) / 12) ** 2)
    raised = cv2.remap(face, x, y + up, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(0).normal(0, 1.0, (2, 224, 224, 3))
    still, apex = (
        np.clip(gain * image + part, 0, 255).astype(np.uint8)
        for gain, image, part in ((1.0, face, noise[0]), (1.01, raised, noise[1]))
    )
    model = micron_jax.load("micron-tiny")
    assert model.map_kinds[0] == "motion"
    heat = np.asarray(model.motion_map(apex[None], still[None]))[0]
    moved = cv2.resize(up, (28, 28), interpolation=cv2.INTER_AREA)
    assert auc(heat[moved > 0.3], heat[moved < 0.02]) > 0.97
    assert heat[moved > 0.5].mean() > 0.4 > 0.1 > heat[moved < 0.02].mean()
    displacement = np.asarray(model.displacement(apex[None], still[None]))[0]
    across, down = displacement[moved > 0.7].mean(axis=0)
    assert down == pytest.approx(-np.mean(moved[moved > 0.7]), rel=0.4)
    assert abs(across) < 0.2


def test_another_name_is_no_checkpoint():
    with pytest.raises(UserError, match="expected micron-tiny, a run's workdir"):
        micron_jax.load("micron-huge")
