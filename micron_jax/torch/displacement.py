"""The displacement branch in PyTorch; see `models.displacement` and `models.neighborhood`."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from micron_jax.models.config import ModelConfig
from micron_jax.torch.layers import EPSILON
from micron_jax.torch.least_squares import (
    BANDS,
    SPREADS,
    detail,
    enlarge,
    fit_head,
    fixed_answers,
    motion_basis,
    neighbors,
    patch_moments,
    solve,
)

CELL = 4  # px
REACH, APART = 2, (1, 2)  # patches
_FALL = -np.add.outer(*[np.square(np.arange(-REACH, REACH + 1)) / 4] * 2).ravel()
_SHARPNESS = 8.0
_CONTEXT = 64


class Estimate(NamedTuple):
    """The motion of patches of a reference, px: see `models.displacement.Estimate`.

    `motion`, `own` and `displacement` are [B, h, w, 2], `log_scale` is [B, h, w].
    """

    motion: torch.Tensor
    own: torch.Tensor
    displacement: torch.Tensor
    log_scale: torch.Tensor


class Conv(nn.Conv2d):
    """A convolution of 3 × 3 on channels that come last, of the same size: [B, H, W, C]."""

    def __init__(self, inputs: int, outputs: int, *, apart: int = 1):
        super().__init__(inputs, outputs, 3, padding=apart, dilation=apart)

    def forward(self, x):
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Halving(nn.Conv2d):
    """A convolution of 3 × 3 in steps of 2, as `SAME` pads even sides: after the last row only."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, x):
        x = functional.pad(x.permute(0, 3, 1, 2), (0, 1, 0, 1))
        return super().forward(x).permute(0, 2, 3, 1)


