import jax.numpy as jnp
import numpy as np
import pytest

from micron_jax.models.classifier import motion_features
from micron_jax.models.motion import LEAST, MOVED, UNSURE, Motion

RNG = np.random.default_rng(0)


def motion(displacement, scale):
    displacement = jnp.asarray(displacement, jnp.float32)
    scale = jnp.broadcast_to(jnp.asarray(scale, jnp.float32), displacement.shape[:-1])
    return Motion(displacement, scale, jnp.zeros_like(displacement), displacement)


def test_nothing_below_the_noise_floor_is_told():
    displacement = np.zeros((1, 2, 2, 2))
    displacement[0, :, :, 0] = [[0.05, 0.3], [0.3, 0.0]]
    one = motion(displacement, [[[0.001, 0.1], [0.2, 0.2]]])
    np.testing.assert_allclose(one.floor, [[[LEAST, 0.2], [0.4, 0.4]]])
    np.testing.assert_allclose(one.above_floor, [[[0, 0.3], [0, 0]]], atol=1e-6)


@pytest.mark.parametrize("length", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("scale", [0.02, 0.1, 0.5])
def test_the_probability_of_a_move_is_that_of_the_errors_distribution(length, scale):
    radius, way = RNG.gamma(2, scale, 200_000), RNG.uniform(0, 2 * np.pi, 200_000)
    truth = np.hypot(length + radius * np.cos(way), radius * np.sin(way))
    moved = motion([[[[0, length]]]], scale).moved
    assert moved.shape == (1, 1, 1)
    assert float(moved[0, 0, 0]) == pytest.approx((truth > MOVED).mean(), abs=0.05)


def test_a_head_that_moves_too_much_leaves_one_unsure():
    scale = np.full((2, 4, 4), 0.05)
    scale[1, 1:] = UNSURE
    assert motion(np.zeros((2, 4, 4, 2)), scale).unsure.tolist() == [False, True]


def test_features_tell_strain():
    y, x = np.mgrid[:5, :6].astype(np.float32)
    field = np.stack([0.2 * x + 0.1 * y, -0.3 * y + 0.5], axis=-1)[None]
    features = np.asarray(motion_features(field))
    assert features.shape == (1, 5, 6, 6)
    np.testing.assert_allclose(features[..., :2], field)
    np.testing.assert_allclose(features[..., 2], np.hypot(field[..., 0], field[..., 1]), rtol=1e-5)
    np.testing.assert_allclose(features[0, 2, 3, 3:], (0.2, -0.3, 0.05), atol=1e-6)


def test_what_is_lit_is_the_displacement_above_the_floor():
    displacement = RNG.normal(0, 0.3, (2, 3, 4, 2))
    one = motion(displacement, 0.1)
    above = np.asarray(one.length) > 0.2
    assert 0 < above.sum() < above.size
    np.testing.assert_array_equal(one.lit, np.where(above[..., None], one.displacement, 0))
    np.testing.assert_allclose(np.linalg.norm(one.lit, axis=-1), one.above_floor, atol=1e-6)
