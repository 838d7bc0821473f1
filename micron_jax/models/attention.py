"""Softmax attention, with one switch for how it is computed."""

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

KEPT = "attention"  # what a block that is computed again (`layers.block_of`) has kept of this


def attend(q, k, v, *, implementation: str = "auto"):
    """Softmax attention with logits scaled by 1/√D.

    Args:
      q: queries, [B, N, H, D].
      k: keys, [B, M, H, D].
      v: values, [B, M, H, D].
      implementation: `xla`, a batched product; `cudnn`, its fused kernel (NVIDIA, 16-bit floats);
        `per_head`, one head of one sample at a time, which runs at twice the speed of the batched
        product on a CPU; `auto`, `per_head` on a single CPU device, else `xla`. A loop over
        samples cannot be sharded over them: on several devices `per_head` gathers the batch.

    Returns:
      [B, N, H, D] in the dtype of `q`; the softmax is taken in float32.
    """
    implementation = settle(
        implementation, platform=jax.default_backend(), devices=jax.device_count()
    )
    if implementation == "per_head":
        return _attend_per_head(q, k, v)
    return jax.nn.dot_product_attention(q, k, v, implementation=implementation)


def settle(implementation: str, *, platform: str, devices: int) -> str:
    """What `auto` stands for on so many devices of a platform (`cpu`, `gpu`, `tpu`)."""
    if implementation != "auto":
        return implementation
    return "per_head" if platform == "cpu" and devices == 1 else "xla"


def attention_weights(q, k, *, scale: float):
    """softmax(q·kᵀ·scale) in float32: [..., N, D] and [..., M, D] -> [..., N, M]."""
    logits = jnp.einsum("...nd,...md->...nm", q, k, preferred_element_type=jnp.float32)
    return jax.nn.softmax(logits * scale, axis=-1)


def _attend_per_head(q, k, v):
    batch, _, heads, dim = q.shape

    def split(x):
        return x.transpose(0, 2, 1, 3).reshape(batch * heads, -1, dim)

    out = _by_head(split(q * dim**-0.5), split(k), split(v))
    return out.reshape(batch, heads, -1, dim).transpose(0, 2, 1, 3)


@jax.custom_vjp
def _by_head(q, k, v):
    """softmax(q·kᵀ)·v, one after another: [G, N, D], [G, M, D] twice -> [G, N, D].

    No more than one N×M array is there at a time, and none is kept for the gradient: it is computed
    again from the logarithm of the softmax's sums, as FlashAttention does.
    """
    return _by_head_forward(q, k, v)[0]


def _by_head_forward(q, k, v):
    def one(qkv):
        q, k, v = qkv
        logits = jnp.einsum("nd,md->nm", q, k, preferred_element_type=jnp.float32)
        largest = logits.max(axis=-1, keepdims=True)
        raised = jnp.exp(logits - largest)
        total = raised.sum(axis=-1, keepdims=True)
        # Divided after the product with the values: that is a smaller array.
        return ((raised.astype(v.dtype) @ v) / total).astype(v.dtype), largest + jnp.log(total)

    out, log_total = jax.lax.map(one, (q, k, v))
    out, log_total = (checkpoint_name(x, KEPT) for x in (out, log_total))
    return out, (q, k, v, out, log_total)


def _by_head_backward(kept, gradient):
    def one(arrays):
        q, k, v, out, log_total, gradient = arrays
        logits = jnp.einsum("nd,md->nm", q, k, preferred_element_type=jnp.float32)
        weights = jnp.exp(logits - log_total)
        of_v = weights.astype(v.dtype).T @ gradient
        of_weights = jnp.einsum("nd,md->nm", gradient, v, preferred_element_type=jnp.float32)
        along = jnp.sum(gradient * out, axis=-1, keepdims=True, dtype=jnp.float32)
        of_logits = (weights * (of_weights - along)).astype(q.dtype)
        return of_logits @ k, of_logits.T @ q, of_v

    return jax.lax.map(one, (*kept, gradient))


_by_head.defvjp(_by_head_forward, _by_head_backward)