class Displacement(nn.Module):
    """The displacement branch, float32."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.config = c
        self.features = FrameFeatures(c)
        self.context = nn.Linear(2 * c.displacement_features, _CONTEXT)
        self.hidden = nn.Linear(_CONTEXT + 3, c.displacement_width)
        self.refinement = Refinement(c)
        self.readout = Readout(c)

    def forward(self, images, reference, *, steps: int | None = None) -> list[Estimate]:
        """Estimates after each step of the refinement, the last one being the best.

        Normalized frames, [B, H, W, 3] twice; `steps`: None is as in training.
        """
        c = self.config
        height, width = (side // c.patch_size for side in images.shape[1:3])
        cells, own_context = self.features(reference)
        others, other_context = self.features(images)
        scores = _SHARPNESS * neighborhood_scores(cells, others, c.displacement_reach)
        details = [detail(x) for x in (reference, images)]

        context = self.context(torch.cat([own_context, other_context], -1))
        place = torch.as_tensor(motion_basis(height, width)[..., 1:], device=context.device)
        context = torch.cat([context, place.expand(context.shape[0], -1, -1, -1)], -1)
        hidden = self.hidden(context).tanh()
        motion = own = torch.zeros_like(context[..., :2])
        estimates = []
        for step in range(steps or c.displacement_steps):
            motion, own = motion.detach(), own.detach()
            about = enlarge(motion, *cells.shape[1:3]) / CELL
            about = read_scores(scores, about, c.displacement_look)
            moments = patch_moments(*details, motion, c.patch_size).detach()
            answers, facts = fixed_answers(moments)
            early = torch.full_like(motion[..., :1], 1 / (step + 1))
            about = _per_patch(about, height, width)
            inputs = torch.cat([early, about, answers.flatten(3), facts, motion, own], -1)
            hidden, last, motion, own = self.refinement(
                hidden, context, inputs, motion, moments, answers
            )
            estimates.append(Estimate(motion, own, *self.readout(last.detach(), own.detach())))
        return estimates


class FrameFeatures(nn.Module):
    """[B, H, W, 3] -> features of cells, [B, H / 4, W / 4, F], context of patches, [B, h, w, F]."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        width, self.patch_size = c.displacement_features, c.patch_size
        self.stem = Conv(12, width // 2)
        self.down = Halving(width // 2, width)
        for i in range(2):
            self.add_module(f"norm_{i}", nn.LayerNorm(width, EPSILON))
            self.add_module(f"first_{i}", Conv(width, width))
            self.add_module(f"second_{i}", Conv(width, width))
        self.norm = nn.LayerNorm(width, EPSILON)
        self.cells = nn.Linear(width, width)

    def forward(self, images):
        batch, height, width, _ = images.shape
        x = images.reshape(batch, height // 2, 2, width // 2, 2, 3).transpose(2, 3)
        x = _gelu(self.stem(x.reshape(batch, height // 2, width // 2, 12)))
        x = self.down(x)
        for i in range(2):
            norm, first, second = (getattr(self, f"{n}_{i}") for n in ("norm", "first", "second"))
            x = x + second(_gelu(first(norm(x))))
        x = self.norm(x)
        cells = self.cells(x)
        cells = cells * (cells.square().sum(-1, keepdim=True) + 1e-4).rsqrt()
        p = self.patch_size
        side = p // CELL
        context = x.reshape(batch, height // p, side, width // p, side, -1).mean((2, 4))
        return cells, context


class Refinement(nn.Module):
    """One step of the refinement; see `models.displacement.Refinement`."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        width, fixed = c.displacement_width, len(SPREADS) * len(BANDS)
        scores = (2 * c.displacement_look + 1) ** 2 * (c.patch_size // CELL) ** 2
        inputs = 1 + scores + 2 * fixed + 2 * fixed + 4
        attended = len(APART) * len(BANDS)
        self.enter = nn.Linear(width + _CONTEXT + 3 + inputs, width)
        self.near = Conv(width, width)
        self.whole = nn.Linear(width, width)
        self.farther = Conv(width, width, apart=2)
        self.farthest = Conv(width, width, apart=3)
        self.skip = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, EPSILON)
        self.leave = Conv(width, width)
        self.neighbors = nn.Linear(width, len(APART) * len(_FALL))
        self.out = nn.Linear(width, 3 + fixed + attended + 1)
        self.first = [0.0] * (fixed - 1) + [1.0] * (1 + attended) + [0.0]

    def forward(self, hidden, context, inputs, motion, moments, answers):
        x = _gelu(self.enter(torch.cat([hidden, context, inputs], -1)))
        y = _gelu(self.near(x))
        y = _gelu(self.farther(y) + self.whole(y.mean((1, 2), keepdim=True)))
        y = self.farthest(y) + self.skip(x)
        hidden = self.norm(hidden + y)
        last = _gelu(self.leave(hidden))
        attended = _attend(self.neighbors(last).chunk(len(APART), -1), moments)
        answers = torch.cat([answers, attended], dim=3)
        out = self.out(last)
        mixture = (out[..., 3:] + out.new_tensor(self.first)).softmax(-1)[..., :-1]
        motion = motion + out[..., :2] + (mixture[..., None] * answers).sum(3)
        rigid = functional.softplus(out[..., 2] + 1) + 1e-3
        return hidden, last, motion, motion - fit_head(motion, rigid)


class Readout(nn.Module):
    """[B, h, w, F], [B, h, w, 2] px -> displacement [B, h, w, 2], log scale [B, h, w]."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.enter = nn.Linear(c.displacement_width + 5, 48)
        self.around = Conv(48, 48)
        self.out = nn.Linear(48, 4)

    def forward(self, features, own):
        length = (own.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        usual = length.square().mean((1, 2), keepdim=True).sqrt()
        ratio = ((length + 0.02) / (usual + 0.02)).log()
        x = torch.cat([features, own, length, (length + 0.02).log(), ratio], -1)
        x = self.out(_gelu(self.around(_gelu(self.enter(x)))))
        return own * (x[..., :1] + 1).sigmoid() + 0.3 * x[..., 1:3], x[..., 3]


def neighborhood_scores(cells, others, reach: int):
    """Scores of cells with the other frame's at all shifts: [B, H, W, C] -> [B, H, W, n, n]."""
    height, width = cells.shape[1:3]
    padded = functional.pad(others, (0, 0, reach, reach, reach, reach))
    shifts = range(2 * reach + 1)
    rows = [
        torch.stack(
            [(cells * padded[:, y : y + height, x : x + width]).sum(-1) for x in shifts], dim=-1
        )
        for y in shifts
    ]
    return torch.stack(rows, dim=3)


def read_scores(scores, place, look: int):
    """Reads scores about the place (x, y) of each cell, [B, H, W, 2] -> [B, H, W, (2 L + 1)²]."""
    reach = scores.shape[-1] // 2
    across, down = (_hats(place[..., axis], look, reach) for axis in (0, 1))
    return (down @ scores @ across.transpose(-1, -2)).flatten(3)


def _hats(place, look: int, reach: int):
    """Weights of linear interpolation about places [...]: [..., 2 look + 1, 2 reach + 1]."""
    around, shifts = (
        torch.arange(-n, n + 1, dtype=place.dtype, device=place.device) for n in (look, reach)
    )
    targets = place.clamp(float(-reach), float(reach))[..., None] + around
    return (1 - (targets[..., None] - shifts).abs()).clamp_min(0.0)


def _attend(logits, moments):
    """Least squares over neighborhoods that weigh each patch around by its logits, [B, h, w, n]."""
    flat, answers = moments.flatten(3), []
    for own, apart in zip(logits, APART, strict=True):
        weights = (own + own.new_tensor(_FALL.tolist())).softmax(-1)
        sums = (weights[..., None] * neighbors(flat, REACH, apart)).sum(3)
        answers.append(solve(sums.reshape(moments.shape))[0])
    return torch.cat(answers, dim=3)


def _per_patch(cells, height: int, width: int):
    """Values of cells [B, H, W, F] -> those of each patch's cells, [B, h, w, F']."""
    batch, rows, columns, count = cells.shape
    down, across = rows // height, columns // width
    x = cells.reshape(batch, height, down, width, across, count).transpose(2, 3)
    return x.reshape(batch, height, width, -1)


def _gelu(x):
    """GELU by tanh, as `flax.linen.gelu` has it."""
    return functional.gelu(x, approximate="tanh")
