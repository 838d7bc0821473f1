import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.drawn import texture
from helpers.tiny import OURS

from micron_jax.data.views import normalize
from micron_jax.errors import UserError
from micron_jax.faces import landmarks
from micron_jax.models import displacement_numbers, head_motion, least_squares
from micron_jax.models.config import ModelConfig
from micron_jax.models.displacement import Displacement
from micron_jax.models.micron_bert import bound
from micron_jax.models.param_paths import match, path_of
from micron_jax.training.optimizer import UPDATE_RULES
from micron_jax.training.sharding import PARTITION_RULES
from micron_jax.training.state import init_params

RNG = np.random.default_rng(0)


def moved_pair(right: float, down: float, side=128):
    """(reference, the same skin moved by so many px), normalized, [1, side, side, 3]."""
    large = np.float32(texture(0, (side + 32, side + 32), grain=4.0))
    y, x = np.mgrid[16 : side + 16, 16 : side + 16] - np.array([down, right])[:, None, None]
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    y, x = (y - top)[..., None], (x - left)[..., None]
    above = large[top, left] * (1 - x) + large[top, left + 1] * x
    below = large[top + 1, left] * (1 - x) + large[top + 1, left + 1] * x
    frames = large[16 : side + 16, 16 : side + 16], above * (1 - y) + below * y
    return [normalize(frame[None]) for frame in frames]


def test_least_squares_find_the_motion_that_is_left():
    reference, image = map(least_squares.detail, moved_pair(0.6, -0.4))
    guess = np.zeros((1, 16, 16, 2), np.float32)
    for _ in range(3):
        products, change = least_squares.change_left(reference, image, guess)
        assert change.shape == reference.shape
        answers, facts = least_squares.fixed_answers(least_squares.patch_moments(products, 8))
        assert answers.shape == (1, 16, 16, 9, 2)
        assert facts.shape == (1, 16, 16, 18)
        guess = guess + answers[..., 3, :]
    inner = np.asarray(guess)[0, 2:-2, 2:-2]
    np.testing.assert_allclose(np.median(inner, axis=(0, 1)), (0.6, -0.4), atol=0.03)


@pytest.mark.parametrize("far", [(0.3, -0.2), (3.0, 1.5), (-6.0, 4.0)])
def test_the_first_guess_follows_long_ways(far):
    reference, image = map(least_squares.detail, moved_pair(*far))
    guess = np.asarray(least_squares.first_guess(reference, image, 8))
    assert guess.shape == (1, 16, 16, 2)
    inner = np.median(guess[0, 3:-3, 3:-3], axis=(0, 1))
    np.testing.assert_allclose(inner, far, atol=0.15)


def test_neighbors_lie_around():
    values = np.arange(30, dtype=np.float32).reshape(1, 5, 6, 1)
    near = np.asarray(least_squares.neighbors(values, 1, 2))[0, ..., 0].reshape(5, 6, 3, 3)
    np.testing.assert_array_equal(near[2, 3], values[0, ::2, 1::2, 0])
    assert near[0, 0, 0, 0] == near[4, 5, 2, 2] == 0


def test_the_head_is_fitted_to_what_counts():
    basis = displacement_numbers.motion_basis(28, 28)
    head = basis @ np.float32([[0.5, -0.3], [0.4, 0.1], [-0.2, 0.3], [0.8, -0.5]])
    weights = np.ones((1, 28, 28), np.float32)
    motion = head[None].copy()
    motion[0, 18:24, 6:12] += (2.0, -1.0)  # a corner of the mouth
    weights[0, 18:24, 6:12] = 1e-4
    fitted = np.asarray(head_motion.fit_head(motion, weights))
    np.testing.assert_allclose(fitted[0], head, atol=0.03)


def test_a_face_with_a_relief_of_its_own_turns_otherwise():
    relief = np.zeros((1, 28, 28), np.float32)
    relief[0, 8:12, 5:23] = 0.4  # a forehead that stands out
    basis = displacement_numbers.motion_basis(28, 28) + relief[0, ..., None] * [0, 0, 0, 1]
    head = basis @ np.float32([[0.2, 0.1], [0, 0.1], [0.2, 0], [1.0, 0.5]])
    motion, weights = head[None].astype(np.float32), np.ones((1, 28, 28), np.float32)
    known = np.asarray(head_motion.fit_head(motion, weights, relief))
    np.testing.assert_allclose(known[0], head, atol=0.02)
    mean = np.asarray(head_motion.fit_head(motion, weights))
    assert np.abs(mean[0] - head)[8:12, 5:23].max() > 0.2


def test_an_expression_does_not_pull_the_head_along():
    head = displacement_numbers.motion_basis(28, 28) @ np.float32(
        [[0.5, 0], [0, 0.1], [0.2, 0], [0, 0.3]]
    )
    motion = head[None].copy()
    motion[0, 16:24, 8:20] += (0.0, -2.0)
    fitted = np.asarray(head_motion.fit_head(motion, np.ones((1, 28, 28), np.float32)))
    assert np.abs(fitted[0] - head).max() < 0.1


def test_the_layout_of_a_face_is_that_of_the_crops():
    eyes, nose = landmarks.CANONICAL[:2], landmarks.CANONICAL[2]
    assert np.hypot(*(eyes[1] - eyes[0])) == pytest.approx(displacement_numbers.PUPILS, abs=1e-4)
    np.testing.assert_allclose(nose, displacement_numbers.NOSE, atol=1e-4)
    y, x = np.unravel_index(displacement_numbers.face_depth(28, 28).argmax(), (28, 28))
    assert abs(x - 28 * nose[0]) < 1 > abs(y - 28 * nose[1])


@pytest.fixture(scope="module")
def params():
    return jax.jit(init_params, static_argnums=0)(OURS, jax.random.key(0))


def test_an_untrained_branch_follows_least_squares():
    """A frame that moves as a whole by a pixel: that is motion, and the head's alone."""
    config = ModelConfig(displacement_width=16)
    reference, image = moved_pair(1.0, 0.5)
    network = Displacement(config)
    params = network.init(jax.random.key(0), image, reference)
    last = jax.tree.map(np.asarray, network.apply(params, image, reference))
    assert last.motion.shape == last.own.shape == last.displacement.shape == (1, 16, 16, 2)
    assert last.log_scale.shape == (1, 16, 16)
    np.testing.assert_allclose(
        np.median(last.motion[0, 3:-3, 3:-3], axis=(0, 1)), (1.0, 0.5), atol=0.1
    )
    assert np.hypot(*last.displacement[0, 3:-3, 3:-3].mean((0, 1))) < 0.1


def test_shapes_and_dtypes(params):
    frames = RNG.normal(size=(2, 2, 32, 64, 3)).astype(jnp.bfloat16)
    found = bound(OURS, params).displacement(*frames)
    assert found.displacement.shape == (2, 4, 8, 2)
    assert found.displacement.dtype == jnp.float32


def test_every_parameter_has_its_rules(params):
    paths = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for rules in (PARTITION_RULES, UPDATE_RULES):
        for path in paths:
            match(rules, path)


def test_a_width_that_is_no_multiple_of_8_is_refused():
    with pytest.raises(UserError, match=r"config\.model\.displacement_width"):
        dataclasses.replace(OURS, displacement_width=12)
