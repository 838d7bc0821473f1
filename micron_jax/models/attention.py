"""Softmax attention, with one switch for how it is computed."""

import jax
import jax.numpy as jnp


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
    batch, queries, heads, dim = q.shape

    def one_head(qkv):
        q, k, v = qkv
        return attention_weights(q, k, scale=dim**-0.5).astype(v.dtype) @ v

    def split(x):
        return x.transpose(0, 2, 1, 3).reshape(batch * heads, -1, dim)

    out = jax.lax.map(one_head, (split(q), split(k), split(v)))
    return out.reshape(batch, heads, queries, dim).transpose(0, 2, 1, 3)
