"""Softmax attention, with one switch for how it is computed."""

import einops
import jax
import jax.numpy as jnp

from micron_jax.models import cpu, tpu

_ONLY_ON = {"cudnn": "gpu", "pallas": "tpu"}


def self_attend(qkv, *, heads: int, implementation: str = "auto"):
    """`attend` of q, k and v side by side: [B, N, 3·H·D] -> [B, N, H·D].

    `pallas` is the TPU's kernel; arrays that do not fit it go through `xla`.
    """
    batch, count, triple = qkv.shape
    size = batch, count, triple // 3, heads, qkv.dtype.itemsize
    if settle(implementation) == "pallas" and tpu.fits(*size):
        return tpu.attend(qkv, heads)
    q, k, v = split_heads(qkv, heads=heads, implementation=implementation)
    return attend(q, k, v, implementation=implementation).reshape(batch, count, -1)


def attend(q, k, v, *, implementation: str = "auto"):
    """Softmax attention with logits scaled by 1/√D; the softmax is taken in float32.

    Args:
      q, k, v: queries, [B, N, H, D], keys and values, [B, M, H, D].
      implementation: `xla`, a batched product, also where it is `pallas` (see `self_attend`);
        `cudnn`, its fused kernel (NVIDIA, 16-bit floats); `per_head`, one head of one sample at a
        time, which runs at twice the speed of the batched product on a CPU; `auto`, see `settle`.
        A loop over samples cannot be sharded over them: on several devices `per_head` gathers the
        batch.

    Returns:
      [B, N, H, D] in the dtype of `q`.
    """
    implementation = settle(implementation)
    if implementation == "per_head":
        return cpu.attend(q, k, v)
    if implementation == "pallas":
        implementation = "xla"
    return jax.nn.dot_product_attention(q, k, v, implementation=implementation)


def split_heads(qkv, *, heads: int, implementation: str = "auto"):
    """q, k and v side by side, [B, N, 3·H·D] -> each of them, [B, N, H, D], for `attend`.

    Head by head they are read where they lie. Elsewhere one transposition moves all three: a TPU
    then moves 43 GB in a step of `pretrain_pod` instead of 47 for three slices.
    """
    if settle(implementation) == "per_head":
        parts = jnp.split(qkv, 3, axis=-1)
        return [einops.rearrange(part, "b n (h d) -> b n h d", h=heads) for part in parts]
    return einops.rearrange(qkv, "b n (t h d) -> t b n h d", t=3, h=heads)


def settle(implementation: str, *, platform: str = "", devices: int = 0) -> str:
    """The implementation that a word stands for.

    `auto` is `per_head` on a single CPU, `pallas` on TPUs, else `xla`. `cudnn` is `auto` where
    there is no NVIDIA GPU, and `pallas` where there is no TPU: a checkpoint that was trained with
    either computes anywhere.
    """
    platform = platform or cpu.target_platform()
    if _ONLY_ON.get(implementation, platform) != platform:
        implementation = "auto"
    if implementation != "auto":
        return implementation
    if platform == "tpu":
        return "pallas"
    return "per_head" if platform == "cpu" and (devices or jax.device_count()) == 1 else "xla"


def attention_weights(q, k, *, scale: float):
    """softmax(q·kᵀ·scale) in float32: [..., N, D] and [..., M, D] -> [..., N, M]."""
    logits = jnp.einsum("...nd,...md->...nm", q, k, preferred_element_type=jnp.float32)
    return jax.nn.softmax(logits * scale, axis=-1)


def attend_from_first(x, kernel, bias, *, heads: int):
    """Self-attention's result for the first token, from the weights that make q, k and v.

    One query needs no keys and no values: q·(x W_k + b_k) is (q W_kᵀ)·x plus a term that all keys
    share and softmax ignores, and the weighted sum of values is (the weighted sum of x) W_v + b_v.
    It takes O(N·D·heads) where the keys alone would take O(N·D²).

    Args:
      x: tokens, [B, N, D].
      kernel, bias: of the linear layer that makes q, k and v side by side, [D, 3·D] and [3·D].

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
