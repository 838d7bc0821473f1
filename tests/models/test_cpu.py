"""The forms of operations that only CPUs run, against the plain ones."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import OURS, RELEASE

from micron_jax.models import cpu
from micron_jax.models.cpu import recomputed
from micron_jax.models.layers import LAYER_NORM_EPS
from micron_jax.models.micron_bert import bound
from micron_jax.training.state import init_params


def gelu_product(x, kernel):
    return jax.nn.gelu(x, approximate=False) @ kernel


def gradients(function, arguments):
    def loss(arguments):
        x, kernels = arguments
        for wide, narrow in kernels:
            x = x + function(x @ wide, narrow)
        return jnp.sum(jnp.sin(x))

    return jax.jit(jax.grad(loss)).lower(arguments).compile()


def test_recomputation_gives_equal_gradients_in_half_the_memory():
    rng = np.random.default_rng(0)
    kernels = [
        [rng.normal(0, 0.1, shape).astype(np.float32) for shape in ((16, 64), (64, 16))]
        for _ in range(8)
    ]
    arguments = rng.normal(size=(2, 512, 16)).astype(np.float32), kernels
    plain, recomputing = (
        gradients(function, arguments) for function in (gelu_product, recomputed(gelu_product))
    )
    for a, b in zip(
        jax.tree.leaves(plain(arguments)), jax.tree.leaves(recomputing(arguments)), strict=True
    ):
        assert np.abs(a - b).max() < 1e-6 * np.abs(b).max()
    sizes = [program.memory_analysis().temp_size_in_bytes for program in (plain, recomputing)]
    assert sizes[1] < 0.55 * sizes[0]


def test_recomputation_keeps_the_dtype():
    x = jnp.ones((2, 3), jnp.bfloat16)
    of_x, of_kernel = jax.grad(
        lambda x, kernel: recomputed(gelu_product)(x, kernel).sum().astype(jnp.float32),
        argnums=(0, 1),
    )(x, jnp.ones((3, 2), jnp.bfloat16))
    assert of_x.dtype == of_kernel.dtype == jnp.bfloat16


def test_gelu_is_exact():
    x = jnp.linspace(-8, 8, 999)
    np.testing.assert_allclose(cpu.gelu(x), jax.nn.gelu(x, approximate=False), atol=1e-6)
    slopes = [jax.grad(lambda x, of=of: of(x).sum())(x) for of in (cpu.gelu, jax.nn.gelu)]
    assert np.abs(slopes[0] - slopes[1]).max() > 1e-4  # the other one is not
    exact = jax.grad(lambda x: jax.nn.gelu(x, approximate=False).sum())(x)
    np.testing.assert_allclose(slopes[0], exact, atol=1e-6)
    assert cpu.gelu(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


def test_layer_norm_equals_that_of_flax():
    x = 3 + jax.random.normal(jax.random.key(0), (2, 5, 8))
    plain = nn.LayerNorm(epsilon=LAYER_NORM_EPS)
    params = jax.tree.map(lambda w: w + 0.3, plain.init(jax.random.key(0), x))

    def both(module):
        return jax.value_and_grad(lambda x, p: jnp.sum(jnp.sin(module.apply(p, x))), (0, 1))(
            x, params
        )

    here = cpu.LayerNorm(LAYER_NORM_EPS, jnp.float32)
    chex.assert_trees_all_close(both(here), both(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", [RELEASE, OURS], ids=["release", "ours"])
def test_other_platforms_run_plain_code_with_equal_results(config, monkeypatch):
    params = jax.jit(init_params, static_argnums=0)(config, jax.random.key(0))
    frames = jax.random.normal(jax.random.key(1), (2, 2, 32, 32, 3))

    def loss(params):
        return jnp.mean(jnp.square(bound(config, params)(*frames)))

    here = jax.jit(jax.value_and_grad(loss))(params)
    with cpu.compiled_for("gpu"):
        for name in ("attend", "LayerNorm", "gelu", "dot_general", "dot_general_of_gelu"):
            monkeypatch.delattr(cpu, name)
        shapes = jax.eval_shape(lambda key: init_params(config, key), jax.random.key(0))
        elsewhere = jax.jit(jax.value_and_grad(lambda params: loss(params)))(params)
    chex.assert_trees_all_equal_shapes(shapes, params)
    chex.assert_trees_all_close(here, elsewhere, rtol=1e-3, atol=1e-6)
    assert cpu.is_target()
