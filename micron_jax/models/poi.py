"""Patch of Interest: the similarity of each patch to the whole face."""

import jax.numpy as jnp


def patch_scores(tokens):
    """S: cosine similarity of each patch with its contextual token.

    The paper leaves the score open. Softmax scores are about 1/N each and slow reconstruction
    badly.

    Args:
      tokens: of frame t+δ, CLS first, [B, 1 + N, D].

    Returns:
      float32 [B, N] in [-1, 1].
    """
    patches, cls = (x.astype(jnp.float32) for x in (tokens[:, 1:], tokens[:, 0]))
    return jnp.einsum("bnd,bd->bn", unit(patches), unit(cls))


def unit(x):
    """Vectors scaled to length one along the last axis (zero stays zero), with finite gradients."""
    squared = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x / jnp.sqrt(jnp.maximum(squared, 1e-24))
