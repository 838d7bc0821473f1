"""The displacement branch in PyTorch; see `models.displacement` and `models.refinement`."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from micron_jax.models.config import ModelConfig
from micron_jax.models.displacement_numbers import (
    APART,
    BANDS,
    FALL,
    REACH,
    SHARED,
    SPREADS,
    motion_basis,
    widths,
)
from micron_jax.torch.layers import EPSILON, patchify
from micron_jax.torch.least_squares import (
    absolute,
    change_left,
    detail,
    enlarge,
    first_guess,
    fit_head,
    fixed_answers,
    neighbors,
    patch_moments,
    shared_motion,
    solve,
)

_FIXED = len(SPREADS) * len(BANDS)  # answers of least squares over fixed neighborhoods
_SHARED = len(SHARED) * len(BANDS)
_ATTENDED = len(APART) * len(BANDS)


class Estimate(NamedTuple):
    """The motion of patches of a reference, px: see `models.displacement.Estimate`.

    `guess`, `motion`, `own` and `displacement` are [B, h, w, 2], `log_scale` is [B, h, w].
    """

    guess: torch.Tensor
    motion: torch.Tensor
    own: torch.Tensor
    displacement: torch.Tensor
    log_scale: torch.Tensor


class Conv(nn.Conv2d):
    """A convolution of 3 × 3 on channels that come last, of the same size: [B, H, W, C]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x):
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Halving(nn.Conv2d):
    """A convolution of 2 × 2 in steps of 2; odd sides get a row of zeros after the last."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 2, stride=2)

    def forward(self, x):
        height, width = x.shape[1:3]
        x = functional.pad(x.permute(0, 3, 1, 2), (0, width % 2, 0, height % 2))
        return super().forward(x).permute(0, 2, 3, 1)


class Displacement(nn.Module):
    """The displacement branch, float32."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.config = c
        pixels, width = c.patch_size**2, c.displacement_width
        self.looks = nn.Linear(3 * pixels, width // 2)
        self.change = nn.Linear(len(BANDS) * pixels, width // 2)
        self.refinement = Refinement(c)
        self.readout = Readout(c)

    def forward(self, images, reference) -> Estimate:
        """Estimates the motion from a reference to images, normalized, [B, H, W, 3] twice."""
        c = self.config
        details = detail(reference), detail(images)
        guess = first_guess(*details, c.patch_size).detach()
        batch, height, width, _ = guess.shape

        def patches(pixels):
            return patchify(pixels, c.patch_size).reshape(batch, height, width, -1)

        products, change = (x.detach() for x in change_left(*details, guess))
        moments = patch_moments(products, c.patch_size)
        answers, facts = fixed_answers(moments)
        whole = absolute(moments, guess)
        answers = torch.cat([answers, shared_motion(whole) - guess[:, :, :, None]], dim=3)
        texture = torch.stack([moments[..., i] for i in (0, 2, 5)], dim=-1)
        place = torch.as_tensor(motion_basis(height, width)[..., 1:], device=guess.device)
        own = guess - fit_head(guess, torch.ones_like(guess[..., 0]))
        length = (own.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        seen = [
            place.expand(batch, -1, -1, -1),
            self.looks(patches(reference)),
            self.change(patches(change.permute(0, 2, 3, 1))),
            facts,
            (0.3 * (texture + 1e-5).log()).flatten(3),
            answers.flatten(3),
            guess,
            own,
            length,
            (length + 0.02).log(),
        ]
        features, motion, own = self.refinement(torch.cat(seen, -1), guess, whole, answers)
        return Estimate(guess, motion, own, *self.readout(features, own.detach()))


class Block(nn.Module):
    """Two convolutions of 3 × 3 patches beside the identity."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width, EPSILON)
        self.first, self.second = Conv(width, width), Conv(width, width)

    def forward(self, x):
        return x + self.second(_gelu(self.first(self.norm(x))))


class UNet(nn.Module):
    """Features of each patch from all of the face: [B, h, w, F] -> [B, h, w, width]."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.in_ = Block(width)
        of_levels = widths(width)
        self.levels = len(of_levels) - 1
        self.gather = nn.Linear(of_levels[-1], 2 * of_levels[-1])
        self.scatter = nn.Linear(2 * of_levels[-1], of_levels[-1])
        for level in range(self.levels):
            fine, coarse = of_levels[level : level + 2]
            self.add_module(f"down_{level + 1}", Halving(fine, coarse))
            self.add_module(f"block_{level + 1}", Block(coarse))
            self.add_module(f"up_{level}", nn.Linear(coarse, fine))
            self.add_module(f"out_{level}", Block(fine))
        self.norm = nn.LayerNorm(width, EPSILON)

    def forward(self, x):
        x = self.in_(self.enter(x))
        fine = [x]
        for level in range(1, self.levels + 1):
            x = self.get_submodule(f"down_{level}")(x)
            x = self.get_submodule(f"block_{level}")(x)
            fine.append(x)
        x = x + self.scatter(_gelu(self.gather(x.mean((1, 2), keepdim=True))))
        for level in range(self.levels - 1, -1, -1):
            x = enlarge(self.get_submodule(f"up_{level}")(x), *fine[level].shape[1:3])
            x = self.get_submodule(f"out_{level}")(x + fine[level])
        return self.norm(x)


class Refinement(nn.Module):
    """A better motion; see `models.refinement.Refinement`."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        width, known = c.displacement_width, _FIXED + _SHARED
        self.unet = UNet(width + 3 + 2 * _FIXED + 3 * len(BANDS) + 2 * known + 6, width)
        self.neighbors = nn.Linear(width, len(APART) * len(FALL))
        self.out = nn.Linear(width, 4 + known + _ATTENDED + 1)
        self.first = [0.0] * (known + _ATTENDED) + [3.0]

    def forward(self, inputs, motion, moments, answers):
        last = self.unet(inputs)
        attended = _attend(self.neighbors(last).chunk(len(APART), -1), moments)
        answers = torch.cat([answers, attended - motion[:, :, :, None]], dim=3)
        out = self.out(last)
        mixture = (out[..., 4:] + out.new_tensor(self.first)).softmax(-1)[..., :-1]
        motion = motion + out[..., :2] + (mixture[..., None] * answers).sum(3)
        rigid = functional.softplus(out[..., 2] + 1) + 1e-3
        return last, motion, motion - fit_head(motion, rigid, 0.3 * out[..., 3])


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


def _attend(logits, moments):
    """Least squares over neighborhoods that weigh each patch around by its logits, [B, h, w, n]."""
    flat, answers = moments.flatten(3), []
    for own, apart in zip(logits, APART, strict=True):
        weights = (own + own.new_tensor(FALL.tolist())).softmax(-1)
        sums = (weights[..., None] * neighbors(flat, REACH, apart)).sum(3)
        answers.append(solve(sums.reshape(moments.shape))[0])
    return torch.cat(answers, dim=3)


def _gelu(x):
    """GELU by tanh, as `flax.linen.gelu` has it."""
    return functional.gelu(x, approximate="tanh")
