import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.drawn import texture
from helpers.tiny import OURS

from micron_jax.data.views import normalize
from micron_jax.errors import UserError
from micron_jax.models import band
from micron_jax.models.band import BandMatch, cosine_basis, offsets, windows
from micron_jax.models.config import ModelConfig
from micron_jax.models.micron_bert import bound
from micron_jax.models.motion import window_starts
from micron_jax.models.param_paths import match, path_of
from micron_jax.training.optimizer import UPDATE_RULES
from micron_jax.training.sharding import PARTITION_RULES
from micron_jax.training.state import init_params


@pytest.fixture(scope="module")
def params():
    return jax.jit(init_params, static_argnums=0)(OURS, jax.random.key(0))


def test_windows_are_pieces_of_the_frame():
    gray = np.random.default_rng(0).normal(size=(2, 24, 32)).astype(np.float32)
    shifts = np.array([(0, 0), (3, -2)])
    cut = np.asarray(windows(jnp.asarray(gray), shifts, patch_size=8, side=12))
    assert cut.shape == (2, 2, 12, 144)
    # Patch 5 is the second of the second row, from (8, 8): its window begins two pixels before.
    np.testing.assert_array_equal(cut[1, 0, 5].reshape(12, 12), gray[1, 6:18, 6:18])
    np.testing.assert_array_equal(cut[1, 1, 5].reshape(12, 12), gray[1, 9:21, 4:16])
    padded = np.pad(gray[0], 2, mode="edge")
    np.testing.assert_array_equal(cut[0, 0, 0].reshape(12, 12), padded[:12, :12])


def test_offsets_include_their_opposites():
    shifts = offsets((1, 4))
    assert shifts.shape == (17, 2)
    np.testing.assert_array_equal(shifts[0], (0, 0))
    np.testing.assert_array_equal(shifts[1:9], -shifts[9:])
    assert {tuple(s) for s in shifts[5:9]} == {(0, 4), (4, 0), (4, 4), (4, -4)}
    assert cosine_basis(12, 48).shape == (144, 48)


def test_the_band_reads_displacements(monkeypatch):
    """Skin moved by half a pixel to the right: -4 d / s at s = 1, whatever the light."""
    monkeypatch.setattr(band, "_SOFT", 1e-4)  # the drawing's texture is faint
    large = texture(0, (136, 136), grain=4.0).astype(np.float32)
    halves = (large[:, :-1] + large[:, 1:]) / 2
    image = halves[4:132, 4:132]  # shows x + 1/2
    reference = (halves[4:132, 4:132] + halves[4:132, 5:133]) / 2  # shows x + 1
    network = BandMatch(ModelConfig(band=(1,), band_heads=1))
    pair = [normalize(x[None]) for x in (image + 9.0, reference)]
    features, agreed = network.apply(network.init(jax.random.key(0), *pair), *pair)
    assert features.shape == (1, 16, 16, 3 * 4 + 4 + 1 + 3 * 8)
    inner = np.asarray(features)[0, 2:-2, 2:-2]
    right, down = np.median(inner[..., 0]), np.median(inner[..., 1])
    assert -2.6 < right < -1.4
    assert abs(down) < 0.4
    solved = np.median(inner[..., -24:].reshape(-1, 3, 8), axis=0)  # by spread
    assert np.all((solved[:, 0] > 0.35) & (solved[:, 0] < 0.6))
    assert np.abs(solved[:, 1]).max() < 0.1
    assert np.abs(np.asarray(agreed)[0, 2:-2, 2:-2]).mean() < 0.05
    assert np.abs(solved[:, 2:4]).max() < 0.05  # the whole frame went: that is the head's


def test_subtract_affine_leaves_the_outliers():
    y, x = np.mgrid[:14, :14] / 13.0
    head = np.stack([0.5 + 0.3 * x - 0.2 * y, -0.2 + 0.1 * x], -1)
    vectors = head.copy()
    vectors[5:9, 5:9] += (1.0, -0.5)
    rest = np.asarray(band.subtract_affine(jnp.asarray(vectors[None])))[0]
    np.testing.assert_allclose(rest, vectors - head, atol=0.02)


def test_pooling_keeps_constants():
    maps = jnp.full((1, 6, 9, 2), 3.0)
    assert band.pool(maps, 0) is maps
    np.testing.assert_allclose(band.pool(maps, 2), maps, rtol=1e-6)


def test_initial_motion_is_that_of_the_band(params):
    frames = jax.random.normal(jax.random.key(1), (2, 3, 32, 48, 3))
    logit, displacement = bound(OURS, params).motion(*frames)
    assert logit.shape == (3, 24)
    assert displacement.shape == (3, 24, 2)
    assert not np.any(logit)
    own = {"params": params["motion"]["band"]}
    agreed = BandMatch(OURS).apply(own, *frames)[1]
    np.testing.assert_allclose(displacement, agreed.reshape(3, 24, 2), atol=1e-5)


def test_larger_frames_are_combined_from_windows(params):
    """A window's middle hears of nothing beyond it; where windows agree, so does the whole."""
    assert window_starts(4, 14) == [0]
    assert window_starts(28, 14) == [0, 7, 14]
    assert window_starts(9, 4) == [0, 2, 4, 5]
    config = dataclasses.replace(OURS, motion_window=4)
    rng = np.random.default_rng(0)
    random_params = jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(x.dtype), params)
    frames = jax.random.normal(jax.random.key(1), (2, 1, 48, 32, 3))
    network = bound(config, random_params)
    combined = network.motion(*frames)[0].reshape(6, 4)
    parts = [network.motion(*frames[:, :, y : y + 32])[0].reshape(4, 4) for y in (0, 16)]
    weight = np.hanning(6)[1:-1] + 0.02
    for row in range(6):
        shares = [weight[row - y] if 0 <= row - y < 4 else 0.0 for y in (0, 2)]
        rows = [part[min(max(row - y, 0), 3)] for part, y in zip(parts, (0, 2), strict=True)]
        expected = sum(s * r for s, r in zip(shares, rows, strict=True)) / sum(shares)
        np.testing.assert_allclose(combined[row], expected, rtol=1e-4, atol=1e-5)


def test_every_parameter_has_its_rules(params):
    for path, _ in jax.tree_util.tree_leaves_with_path(params["motion"]):
        for rules in (UPDATE_RULES, PARTITION_RULES):
            match(rules, "motion/" + path_of(path))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(band=(0,)), "model.band=.0,.: each must be at least 1"),
        (dict(band=(1,), band_window=11), "an even number more"),
        (dict(band=(1,), band_heads=5), "does not divide band_width"),
    ],
)
def test_bad_bands_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        ModelConfig(**fields)
