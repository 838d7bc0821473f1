import jax
import jax.numpy as jnp
import numpy as np
import pytest

from micron_jax.models.dma import diagonal_logit, micro_attention


def diagonal_attention(q, k, *, scale):
    return jax.nn.sigmoid(diagonal_logit(q, k, scale=scale))


def dense_diagonal(q, k, scale):
    logits = jnp.einsum("bnd,bmd->bnm", q, k) * scale
    return jnp.diagonal(jax.nn.softmax(logits, axis=-1), axis1=1, axis2=2)


def random(count, dim=6, batch=2, seed=0):
    return jax.random.normal(jax.random.key(seed), (2, batch, count, dim))


# Below, at and beyond a block of queries, and one more than a multiple of it.
@pytest.mark.parametrize("count", [1, 9, 112, 225])
def test_diagonal_equals_that_of_the_full_softmax(count):
    q, k = random(count)
    diagonal = jax.jit(diagonal_attention, static_argnames="scale")(q, k, scale=0.7)
    np.testing.assert_allclose(diagonal, dense_diagonal(q, k, 0.7), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("count", [9, 130])
def test_gradients_are_exact(count):
    q, k = random(count)

    def grads(diagonal):
        return jax.jit(jax.grad(lambda qk: jnp.sum(jnp.sin(3 * diagonal(*qk)))))((q, k))

    own = grads(lambda q, k: diagonal_attention(q, k, scale=0.7))
    for gradient, expected in zip(own, grads(lambda q, k: dense_diagonal(q, k, 0.7)), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def largest_array(function, *args) -> int:
    """Elements of the largest array in a compiled program, from its text."""
    import re

    text = jax.jit(function).lower(*args).compile().as_text()
    shapes = re.findall(r"(?:f32|bf16|pred|s32)\[([\d,]+)\]", text)
    return max(int(np.prod([int(n) for n in shape.split(",")])) for shape in shapes)


def test_no_array_of_all_pairs_is_made_in_either_direction():
    count = 1120
    q, k = random(count, dim=4, batch=1)

    def loss(q, k):
        return diagonal_attention(q, k, scale=1.0).sum()

    assert largest_array(jax.grad(loss, (0, 1)), q, k) <= 112 * count
    assert largest_array(lambda q, k: dense_diagonal(q, k, 1.0), q, k) >= count**2


def test_the_logit_never_saturates():
    q = 20 * jnp.eye(4)[None]
    assert np.all(diagonal_attention(q, q, scale=1.0) == 1.0)
    np.testing.assert_allclose(diagonal_logit(q, q, scale=1.0), 400 - np.log(3), rtol=1e-6)


def test_micro_attention_weights_values_by_diagonal_and_score():
    q, k = random(5)
    v = random(5, seed=1)[0]
    scores = jnp.linspace(-1, 1, 10).reshape(2, 5)
    expected = dense_diagonal(q, k, 1.0)[..., None] * scores[..., None] * v
    np.testing.assert_allclose(micro_attention(q, k, v, scores, scale=1.0), expected, atol=1e-6)
    np.testing.assert_allclose(
        micro_attention(q, k, v, scale=1.0), dense_diagonal(q, k, 1.0)[..., None] * v, atol=1e-6
    )


def test_memory_grows_with_tokens_not_with_their_square():
    def needed(count):
        tokens = jax.ShapeDtypeStruct((1, count, 8), jnp.float32)
        grad = jax.grad(lambda q, k: diagonal_attention(q, k, scale=1.0).sum(), argnums=(0, 1))
        return jax.jit(grad).lower(tokens, tokens).compile().memory_analysis().temp_size_in_bytes

    # The patches of 224 and of 448 px: with a whole array it would be 16 times as much.
    assert needed(4 * 784) < 4.2 * needed(784)
