import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.models.recompute import recomputed


def gelu_product(x, kernel):
    return jax.nn.gelu(x, approximate=False) @ kernel


def gradients(function, arguments):
    def loss(arguments):
        x, kernels = arguments
        for wide, narrow in kernels:
            x = x + function(x @ wide, narrow)
        return jnp.sum(jnp.sin(x))

    return jax.jit(jax.grad(loss)).lower(arguments).compile()


def test_the_same_gradients_in_half_the_memory():
    rng = np.random.default_rng(0)
    kernels = [
        [rng.normal(0, 0.1, shape).astype(np.float32) for shape in ((16, 64), (64, 16))]
        for _ in range(8)
    ]
    arguments = rng.normal(size=(2, 512, 16)).astype(np.float32), kernels
    kept, again = (
        gradients(function, arguments) for function in (gelu_product, recomputed(gelu_product))
    )
    for a, b in zip(
        jax.tree.leaves(kept(arguments)), jax.tree.leaves(again(arguments)), strict=True
    ):
        assert np.abs(a - b).max() < 1e-6 * np.abs(b).max()
    sizes = [program.memory_analysis().temp_size_in_bytes for program in (kept, again)]
    assert sizes[1] < 0.55 * sizes[0]


def test_16_bit_floats_stay_so():
    x = jnp.ones((2, 3), jnp.bfloat16)
    of_x, of_kernel = jax.grad(
        lambda x, kernel: recomputed(gelu_product)(x, kernel).sum().astype(jnp.float32),
        argnums=(0, 1),
    )(x, jnp.ones((3, 2), jnp.bfloat16))
    assert of_x.dtype == of_kernel.dtype == jnp.bfloat16
