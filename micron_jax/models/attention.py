"""Softmax attention, with one switch for how it is computed."""

import einops
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
    implementation = _here(implementation)
    if implementation == "per_head":
        return _per_head(q, k, v)
    return jax.nn.dot_product_attention(q, k, v, implementation=implementation)


def parted(qkv, *, heads: int, implementation: str = "auto"):
    """q, k and v side by side, [B, N, 3·H·D] -> each of them, [B, N, H, D], for `attend`.

    Head by head they are read where they lie. Elsewhere all three are turned about at once: by the
    compiler's count a TPU then moves 43 GB in a step of `pretrain_pod` where three slices take 47.
    """
    if _here(implementation) == "per_head":
        parts = jnp.split(qkv, 3, axis=-1)
        return [einops.rearrange(part, "b n (h d) -> b n h d", h=heads) for part in parts]
    return einops.rearrange(qkv, "b n (t h d) -> t b n h d", t=3, h=heads)


def _here(implementation: str) -> str:
    return settle(implementation, platform=jax.default_backend(), devices=jax.device_count())


def settle(implementation: str, *, platform: str, devices: int) -> str:
    """What `auto` stands for on so many devices of a platform (`cpu`, `gpu`, `tpu`)."""
    if implementation != "auto":
        return implementation
    return "per_head" if platform == "cpu" and devices == 1 else "xla"


def attention_weights(q, k, *, scale: float):
    """softmax(q·kᵀ·scale) in float32: [..., N, D] and [..., M, D] -> [..., N, M]."""
    logits = jnp.einsum("...nd,...md->...nm", q, k, preferred_element_type=jnp.float32)
    return jax.nn.softmax(logits * scale, axis=-1)


def attend_from_first(x, kernel, bias, *, heads: int):
    """What self-attention gives the first token, from the weights that make q, k and v.

    One query needs no keys and no values: q·(x W_k + b_k) is (q W_kᵀ)·x but for what all keys
    share, which softmax does not see, and the sum of weighted values is (the weighted sum of x)
    W_v + b_v. So it takes O(N·D·heads) where the keys alone would take O(N·D²).

    Args:
      x: tokens, [B, N, D].
      kernel, bias: of the linear layer that makes q, k and v side by side, [D, 3·D] and [3·D].
      heads: how many; they divide D.

    Returns:
      [B, 1, D] in the dtype of `x`; the softmax is taken in float32.
    """
    kernel, bias = (array.astype(x.dtype) for array in (kernel, bias))
    to_q, to_k, to_v = einops.rearrange(kernel, "d (t h e) -> t h d e", t=3, h=heads)
    bias_q, _, bias_v = einops.rearrange(bias, "(t h e) -> t h e", t=3, h=heads)
    q = jnp.einsum("bd,hde->bhe", x[:, 0], to_q) + bias_q
    weights = attention_weights(jnp.einsum("bhe,hde->bhd", q, to_k), x, scale=q.shape[-1] ** -0.5)
    mixed = jnp.einsum("bhn,bnd->bhd", weights.astype(x.dtype), x)
    values = jnp.einsum("bhd,hde->bhe", mixed, to_v) + bias_v
    return einops.rearrange(values, "b h e -> b 1 (h e)")


@jax.custom_vjp
def _per_head(q, k, v):
    """`attend` of one head after another, in the arrays' own layout: nothing is transposed.

    No more than one N×M array is there at a time, and none is kept for the gradient: it is computed
    again from the logarithm of the softmax's sums, as FlashAttention does.
    """
    return _per_head_forward(q, k, v)[0]


def _per_head_forward(q, k, v):
    batch, _, heads, dim = q.shape

    def one(i, filled):
        out, log_total = filled
        query, key, value = (_head(x, i) for x in (q, k, v))
        logits = _logits(query * dim**-0.5, key)
        largest = logits.max(axis=-1, keepdims=True)
        raised = jnp.exp(logits - largest)
        total = raised.sum(axis=-1, keepdims=True)
        # Divided after the product with the values: that is a smaller array.
        mixed = (raised.astype(v.dtype) @ value) / total
        return _put(out, mixed, i), _put(log_total, largest + jnp.log(total), i)

    # To be filled: of the right shapes, and not there before q is, as constants would be.
    places = q.astype(v.dtype), q[..., :1].astype(jnp.float32)
    out, log_total = jax.lax.fori_loop(0, batch * heads, one, places)
    out, log_total = (checkpoint_name(x, KEPT) for x in (out, log_total))
    return out, (q, k, v, out, log_total)


def _per_head_backward(kept, gradient):
    *qkv, out, log_total = kept

    def one(i, arrays):
        # Gradients take the places of what they are of, which no other step reads.
        q, k, v, o, total, of_o = (_head(x, i) for x in (*arrays, out, log_total, gradient))
        scaled = q * q.shape[-1] ** -0.5
        weights = jnp.exp(_logits(scaled, k) - total)
        of_v = weights.astype(v.dtype).T @ of_o
        along = jnp.sum(of_o * o, axis=-1, keepdims=True, dtype=jnp.float32)
        of_logits = (weights * (_logits(of_o, v) - along)).astype(q.dtype)
        found = (of_logits @ k) * q.shape[-1] ** -0.5, of_logits.T @ scaled, of_v
        return tuple(_put(x, y, i) for x, y in zip(arrays, found, strict=True))

    batch, _, heads, _ = gradient.shape
    return jax.lax.fori_loop(0, batch * heads, one, tuple(qkv))


def _logits(q, k):
    return jnp.einsum("nd,md->nm", q, k, preferred_element_type=jnp.float32)


def _head(x, i):
    """The i-th head, counted over the whole batch: [B, N, H, D] -> [N, D]."""
    flat, start = _found(x, i)
    return jax.lax.dynamic_slice(flat, start, (1, x.shape[1], x.shape[3]))[0]


def _put(x, one, i):
    """`x` with `one` in the place where `_head` finds it."""
    flat, start = _found(x, i)
    return jax.lax.dynamic_update_slice(flat, one[None].astype(x.dtype), start).reshape(x.shape)


def _found(x, i):
    """`x` as [B, N, H·D], and where in it the i-th head begins."""
    batch, head = jnp.divmod(i, x.shape[2])
    return x.reshape(*x.shape[:2], -1), (batch, 0, head * x.shape[3])


_per_head.defvjp(_per_head_forward, _per_head_backward)
