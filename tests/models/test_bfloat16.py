"""Operations in bfloat16: as near to float64 as the rounding of what goes in and comes out."""

import dataclasses
import functools
import math
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from helpers import tiny

from micron_jax.models import cpu
from micron_jax.models.attention import attention_weights
from micron_jax.models.dma import diagonal_logit, patch_scores
from micron_jax.models.layers import LAYER_NORM_EPS, dense, gelu, layer_norm
from micron_jax.models.micron_bert import bound
from micron_jax.training.state import init_params

HALF_STEP = 2**-8  # of bfloat16: the largest relative error of a rounding to it


@pytest.fixture(params=["cpu", "gpu"])
def platform(request):
    """The forms of this platform are traced within the test."""
    with cpu.compiled_for(request.param):
        yield request.param


def drawn(*shape, scale=1.0):
    values = np.random.default_rng(0).normal(0, scale, shape)
    return values.astype(ml_dtypes.bfloat16)


def check_rounding_alone(result, exact):
    """A result is at most one rounding, and float32's own, away from float64's."""
    assert result.dtype == jnp.bfloat16
    error = np.abs(np.float64(result) - exact)
    assert (error <= 1.01 * HALF_STEP * np.abs(exact) + 1e-6).all(), error.max()


PHI = np.vectorize(lambda x: 0.5 * math.erfc(-x * 0.5**0.5))


@pytest.mark.usefixtures("platform")
def test_gelu_and_its_gradient():
    x = np.linspace(-9, 9, 4001).astype(ml_dtypes.bfloat16)
    wide = np.float64(x)
    check_rounding_alone(jax.jit(lambda x: gelu(x))(x), wide * PHI(wide))
    slope = PHI(wide) + wide * np.exp(-(wide**2) / 2) / math.sqrt(2 * math.pi)
    incoming = drawn(4001)
    of_x = jax.jit(lambda x, g: jax.vjp(gelu, x)[1](g)[0])(x, incoming)
    check_rounding_alone(of_x, np.float64(incoming) * slope)


@pytest.mark.usefixtures("platform")
def test_gelu_in_float32_is_that_of_flax_with_its_gradient():
    x = jnp.linspace(-9, 9, 4001)
    values, slopes = zip(
        *(
            jax.vjp(function, x)
            for function in (gelu, functools.partial(nn.gelu, approximate=False))
        ),
        strict=True,
    )
    np.testing.assert_allclose(*values, atol=1e-6)
    np.testing.assert_allclose(*(slope(jnp.ones_like(x))[0] for slope in slopes), atol=1e-6)


def test_the_gradient_of_a_gelu_keeps_its_argument_alone():
    x = jnp.ones((4, 8), jnp.bfloat16)
    with cpu.compiled_for("gpu"):
        kept = jax.tree.leaves(jax.eval_shape(lambda x: jax.vjp(gelu, x)[1], x))
    assert [(leaf.shape, leaf.dtype) for leaf in kept] == [((4, 8), jnp.bfloat16)]


@pytest.mark.usefixtures("platform")
def test_layer_norm():
    x = drawn(3, 64, scale=4) + np.float32(30).astype(ml_dtypes.bfloat16)
    norm = layer_norm("norm", jnp.bfloat16)
    wide = np.float64(x)
    centered = wide - wide.mean(-1, keepdims=True)
    exact = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + LAYER_NORM_EPS)
    params = norm.init(jax.random.key(0), jnp.asarray(x))
    check_rounding_alone(norm.apply(params, jnp.asarray(x)), exact)


def test_softmax_and_diagonal_of_attention():
    q, k = drawn(2, 9, 32, scale=3), drawn(2, 9, 32)[:, ::-1]
    logits = np.einsum("bnd,bmd->bnm", np.float64(q), np.float64(k)) / 32**0.5
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    result = attention_weights(jnp.asarray(q), jnp.asarray(k), scale=32**-0.5)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, weights, rtol=1e-4)
    diagonal = np.diagonal(weights, axis1=1, axis2=2)
    result = diagonal_logit(jnp.asarray(q), jnp.asarray(k), scale=32**-0.5)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, np.log(diagonal / (1 - diagonal)), rtol=1e-4, atol=1e-4)


def test_cosines():
    tokens = drawn(2, 5, 32)
    wide = np.float64(tokens)
    unit = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
    scores = patch_scores(jnp.asarray(tokens))
    np.testing.assert_allclose(scores, (unit[:, 1:] * unit[:, :1]).sum(-1), atol=1e-6)
    config = dataclasses.replace(tiny.PAPER, dtype="bfloat16")
    network = bound(config, jax.jit(init_params, static_argnums=0)(config, jax.random.key(0)))
    map_ = network.motion_map(jnp.asarray(tokens), jnp.asarray(tokens[:, ::-1]), "cosine")
    np.testing.assert_allclose(map_, 1 - (unit * unit[:, ::-1]).sum(-1)[:, 1:], atol=1e-6)


@pytest.mark.usefixtures("platform")
def test_products_add_up_in_float32():
    x = drawn(4, 4096)
    layer = dense(8, "layer", jnp.bfloat16)
    params = jax.tree.map(jnp.asarray, layer.init(jax.random.key(0), jnp.asarray(x)))
    kernel = np.float64(params["params"]["kernel"].astype(jnp.bfloat16))
    exact = np.float64(x) @ kernel
    error = np.abs(np.float64(layer.apply(params, jnp.asarray(x))) - exact)
    assert (error <= 1.01 * HALF_STEP * np.abs(exact) + 1e-4).all()


def test_gradients_of_products_add_up_in_float32():
    x, kernel, incoming = drawn(300, 64), drawn(64, 48, scale=0.3), drawn(300, 48)
    numbers = (((1,), (0,)), ((), ()))

    def product(x, kernel):
        return cpu.dot_general(x, kernel, numbers)

    of_x, of_kernel = jax.jit(lambda *a: jax.vjp(product, *a[:2])[1](a[2]))(x, kernel, incoming)
    wide_x, wide_kernel, wide_incoming = map(np.float64, (x, kernel, incoming))
    check_rounding_alone(of_x, wide_incoming @ wide_kernel.T)
    exact = wide_x.T @ wide_incoming
    error = np.abs(np.float64(of_kernel) - exact)
    assert of_kernel.dtype == jnp.bfloat16
    assert (error <= 1.01 * HALF_STEP * np.abs(exact) + 1e-4).all()


def test_a_cpu_multiplies_bfloat16_into_float32_alone():
    """Only such products run on a CPU's own instructions for bfloat16."""
    config = dataclasses.replace(tiny.PAPER, dtype="bfloat16", attention="per_head")
    params = jax.eval_shape(lambda key: init_params(config, key), jax.random.key(0))
    frames = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)

    def loss(params, frames):
        return jnp.mean(jnp.square(bound(config, params)(frames, frames)))

    text = jax.jit(jax.grad(loss)).lower(params, frames).as_text()
    products = re.findall(r"dot_general.*: \((.*)\) -> (.*)", text)
    assert len(products) > 30
    for operands, result in products:
        if "bf16" in operands:
            assert operands.count("bf16") == 2
            assert "xf32" in result
