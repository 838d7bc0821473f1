"""The ViT encoder of frames and crops."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from micron_jax.models.config import ModelConfig
from micron_jax.models.layers import (
    dense,
    layer_norm,
    make_blocks,
    patchify,
    resize_positions,
    sincos_positions,
    through_blocks,
)


class Encoder(nn.Module):
    """The release's `Backbone` (models/mae.py, line 83)."""

    config: ModelConfig

    def setup(self):
        c = self.config
        dtype = jnp.dtype(c.dtype)
        self.patch_embed = dense(c.width, "patch_embed", dtype)
        self.cls = self.param("cls", nn.initializers.normal(0.02), (1, 1, c.width))
        # Fixed, yet a parameter: checkpoints carry it and the teacher's average covers it.
        self.positions = self.param(
            "positions", lambda _: jnp.asarray(sincos_positions(c.width, c.grid))
        )
        self.blocks = make_blocks(c, c.depth, c.heads)
        self.norm = layer_norm("norm", dtype)

    def _embed(self, images):
        patch_size = self.config.patch_size
        _, height, width, channels = images.shape
        if height % patch_size or width % patch_size or channels != 3:
            raise ValueError(
                f"images of shape {images.shape}: expected [B, H, W, 3] with H and W multiples "
                f"of the patch size {patch_size}"
            )
        x = self.patch_embed(patchify(images, patch_size))
        positions = jax.lax.stop_gradient(self.positions)
        positions = resize_positions(positions, (height // patch_size, width // patch_size))
        cls = jnp.broadcast_to(self.cls, (x.shape[0], 1, x.shape[2])).astype(x.dtype)
        return jnp.concatenate([cls, x], axis=1) + positions.astype(x.dtype)

    def __call__(self, images):
        """Encodes normalized images, float [B, H, W, 3], into tokens [B, 1 + N, D], CLS first.

        H and W are multiples of the patch size (else a `ValueError`). Sizes other than `img_size`
        get positions resized as the release resizes them.
        """
        return self.norm(through_blocks(self.blocks, self._embed(images), way=self.config.blocks))

    def views(self, images, whole: int):
        """Encodes views, [B, V, H, W, 3]; of all but the first ones only the CLS token.

        For a CLS token alone the last block takes next to no arithmetic; see
        `attention.attend_from_first`.

        Returns:
          (tokens of the first views [B, whole, 1 + N, D], CLS tokens of all [B, V, D]).
        """
        # Views lie behind the batch axis: merging the two moves no sample to another device.
        x = self._embed(images.reshape(-1, *images.shape[2:]))
        x = through_blocks(self.blocks[:-1], x, way=self.config.blocks)
        x = x.reshape(*images.shape[:2], *x.shape[1:])

        def last(x, result):
            tokens = self.norm(self.blocks[-1](x.reshape(-1, *x.shape[2:]), result))
            return tokens.reshape(*x.shape[:2], *tokens.shape[1:])

        tokens, cls = x[:, :0], x[:, :0, 0]
        if whole:
            tokens = last(x[:, :whole], "tokens")
            cls = tokens[:, :, 0]
        if whole < images.shape[1]:
            cls = jnp.concatenate([cls, last(x[:, whole:], "first")[:, :, 0]], axis=1)
        return tokens, cls

    def last_attention(self, images):
        """Attention of the last block, [B, H, 1 + N, 1 + N] (`get_last_selfattention`)."""
        x = self._embed(images)
        for block in self.blocks[:-1]:
            x = block(x, "tokens")
        return self.blocks[-1](x, "weights")
