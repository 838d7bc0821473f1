"""Diagonal Micro-Attention, of each patch to its own place; Patch of Interest."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from micron_jax.models import tpu
from micron_jax.models.attention import attend, attention_weights, settle
from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import dense, unit

_BLOCK = 112  # queries whose logits exist at a time; divides 28², the patches of 224 px


def diagonal_logit(q, k, *, scale: float, implementation: str = "auto"):
    """log(a / (1 - a)) of the diagonal a of softmax(q·kᵀ·scale): [B, N, D] twice -> float32 [B, N].

    With s = q·kᵀ·scale this is sᵢᵢ - log Σ_{j≠i} exp sᵢⱼ, which, unlike a itself, does not saturate
    when a is near 0 or 1. No N×N array exists, forwards or backwards: the logits of a block of
    queries are computed, reduced and, for the gradient, computed again. `implementation` is of
    `attention.settle`; `pallas` is the TPU's kernel, others are the same here.
    """
    count = q.shape[1]
    if settle(implementation) == "pallas" and tpu.diagonal_fits(*q.shape, q.dtype.itemsize):
        return tpu.diagonal_logit(q, k, scale)

    @jax.checkpoint
    def of_one_query(i, query):
        logits = jnp.einsum("bd,bnd->bn", query, k, preferred_element_type=jnp.float32) * scale
        own = jnp.arange(count) == i
        others = jax.nn.logsumexp(logits, axis=-1, where=~own)
        return jnp.sum(jnp.where(own, logits, 0.0), axis=-1) - others

    queries = jnp.arange(count), jnp.swapaxes(q, 0, 1)
    logits = jax.lax.map(lambda x: of_one_query(*x), queries, batch_size=min(_BLOCK, count))
    return jnp.swapaxes(logits, 0, 1)


def micro_attention(q, k, v, scores=None, *, scale: float, implementation: str = "auto"):
    """P_dma = diag(Â)·S·V (paper, Eq. 9, and its Patch of Interest), [B, N, D] in the dtype of `v`.

    `scores`, S, are weights of the patches, [B, N]; None stands for all ones. `implementation` is
    that of `diagonal_logit`.
    """
    weights = jax.nn.sigmoid(diagonal_logit(q, k, scale=scale, implementation=implementation))
    if scores is not None:
        weights = weights * scores
    return weights[..., None].astype(v.dtype) * v


def patch_scores(tokens):
    """The Patch of Interest scores S: cosine similarities of patches with their contextual token.

    The paper leaves the score open. Softmax scores are about 1/N each and slow reconstruction
    badly.

    Args:
      tokens: of frame t+δ, CLS first, [B, 1 + N, D].

    Returns:
      float32 [B, N] in [-1, 1].
    """
    patches, cls = (x.astype(jnp.float32) for x in (tokens[:, 1:], tokens[:, 0]))
    return jnp.einsum("bnd,bd->bn", unit(patches), unit(cls))


class MicroAttention(nn.Module):
    """The release's one-headed `CrossAttention` (models/mae.py, line 17), in both settings."""

    config: ModelConfig

    def setup(self):
        c = self.config
        dtype = jnp.dtype(c.dtype)
        self.scale = c.width**-0.5 if c.dma_scaled else 1.0  # of the logits
        self.to_q = dense(c.width, "to_q", dtype)
        self.to_k = self.to_q if c.dma_tied else dense(c.width, "to_k", dtype)
        self.to_v = dense(c.width, "to_v", dtype)
        self.proj = dense(c.width, "proj", dtype)

    def __call__(self, query, key, value, scores=None):
        """Patch tokens of the frames in their roles, [B, N, D] each -> P_dma, [B, N, D].

        `scores`, [B, N], weigh the patches, where only the diagonal counts.
        """
        c = self.config
        q, k, v = self.to_q(query), self.to_k(key), self.to_v(value)
        if not c.dma_gated:
            return self.proj(v)
        if c.dma_diagonal:
            settings = {"scale": self.scale, "implementation": c.attention}
            return self.proj(micro_attention(q, k, v, scores, **settings))
        # `attend` scales by 1/√width itself.
        q = q * (self.scale * c.width**0.5)
        one_head = (x[:, :, None] for x in (q, k, v))
        # cuDNN's fused kernel takes no head as wide as the whole width.
        implementation = "xla" if c.attention == "cudnn" else c.attention
        return self.proj(attend(*one_head, implementation=implementation)[:, :, 0])

    def logit(self, query, key):
        """`diagonal_logit` of the projected tokens: [B, N, D] twice -> float32 [B, N]."""
        settings = {"scale": self.scale, "implementation": self.config.attention}
        return diagonal_logit(self.to_q(query), self.to_k(key), **settings)

    def weights(self, query, key):
        """The whole attention, float32 [B, N, N]: for pictures, not for training."""
        return attention_weights(self.to_q(query), self.to_k(key), scale=self.scale)
