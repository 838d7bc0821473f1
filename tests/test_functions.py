"""The pure functions: they equal the methods of `MicronBert`, and Flax NNX takes what they take."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from helpers import tiny

from micron_jax import functions
from micron_jax.checkpoints.weights import Weights
from micron_jax.data.views import normalize
from micron_jax.models.micron_bert import MicronBertModule
from micron_jax.models.motion import LEAST, Motion
from micron_jax.pretrained import MicronBert
from micron_jax.training.state import init_params

PARAMS = jax.tree.map(np.asarray, init_params(tiny.PAPER, jax.random.key(0)))
FRAMES = np.random.default_rng(0).integers(0, 256, (2, 2, 32, 32, 3)).astype(np.uint8)


def test_they_are_the_methods_of_the_object():
    model = MicronBert(Weights(tiny.PAPER, PARAMS, {}, np.zeros((1, 0), "f4"), {}))

    @jax.jit
    def both(params):
        tokens = functions.features(model.config, params, FRAMES[0])
        return tokens, functions.motion_map(model.config, params, *FRAMES, kind="cosine")

    tokens, motion = both(model.params)
    np.testing.assert_allclose(tokens, model.features(FRAMES[0]), atol=1e-6)
    np.testing.assert_allclose(motion, model.motion_map(*FRAMES, kind="cosine"), atol=1e-6)
    assert functions.map_kinds(model.params) == model.map_kinds


def test_nnx_wraps_the_network_and_gives_the_same_gradient():
    images = normalize(FRAMES[0])

    def empty():
        wrapped = nnx.bridge.ToNNX(MicronBertModule(tiny.PAPER))
        return wrapped.lazy_init(images, images, rngs=jax.random.key(0))

    definition, state = nnx.split(nnx.eval_shape(empty))
    nnx.replace_by_pure_dict(state, PARAMS)
    wrapped = nnx.merge(definition, state)

    @nnx.jit
    def gradient(wrapped):
        return nnx.grad(lambda m: jnp.square(m.encode(images)[:, 1:]).mean())(wrapped)

    def loss(params):
        return jnp.square(functions.features(tiny.PAPER, params, FRAMES[0])).mean()

    got = nnx.to_pure_dict(gradient(wrapped))
    expected = jax.jit(jax.grad(loss))(PARAMS)
    for part in ("encoder", "decoder"):
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, atol=1e-6), got[part], expected[part]
        )


def test_nothing_moved_counts_what_is_above_the_noise_floor_in_the_face(monkeypatch):
    """A batch of four: motion of the face, less than its floor, of the wall, and equal frames."""
    displacement = np.zeros((4, 8, 8, 2), "f4")
    displacement[0, 3, 4] = displacement[1, 3, 4] = displacement[2, 0, 0] = (0.3, -0.4)
    displacement[3, 3, 4] = (2, 0)
    scale = np.full((4, 8, 8), 0.4 * LEAST, "f4")
    scale[1] = 0.26  # its floor is 0.52 px
    moved = Motion(displacement, scale, np.zeros_like(displacement), displacement)
    monkeypatch.setattr(functions, "motion", lambda *_: moved)
    onset = np.zeros((4, 64, 64, 3), np.uint8)
    apex = onset + np.array([1, 1, 1, 0], np.uint8)[:, None, None, None]
    branch = dataclasses.replace(tiny.PAPER, displacement_width=8)
    for faces, expected in ((True, [0, 1, 1, 1]), (False, [0, 1, 0, 1])):
        got = functions.nothing_moved(branch, {}, onset, apex, faces=faces)
        assert np.asarray(got).tolist() == expected
    plain = functions.nothing_moved(tiny.PAPER, {}, onset, apex, faces=True)
    assert np.asarray(plain).tolist() == [0, 0, 0, 1]
