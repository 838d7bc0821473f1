"""The TPU's kernels, interpreted, against plain attention: values and gradients."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import tiny
from jax.experimental.pallas import tpu as pltpu

from micron_jax.models import cpu, tpu
from micron_jax.models.attention import self_attend
from micron_jax.models.dma import diagonal_logit
from micron_jax.models.micron_bert import bound
from micron_jax.training.sharding import MeshConfig, make_mesh
from micron_jax.training.state import init_params


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch):
    monkeypatch.setattr(tpu, "_LOGITS", 2**15)  # several blocks of queries in small arrays
    with pltpu.force_tpu_interpret_mode():
        yield


def drawn(*shape, scale=1.0):
    values = np.random.default_rng(0).normal(0, scale, shape)
    return jnp.asarray(values, jnp.float32)


def value_and_gradients(function, *arguments):
    def loss(*arguments):
        result = function(*arguments)
        return jnp.sum(jnp.sin(result.astype(jnp.float32))), result

    gradient = jax.value_and_grad(loss, tuple(range(len(arguments))), has_aux=True)
    (_, result), gradients = jax.jit(gradient)(*arguments)
    return result, gradients


# One head a block, several, and more queries than one block of them has.
@pytest.mark.parametrize(("count", "heads", "dim"), [(13, 2, 128), (9, 4, 32), (260, 1, 128)])
def test_attention(count, heads, dim):
    qkv = drawn(2, count, 3 * heads * dim)
    kernel = value_and_gradients(lambda x: tpu.attend(x, heads), qkv)
    plain = value_and_gradients(lambda x: self_attend(x, heads=heads, implementation="xla"), qkv)
    chex.assert_trees_all_close(kernel, plain, rtol=1e-4, atol=2e-6)


def test_attention_in_bfloat16():
    wide = drawn(2, 13, 3 * 128)
    plain = value_and_gradients(lambda x: self_attend(x, heads=1, implementation="xla"), wide)
    value, (gradient,) = value_and_gradients(lambda x: tpu.attend(x, 1), wide.astype(jnp.bfloat16))
    assert value.dtype == gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(value.astype(jnp.float32), plain[0], atol=0.03)
    np.testing.assert_allclose(gradient.astype(jnp.float32), plain[1][0], atol=0.03)


def test_large_logits_do_not_overflow():
    qkv = 300 * drawn(1, 9, 3 * 128)
    value, (gradient,) = value_and_gradients(lambda x: tpu.attend(x, 1), qkv)
    plain = self_attend(qkv, heads=1, implementation="xla")
    np.testing.assert_allclose(value, plain, rtol=1e-4, atol=1e-3)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("count", "dim"), [(13, 128), (260, 128)])
def test_diagonal(count, dim):
    q, k = drawn(2, 2, count, dim)
    kernel = value_and_gradients(lambda q, k: tpu.diagonal_logit(q, k, 0.1), q, k)
    plain = value_and_gradients(lambda q, k: diagonal_logit(q, k, scale=0.1), q, k)
    chex.assert_trees_all_close(kernel, plain, rtol=1e-4, atol=5e-6)


def test_the_diagonal_never_saturates():
    q = 20 * jnp.eye(4, 128)[None]
    np.testing.assert_allclose(tpu.diagonal_logit(q, q, 1.0), 400 - np.log(3), rtol=1e-6)


def test_each_device_takes_its_share():
    mesh = make_mesh(MeshConfig(data=4, fsdp=2))
    qkv, (q, k) = drawn(8, 9, 3 * 128), drawn(2, 8, 9, 128)

    def both(qkv, q, k):
        return tpu.attend(qkv, 1).sum(-1) + tpu.diagonal_logit(q, k, 0.1)

    alone = value_and_gradients(both, qkv, q, k)
    with tpu.spread_over(mesh):
        together = value_and_gradients(both, qkv, q, k)
    chex.assert_trees_all_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ((16, 785, 512, 4, 2), True),  # small, and its crops
        ((16, 145, 512, 4, 2), True),
        ((16, 785, 768, 12, 2), True),  # base, and its decoder
        ((16, 784, 512, 16, 2), True),
        ((16, 785, 512, 4, 4), True),  # float32
        ((16, 3137, 512, 4, 2), False),  # 448 px
        ((16, 785, 576, 6, 2), False),  # heads of 96
        ((16, 785, 192, 3, 2), False),  # an odd head of 64
        ((4, 785, 512, 4, 2), False),  # 8 devices
    ],
)
def test_sizes(size, fits, monkeypatch):
    monkeypatch.undo()
    with tpu.spread_over(make_mesh(MeshConfig())):
        assert tpu.fits(*size) is fits
    assert tpu.fits(*size) is False  # several devices, and nobody says how they share


def test_sizes_of_the_diagonal(monkeypatch):
    monkeypatch.undo()
    with tpu.spread_over(make_mesh(MeshConfig())):
        assert tpu.diagonal_fits(16, 784, 512, 2)
        for size in ((16, 784, 512, 4), (16, 1, 512, 2), (16, 784, 96, 2), (4, 784, 512, 2)):
            assert not tpu.diagonal_fits(*size)


def test_the_network_on_a_tpu_is_the_network():
    settings = {"width": 128, "decoder_width": 128}
    config = dataclasses.replace(tiny.PAPER, **settings)
    params = jax.jit(init_params, static_argnums=0)(config, jax.random.key(0))
    frames = jax.random.normal(jax.random.key(1), (2, 2, 32, 32, 3))

    def loss(params):
        return jnp.mean(jnp.square(bound(config, params)(*frames)))

    here = jax.jit(jax.value_and_grad(loss))(params)
    alone = make_mesh(MeshConfig(), jax.devices()[:1])
    with cpu.compiled_for("tpu"), tpu.spread_over(alone):
        program = jax.jit(jax.value_and_grad(lambda params: loss(params)))
        assert str(jax.make_jaxpr(program)(params)).count("pallas_call") >= 6
        there = program(params)
    chex.assert_trees_all_close(here, there, rtol=1e-3, atol=1e-6)
