"""Parts of the networks: patches, positions, layers, transformer blocks."""

from collections.abc import Sequence

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from micron_jax.models import cpu
from micron_jax.models.attention import (
    attend_from_first,
    attention_weights,
    self_attend,
    split_heads,
)
from micron_jax.models.config import ModelConfig
from micron_jax.models.matrices import bicubic_matrix

LAYER_NORM_EPS = 1e-6  # the release's models/mae.py, line 93


def patchify(images, patch_size: int):
    """Cuts images into rows of pixels: [B, H, W, C] -> [B, N, patch_size² · C].

    N runs row by row over the grid and a patch's pixels run row by row, channels last, as the
    release's `patchify` (models/mae.py, line 485).
    """
    return einops.rearrange(
        images, "b (h p) (w q) c -> b (h w) (p q c)", p=patch_size, q=patch_size
    )


def unpatchify(patches, patch_size: int, grid: tuple[int, int]):
    """The inverse of `patchify`: [B, N, patch_size² · C] -> [B, H, W, C], N = grid[0]·grid[1]."""
    (h, w), p = grid, patch_size
    return einops.rearrange(patches, "b (h w) (p q c) -> b (h p) (w q) c", h=h, w=w, p=p, q=p)


def sincos_positions(width: int, grid: int) -> np.ndarray:
    """Fixed 2-D sine-cosine positions, float32 [1, 1 + grid², width]; the CLS row is zero.

    The first half of the channels encodes the column and the second the row, each as sines then
    cosines with wavelengths rising geometrically to 10000·2π (the release's models/pos_embed.py).
    """
    quarter = width // 4
    frequencies = 1.0 / 10000 ** (np.arange(quarter) / quarter)
    angles = np.arange(grid)[:, None] * frequencies
    line = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    columns = np.tile(line, (grid, 1))
    rows = np.repeat(line, grid, axis=0)
    patches = np.concatenate([columns, rows], axis=1)
    return np.concatenate([np.zeros((1, width)), patches])[None].astype(np.float32)


def resize_positions(positions, grid: tuple[int, int]):
    """Positions for another grid of patches: [1, 1 + G², D] -> [1, 1 + grid[0]·grid[1], D]."""
    side = round((positions.shape[1] - 1) ** 0.5)
    if grid == (side, side):
        return positions
    square = einops.rearrange(positions[0, 1:], "(h w) d -> h w d", h=side)
    rows, columns = (jnp.asarray(bicubic_matrix(side, size)) for size in grid)
    # Small and exact: bfloat16 products would move the positions by more than the resizing does.
    square = jnp.einsum("yh,xw,hwd->yxd", rows, columns, square, precision="highest")
    patches = einops.rearrange(square, "h w d -> 1 (h w) d")
    return jnp.concatenate([positions[:, :1], patches], axis=1)


def unit(x):
    """Vectors scaled to length one along the last axis (zero stays zero), with finite gradients."""
    squared = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x / jnp.sqrt(jnp.maximum(squared, 1e-24))


def dense(features: int, name: str, dtype, *, dot_general=None) -> nn.Dense:
    """A linear layer as the release initializes it: Xavier uniform, zero bias."""
    if dot_general is None and cpu.is_target():
        dot_general = cpu.dot_general
    initializer = nn.initializers.xavier_uniform()
    return nn.Dense(
        features, name=name, dtype=dtype, kernel_init=initializer, dot_general=dot_general
    )


def layer_norm(name: str, dtype) -> nn.Module:
    """A layer norm over the last axis with the release's epsilon: [..., D] -> [..., D]."""
    if cpu.is_target():
        return cpu.LayerNorm(LAYER_NORM_EPS, dtype, name=name)
    return nn.LayerNorm(epsilon=LAYER_NORM_EPS, dtype=dtype, use_fast_variance=False, name=name)


def gelu(x):
    """The exact GELU, x·Φ(x), as PyTorch has it: in float32 inside, rounded to the dtype of `x`."""
    return cpu.gelu(x) if cpu.is_target() else _gelu(x)


@jax.custom_vjp
def _gelu(x):
    return _wide_gelu(x)


def _wide_gelu(x):
    return nn.gelu(x.astype(jnp.float32), approximate=False).astype(x.dtype)


