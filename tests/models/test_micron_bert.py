import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import PAPER, RELEASE

from micron_jax.errors import UserError
from micron_jax.models.config import SIZES, ModelConfig
from micron_jax.models.dma import patch_scores
from micron_jax.models.micron_bert import bound
from micron_jax.training.state import init_params


@pytest.fixture(scope="module")
def frames():
    return jax.random.normal(jax.random.key(1), (2, 2, 32, 32, 3))


@pytest.fixture(scope="module")
def paper_params():
    return jax.jit(functools.partial(init_params, PAPER))(jax.random.key(0))


def apply(config, params, method, *args):
    return jax.jit(lambda p, *args: getattr(bound(config, p), method)(*args))(params, *args)


def test_equations_of_the_paper(frames, paper_params):
    rep, ref = (apply(PAPER, paper_params, "encode", frame) for frame in frames)
    output = apply(PAPER, paper_params, "attend", rep, ref)

    def linear(name, x):
        return x @ paper_params["dma"][name]["kernel"] + paper_params["dma"][name]["bias"]

    # Eq. 8: Q of frame t+δ against K of the swapped frame, no scale; Eq. 9 with the scores S.
    rep_patches, ref_patches, ref_cls = rep[:, 1:], ref[:, 1:], ref[:, 0]
    logits = linear("to_q", ref_patches) @ linear("to_k", rep_patches).swapaxes(1, 2)
    diagonal = jnp.diagonal(jax.nn.softmax(logits, -1), axis1=1, axis2=2)
    cosine = jnp.einsum("bnd,bd->bn", ref_patches, ref_cls) / (
        jnp.linalg.norm(ref_patches, axis=-1) * jnp.linalg.norm(ref_cls, axis=-1)[:, None]
    )
    expected = linear("proj", (diagonal * cosine)[..., None] * linear("to_v", rep_patches))
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", [PAPER, RELEASE], ids=["one block", "blocks"])
@pytest.mark.parametrize("whole", [0, 1, 3])
def test_views_are_encoded_like_frames(config, whole):
    config = dataclasses.replace(config, depth=1 if config is PAPER else 2)
    params = jax.jit(functools.partial(init_params, config))(jax.random.key(0))
    views = jax.random.normal(jax.random.key(1), (2, 3, 32, 32, 3))

    def some(params):
        return bound(config, params).encode_views(views, whole)

    def all_of_them(params):
        tokens = bound(config, params).encode(views.reshape(6, 32, 32, 3))
        tokens = tokens.reshape(2, 3, *tokens.shape[1:])
        return tokens[:, :whole], tokens[:, :, 0]

    def slopes(of):
        return jax.grad(lambda params: sum(jnp.sum(jnp.sin(x)) for x in of(params)))(params)

    chex.assert_trees_all_close(*(jax.jit(f)(params) for f in (some, all_of_them)), atol=2e-6)
    own, expected = (jax.jit(functools.partial(slopes, f))() for f in (some, all_of_them))
    chex.assert_trees_all_close(own, expected, rtol=1e-4, atol=2e-5)
    assert np.abs(own["encoder"]["block_0"]["mlp"]["fc1"]["kernel"]).max() > 1e-3


def test_roles_and_scale_are_fields(frames, paper_params):
    rep, ref = (apply(PAPER, paper_params, "encode", frame) for frame in frames)
    here = apply(PAPER, paper_params, "diagonal", rep, ref)
    swapped = dataclasses.replace(PAPER, dma_query="rep", dma_key="ref")
    np.testing.assert_allclose(apply(swapped, paper_params, "diagonal", ref, rep), here, rtol=1e-5)
    scaled = dataclasses.replace(PAPER, dma_scaled=True)
    assert not np.allclose(apply(scaled, paper_params, "diagonal", rep, ref), here)


def test_tied_queries_and_keys_attend_to_the_same_patch(frames):
    config = dataclasses.replace(PAPER, dma_tied=True)
    params = jax.jit(functools.partial(init_params, config))(jax.random.key(0))
    assert set(params["dma"]) == {"to_q", "to_v", "proj"}
    tokens = apply(config, params, "encode", frames[0])
    attention = apply(config, params, "attention_map", tokens, tokens)
    np.testing.assert_array_equal(attention.argmax(-1), np.tile(np.arange(16), (2, 1)))


