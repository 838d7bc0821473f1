"""The weights that come with the package do what they are there for."""

import cv2
import jax
import numpy as np
import pytest
from helpers import portrait

import micron_jax
from micron_jax import functions
from micron_jax.benchmarks.learn_scores import auc
from micron_jax.checkpoints import load
from micron_jax.checkpoints.classifier import Classifier, Pairs
from micron_jax.errors import UserError
from micron_jax.models.classifier import ClassifierConfig
from micron_jax.pretrained import MicronBert


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


def camera(image, rng):
    """What a camera sees: noise of the sensor, and JPEG."""
    noisy = np.clip(image + rng.normal(0, 2.0, image.shape), 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], 1)


def test_what_moves_less_than_the_noise_floor_has_no_class():
    """Two noisy pictures of a still face have none; a brow that rises by 2 px has one."""
    face = cv2.resize(portrait.portrait(1), (224, 224), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:224, :224].astype(np.float32)
    up = 2 * np.exp(-(((x - 88) / 22) ** 2) - ((y - 84) / 12) ** 2)
    raised = cv2.remap(face, x, y + up, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    rng = np.random.default_rng(0)
    onset = np.stack([camera(face, rng) for _ in range(3)])
    apex = np.stack([camera(face, rng), camera(raised, rng), onset[2]])
    weights = load.read("micron-tiny")
    head = {"classes": {"kernel": np.zeros((6, 2), "f4"), "bias": np.zeros(2, "f4")}}
    params = {"head": head, "mean": np.zeros(6, "f4"), "deviation": np.ones(6, "f4")}
    config, pairs = ClassifierConfig(features="motion"), Pairs(224, "face", False)
    model = MicronBert(weights, Classifier(config, ("calm", "not calm"), pairs, params, {}))
    probabilities = np.asarray(model.classify(onset, apex))
    given = ~np.isnan(probabilities).all(axis=1)
    assert given.tolist() == [False, True, False]
    np.testing.assert_allclose(probabilities[given], 0.5)
    still = functions.nothing_moved(model.config, model.params, onset, apex, faces=True)
    assert np.asarray(still).tolist() == (~given).tolist()


def test_another_name_is_no_checkpoint():
    with pytest.raises(UserError, match="expected micron-tiny, a run's workdir"):
        micron_jax.load("micron-huge")