def _gelu_backward(x, gradient):
    # Without the barrier XLA keeps float32 arrays of the forward pass, the widest of a block: a
    # TPU's program of four MLPs in bfloat16 then takes 2,697 MiB instead of 1,719.
    x = jax.lax.optimization_barrier(x)
    return jax.vjp(_wide_gelu, x)[1](gradient)


_gelu.defvjp(lambda x: (_wide_gelu(x), x), _gelu_backward)


class SelfAttention(nn.Module):
    """Multi-head self-attention (timm's `Attention`, which the release uses)."""

    heads: int
    implementation: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x, result: str = "tokens"):
        """[B, N, D] -> see `Block`."""
        width = x.shape[-1]
        to_qkv = dense(3 * width, "qkv", self.dtype)
        project = dense(width, "proj", self.dtype)
        if result == "first":
            weights = to_qkv.variables["params"]
            return project(attend_from_first(x, **weights, heads=self.heads))
        settings = {"heads": self.heads, "implementation": self.implementation}
        qkv = to_qkv(x)
        if result == "weights":
            q, k, _ = split_heads(qkv, **settings)
            q, k = (einops.rearrange(part, "b n h d -> b h n d") for part in (q, k))
            return attention_weights(q, k, scale=q.shape[-1] ** -0.5)
        return project(self_attend(qkv, **settings))


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them, [B, N, D] -> [B, N, D]."""

    hidden: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        x = dense(self.hidden, "fc1", self.dtype)(x)
        if cpu.is_target():  # one step: its gradient computes the GELU again
            return dense(width, "fc2", self.dtype, dot_general=cpu.dot_general_of_gelu)(x)
        return dense(width, "fc2", self.dtype)(gelu(x))


def hidden_width(width: int, ratio: float) -> int:
    """The hidden width of a block's MLP: the whole part of width x ratio, as timm has it.

    A ratio such as 170 / 96 is no exact number: its product with 96 may fall a hair short of 170.
    """
    return int(width * ratio + 1e-6)


class Block(nn.Module):
    """A pre-norm transformer block (timm's `Block`, which the release uses)."""

    heads: int
    mlp_ratio: float
    attention: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x, result: str = "tokens"):
        """Tokens [B, N, D] to a result of the block; only `tokens` creates parameters.

        Results are `tokens`, [B, N, D]; `first`, the first of them, [B, 1, D], at a fraction of the
        work; `weights`, those of attention, float32 [B, heads, N, N].
        """
        attended = SelfAttention(self.heads, self.attention, self.dtype, name="attn")(
            layer_norm("norm1", self.dtype)(x), result
        )
        if result == "weights":
            return attended
        x = x[:, : attended.shape[1]] + attended
        hidden = hidden_width(x.shape[-1], self.mlp_ratio)
        return x + Mlp(hidden, self.dtype, name="mlp")(layer_norm("norm2", self.dtype)(x))


def make_blocks(config: ModelConfig, depth: int, heads: int) -> list[Block]:
    """Blocks, whose gradients compute again what `remat` names; calls pass `result` by position."""
    block = Block
    if config.remat != "none":
        policies = jax.checkpoint_policies
        dots = policies.save_from_both_policies(
            policies.dots_with_no_batch_dims_saveable, policies.save_only_these_names(cpu.ATTENTION)
        )
        policy = dots if config.remat == "dots" else None
        block = nn.remat(Block, policy=policy, static_argnums=(2,))  # `result`, after self and x
    settings = heads, config.mlp_ratio, config.attention, jnp.dtype(config.dtype)
    return [block(*settings, name=f"block_{i}") for i in range(depth)]


def through_blocks(blocks: Sequence[Block], x, *, way: str):
    """Tokens through bound blocks, one after another: [B, N, D] -> [B, N, D].

    `unrolled`, each is in the program; `scanned`, one is, in a loop over their stacked weights.
    """
    if way == "unrolled" or len(blocks) <= 1 or blocks[0].is_initializing():
        for block in blocks:
            x = block(x, "tokens")
        return x
    weights = [block.variables["params"] for block in blocks]
    block = blocks[0].clone(parent=None, name=None)

    def step(x, weights):
        return block.bind({"params": weights})(x, "tokens"), None

    return jax.lax.scan(step, x, jax.tree.map(lambda *each: jnp.stack(each), *weights))[0]
