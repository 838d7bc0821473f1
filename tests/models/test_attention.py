import jax
import jax.numpy as jnp
import numpy as np
import pytest

from micron_jax.models.attention import attend, attend_from_first, settle


def dense(q, k, v):
    logits = np.einsum("bnhd,bmhd->bhnm", q, k) / np.sqrt(q.shape[-1])
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("bhnm,bmhd->bnhd", weights, v)


@pytest.fixture(scope="module")
def qkv():
    return np.random.default_rng(0).normal(size=(3, 2, 13, 3, 8)).astype(np.float32)


@pytest.mark.parametrize("implementation", ["auto", "xla", "per_head"])
def test_every_implementation_is_softmax_attention(qkv, implementation):
    output = jax.jit(lambda *qkv: attend(*qkv, implementation=implementation))(*qkv)
    np.testing.assert_allclose(output, dense(*qkv.astype(np.float64)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("implementation", "platform", "devices", "settled"),
    [
        ("auto", "cpu", 1, "per_head"),
        ("auto", "cpu", 8, "xla"),
        ("auto", "tpu", 1, "pallas"),
        ("auto", "tpu", 256, "pallas"),
        ("auto", "gpu", 1, "xla"),
        ("cudnn", "gpu", 1, "cudnn"),
        ("cudnn", "cpu", 1, "per_head"),  # trained with it, and computed anywhere
        ("cudnn", "tpu", 4, "pallas"),
        ("pallas", "tpu", 4, "pallas"),
        ("pallas", "gpu", 1, "xla"),
        ("pallas", "cpu", 1, "per_head"),
        ("per_head", "tpu", 4, "per_head"),
    ],
)
def test_auto_depends_on_platform_and_devices(implementation, platform, devices, settled):
    assert settle(implementation, platform=platform, devices=devices) == settled


def test_gradients_do_not_depend_on_the_implementation(qkv):
    def grads(implementation):
        def loss(qkv):
            return jnp.sum(jnp.sin(attend(*qkv, implementation=implementation)))

        return jax.jit(jax.grad(loss))(qkv)

    np.testing.assert_allclose(grads("per_head"), grads("xla"), rtol=1e-4, atol=1e-6)


def test_values_may_be_longer_than_queries(qkv):
    q, k, v = qkv
    output = attend(q[:, :5], k, v, implementation="per_head")
    np.testing.assert_allclose(output, dense(q[:, :5], k, v), rtol=1e-4, atol=1e-6)


def test_16_bit_floats_keep_their_dtype(qkv):
    out = attend(*jnp.asarray(qkv, jnp.bfloat16), implementation="per_head")
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(out.astype(jnp.float32), dense(*qkv), atol=0.03)


def test_attention_per_head_stores_no_weights():
    heads, count, dim = 8, 256, 8

    def loss(qkv):
        return jnp.sum(attend(*qkv, implementation="per_head"))

    qkv = jax.ShapeDtypeStruct((3, 1, count, heads, dim), jnp.float32)
    compiled = jax.jit(jax.grad(loss)).lower(qkv).compile()
    all_weights = 4 * heads * count**2
    assert compiled.memory_analysis().temp_size_in_bytes < all_weights


def test_attention_of_the_first_token_equals_full_attention():
    rng, heads = np.random.default_rng(0), 3
    x, kernel, bias = (
        rng.normal(size=size).astype(np.float32) for size in ((2, 13, 24), (24, 72), (72,))
    )

    def full(x, kernel, bias):
        qkv = (x @ kernel + bias).reshape(2, 13, 3, heads, 8)
        return attend(*jnp.moveaxis(qkv, 2, 0), implementation="xla")[:, :1].reshape(2, 1, 24)

    def short(x, kernel, bias):
        return attend_from_first(x, kernel, bias, heads=heads)

    with jax.default_matmul_precision("highest"):
        np.testing.assert_allclose(short(x, kernel, bias), full(x, kernel, bias), rtol=2e-4)
        grads = [
            jax.grad(lambda *a, of=of: jnp.sum(jnp.sin(of(*a))), (0, 1, 2))(x, kernel, bias)
            for of in (short, full)
        ]
    for gradient, expected in zip(*grads, strict=True):
        np.testing.assert_allclose(gradient, expected, atol=2e-5 * np.abs(expected).max())
