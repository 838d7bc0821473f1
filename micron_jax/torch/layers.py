"""Parts of the networks in PyTorch: patches, positions, transformer blocks. See `models.layers`."""

import torch
from torch import nn
from torch.nn import functional

from micron_jax.models.matrices import bicubic_matrix

EPSILON = 1e-6  # of layer norms


def patchify(images, patch_size: int):
    """Cuts images into rows of pixels: [B, H, W, C] -> [B, N, patch_size² · C]."""
    batch, height, width, channels = images.shape
    p = patch_size
    x = images.reshape(batch, height // p, p, width // p, p, channels).transpose(2, 3)
    return x.reshape(batch, (height // p) * (width // p), p * p * channels)


def unit(x):
    """Vectors scaled to length one along the last axis (zero stays zero), with finite gradients."""
    return x / x.square().sum(-1, keepdim=True).clamp_min(1e-24).sqrt()


def resize_positions(positions, grid: tuple[int, int]):
    """Positions for another grid of patches: [1, 1 + G², D] -> [1, 1 + grid[0]·grid[1], D]."""
    side = round((positions.shape[1] - 1) ** 0.5)
    if grid == (side, side):
        return positions
    square = positions[0, 1:].reshape(side, side, -1)
    rows, columns = (
        torch.as_tensor(bicubic_matrix(side, size), dtype=square.dtype, device=square.device)
        for size in grid
    )
    patches = torch.einsum("yh,xw,hwd->yxd", rows, columns, square).flatten(0, 1)[None]
    return torch.cat([positions[:, :1], patches], dim=1)


class SelfAttention(nn.Module):
    """Multi-head self-attention, [B, N, D] -> [B, N, D]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self._heads(x)
        x = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))

    def weights(self, x):
        """Softmax of the attention, [B, N, D] -> [B, heads, N, N]."""
        q, k, _ = self._heads(x)
        return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)

    def _heads(self, x):
        """Queries, keys and values, [B, heads, N, D / heads] each."""
        batch, count, width = x.shape
        qkv = self.qkv(x).reshape(batch, count, 3, self.heads, width // self.heads)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """A pre-norm transformer block, [B, N, D] -> [B, N, D]."""

    def __init__(self, width: int, heads: int, mlp_ratio: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.attn = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, EPSILON)
        self.mlp = Mlp(width, int(width * mlp_ratio + 1e-6))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def add_blocks(module: nn.Module, depth: int, width: int, heads: int, mlp_ratio: float) -> None:
    """Gives a module blocks with the names of our checkpoints, `block_0` and so on."""
    for i in range(depth):
        module.add_module(f"block_{i}", Block(width, heads, mlp_ratio))


def blocks_of(module: nn.Module) -> list[Block]:
    """The blocks that `add_blocks` gave a module, in order."""
    return [part for name, part in module.named_children() if name.startswith("block_")]