def test_diagonal_equals_that_of_the_attention_map(frames, paper_params):
    rep, ref = (apply(PAPER, paper_params, "encode", frame) for frame in frames)
    attention = apply(PAPER, paper_params, "attention_map", rep, ref)
    np.testing.assert_allclose(attention.sum(-1), 1, rtol=1e-5)
    diagonal = apply(PAPER, paper_params, "diagonal", rep, ref)
    np.testing.assert_allclose(jnp.diagonal(attention, axis1=1, axis2=2), diagonal, rtol=1e-5)


def motion_map(params, a, b, kind):
    return bound(PAPER, params).motion_map(a, b, kind)


def test_the_map_of_a_frame_against_itself(frames, paper_params):
    a, b = (apply(PAPER, paper_params, "encode", frame) for frame in frames)
    np.testing.assert_allclose(motion_map(paper_params, a, a, "symmetric"), 0, atol=1e-4)
    np.testing.assert_allclose(motion_map(paper_params, a, a, "cosine"), 0, atol=1e-5)
    symmetric = motion_map(paper_params, a, b, "symmetric")
    np.testing.assert_allclose(symmetric, motion_map(paper_params, b, a, "symmetric"), atol=1e-4)
    assert np.abs(symmetric).max() > 1e-2
    release = motion_map(paper_params, a, b, "release")
    # The maximum over itself: exactly 1 or one ulp beside it, as the processor divides.
    np.testing.assert_allclose(release.min(), 0, atol=2e-7)
    with pytest.raises(ValueError, match="choose one of symmetric"):
        motion_map(paper_params, a, b, "warm")


def test_scores_are_cosines_with_finite_gradients_at_zero():
    tokens = jnp.array([[[2.0, 0], [3, 0], [0, 2], [-1, 0], [0, 0]]])
    np.testing.assert_allclose(patch_scores(tokens), [[1, 0, -1, 0]], atol=1e-7)
    grads = jax.grad(lambda x: patch_scores(x).sum())(tokens)
    assert np.isfinite(grads).all()


def test_sizes_equal_those_of_the_release_and_of_vit():
    def encoder_size(size):
        shapes = jax.eval_shape(
            functools.partial(init_params, ModelConfig.of_size(size, patch_size=16)),
            jax.random.key(0),
        )
        return sum(leaf.size for leaf in jax.tree.leaves(shapes["encoder"]))

    # timm's vit_base_patch16_224 and vit_large_patch16_224 without their classifiers.
    assert encoder_size("base") == 85_798_656
    assert encoder_size("large") == 303_301_632
    assert set(SIZES) == {"tiny", "small", "base", "large"}
    small = ModelConfig.of_size("small", projection_dim=128)
    assert small == ModelConfig(projection_dim=128)


def test_bfloat16_computes_with_float32_parameters(frames, paper_params):
    config = dataclasses.replace(PAPER, dtype="bfloat16")
    params = jax.jit(functools.partial(init_params, config))(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    tokens = apply(config, paper_params, "encode", frames[0])
    assert tokens.dtype == jnp.bfloat16
    full = apply(PAPER, paper_params, "encode", frames[0])
    assert np.abs(tokens.astype(jnp.float32) - full).max() < 0.1


def test_other_image_sizes_get_other_positions(frames, paper_params):
    tokens = apply(PAPER, paper_params, "encode", frames[0][:, :16, :24])
    assert tokens.shape == (2, 1 + 2 * 3, 32)
    with pytest.raises(ValueError, match="multiples of the patch size 8"):
        apply(PAPER, paper_params, "encode", frames[0][:, :17])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attention": "flash"}, "model.attention='flash': choose one of auto"),
        ({"img_size": 100}, "model.patch_size=8: does not divide img_size=100"),
        ({"heads": 3}, "model.heads=3: does not divide width=512"),
        ({"poi": "cosine"}, "needs config.model.dma_diagonal=True"),
        ({"attention": "cudnn"}, "needs config.model.dtype='bfloat16'"),
        ({"patch_size": 0}, "model.patch_size=0: must be at least 1"),
        ({"width": 6, "heads": 2}, "model.width=6: no multiple of 4"),
    ],
)
def test_impossible_architectures_are_named(fields, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        ModelConfig(**fields)


def test_fixed_parameters_get_no_gradient(frames):
    params = jax.jit(functools.partial(init_params, RELEASE))(jax.random.key(0))

    def loss(params):
        network = bound(RELEASE, params)
        out, projected = network(*frames), network.project(frames[0])
        return jnp.square(out).mean() + jnp.square(projected - 1).mean()

    grads = jax.jit(jax.grad(loss))(params)
    for fixed in (grads["encoder"]["positions"], grads["decoder"]["positions"]):
        assert not fixed.any()
    assert not grads["head"]["gain"].any()
    assert grads["head"]["directions"].any()
