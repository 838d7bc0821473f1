"""Patch of Interest: the similarity of each patch to the whole face."""

import flax.linen as nn
import jax.numpy as jnp


def patch_scores(patches, cls):
    """S: cosine similarity of each patch with its contextual token.

    The paper leaves the score open. Cosine is ours: softmax scores are about 1/N each and slow
    reconstruction badly.

    Args:
      patches: patch tokens of frame t+δ, [B, N, D].
      cls: its CLS token, [B, D].

    Returns:
      float32 [B, N] in [-1, 1].
    """
    patches, cls = (x.astype(jnp.float32) for x in (patches, cls))
    return jnp.einsum("bnd,bd->bn", unit(patches), unit(cls))


def unit(x):
    """Vectors scaled to length one along the last axis (zero stays zero), with finite gradients."""
    squared = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x / jnp.sqrt(jnp.maximum(squared, 1e-24))


class PatchOfInterest(nn.Module):
    """`patch_scores` as a module, for the variants that have parameters."""

    @nn.compact
    def __call__(self, tokens):
        """Tokens with CLS first, [B, 1 + N, D] -> scores, float32 [B, N]."""
        return patch_scores(tokens[:, 1:], tokens[:, 0])
